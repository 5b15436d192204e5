//! Any text as `authorization_details`: what is read is written and read as the same, and fits into
//! a token that is read again.
#![no_main]

use std::collections::BTreeMap;

use deputy::{
    base::json::{self, Limits},
    model::{
        authority::{Authority, Entry, Tools},
        constraint::SubjectClaims,
        scope::Scope,
    },
    oauth::details,
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(entries) = details::parse(text) else { return };
    let known = SubjectClaims::default();
    let resolved = entries.into_iter().map(|entry| entry.resolve(&known));
    // A claim of the subject that nobody vouches for is refused.
    let Ok(entries) = resolved.collect::<Result<Vec<_>, _>>() else { return };
    let entry = |tools| Entry { scope: Scope::default(), tools: Tools::Named(tools) };
    let entries: BTreeMap<_, _> = entries.into_iter().map(|e| (e.location, entry(e.tools))).collect();
    let authority = Authority::new(entries);
    let token = format!(r#"{{"authorization_details":{}}}"#, details::write(&authority));
    let limits = Limits { max_bytes: usize::MAX, ..Limits::DEFAULT };
    let token = json::parse(token.as_bytes(), &limits).expect("a token is read");
    let said = token.as_object().and_then(|token| token.get("authorization_details"));
    let again = details::read(said.expect("it is there")).expect("what is written is read");
    for read in again {
        let read = read.resolve(&known).expect("nothing stands open in a token");
        let written = authority.at(&read.location).expect("no location is new");
        assert_eq!(written.tools, Tools::Named(read.tools));
    }
});
