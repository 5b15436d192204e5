//! Any text as a token of each kind: opening never falls, and what has no key of ours is never
//! found good. There is one spelling only: another one of the same token is refused.
#![no_main]

use deputy::{
    engine::verify::profiles,
    jose::{self, KeySet},
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for profile in [&profiles::OURS, &profiles::FOREIGN_ACCESS_TOKEN, &profiles::ID_TOKEN] {
        let Ok(unverified) = jose::open(text, profile) else { continue };
        assert!(text.len() <= profile.max_bytes && text.split('.').count() == 3);
        assert!(profile.algs.contains(&unverified.alg()));
        assert!(unverified.verify_with(&KeySet::from_keys(Vec::new())).is_err());
        assert!(jose::open(&format!("{text}="), profile).is_err());
    }
});
