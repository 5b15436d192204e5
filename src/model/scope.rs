//! Scopes: an ordered set of RFC 6749 scope tokens that can shrink and never grow.
//!
//! There is no `union` and no `insert`: widening cannot be written down.

use std::{collections::BTreeSet, fmt, sync::Arc};

/// One scope token. RFC 6749 section 3.3: `1*( %x21 / %x23-5B / %x5D-7E )`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeToken(Arc<str>);

impl ScopeToken {
    /// The longest token that is accepted, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Reads one token.
    pub fn parse(raw: &str) -> Result<ScopeToken, NotAScope> {
        let charset = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if raw.is_empty() || raw.len() > Self::MAX_BYTES || !raw.bytes().all(charset) {
            return Err(NotAScope::Token);
        }
        Ok(ScopeToken(raw.into()))
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A set of scope tokens. The empty set grants nothing; it never means "all".
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(BTreeSet<ScopeToken>);

/// Why a text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAScope {
    /// A token is empty, too long, or has a character outside RFC 6749 section 3.3.
    #[error(
        "a scope token is 1 to 128 printable ASCII characters without space, quote or backslash"
    )]
    Token,
    /// More tokens than [`Scope::MAX_TOKENS`].
    #[error("a scope has at most 64 tokens")]
    TooMany,
    /// The same token twice.
    #[error("a scope names each token once")]
    Repeated,
}

impl Scope {
    /// The most tokens one scope may have; keeps tokens under proxies' header limits.
    pub const MAX_TOKENS: usize = 64;

    /// Reads the wire form: tokens separated by single spaces. RFC 6749 section 3.3.
    pub fn parse(raw: &str) -> Result<Scope, NotAScope> {
        if raw.is_empty() {
            return Ok(Scope::default());
        }
        Scope::of(raw.split(' '))
    }

    /// A set of the given tokens.
    pub fn of<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Result<Scope, NotAScope> {
        let mut set = BTreeSet::new();
        for raw in tokens {
            if !set.insert(ScopeToken::parse(raw)?) {
                return Err(NotAScope::Repeated);
            }
            if set.len() > Scope::MAX_TOKENS {
                return Err(NotAScope::TooMany);
            }
        }
        Ok(Scope(set))
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every token of `self` is also in `other`.
    pub fn is_subset(&self, other: &Scope) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether the set has this token.
    pub fn contains(&self, token: &ScopeToken) -> bool {
        self.0.contains(token)
    }

    /// The tokens, in order.
    pub fn iter(&self) -> impl Iterator<Item = &ScopeToken> {
        self.0.iter()
    }
}

/// Scopes gathered from a registry: the scopes that several tools or rules name together.
///
/// Kept apart from [`Scope`] operations so that a request's own scope is never widened with it.
impl FromIterator<ScopeToken> for Scope {
    fn from_iter<I: IntoIterator<Item = ScopeToken>>(tokens: I) -> Self {
        Scope(tokens.into_iter().collect())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, token) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&token.0)?;
        }
        Ok(())
    }
}
