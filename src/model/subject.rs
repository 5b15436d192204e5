//! The originating user: always the pair (issuer, sub), never re-written on any hop.

use std::sync::Arc;

/// Who the work is done for. Two users with the same `sub` at two issuers are two subjects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The issuer that knows this person (or our own, for an agent that acts for itself).
    pub issuer: Arc<str>,
    /// The issuer's own identifier for the person.
    pub sub: Arc<str>,
}

impl Subject {
    /// The longest `sub` that is accepted, in bytes (OpenID Connect Core section 2).
    pub const MAX_BYTES: usize = 255;
}
