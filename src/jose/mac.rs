//! Keyed hashes: for tags, for names that only we can compute, for fingerprints in the audit log.

use std::fmt;

use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::base::secret::Secret;

/// A key for HMAC-SHA-256, derived for one purpose.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The key for the purpose `label` under `master`. Different labels give unrelated keys, so
    /// that a tag made for one purpose is worth nothing for another.
    pub fn derive(master: &Secret<[u8; 32]>, label: &str) -> MacKey {
        let master = MacKey(hmac::Key::new(hmac::HMAC_SHA256, master.expose()));
        let derived = Secret::new(master.tag(&[b"deputy mac key", label.as_bytes()]));
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, derived.expose()))
    }

    /// The tag of the sequence `parts`. Each part is framed by its length, so `["ab", "c"]` and
    /// `["a", "bc"]` have different tags.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        tag
    }

    /// The first bytes of [`MacKey::tag`], for an id.
    pub fn short_tag<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut short = [0; N];
        for (to, from) in short.iter_mut().zip(self.tag(parts)) {
            *to = from;
        }
        short
    }

    /// Whether `tag` is the whole tag of `parts`, in time that does not depend on where it differs.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.tag(parts).ct_eq(tag).into()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}
