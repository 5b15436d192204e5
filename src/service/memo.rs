//! A bounded memory of tokens whose signatures were verified. It spares the arithmetic and nothing
//! else: whether a token is live is asked of the current snapshot every time.

use std::sync::{Arc, OnceLock};

use memchr::memchr_iter;
use quick_cache::sync::Cache;

use crate::{
    base::{secret::Fingerprint, time::Timestamp},
    engine::{
        snapshot::Config,
        verify::{self, TokenFault, Verified},
    },
    jose::JwtError,
    model::token::{ForeignClaims, OurClaims},
};

/// The most tokens of each sort that are remembered. One takes about 2.6 KiB, and what is told of it
/// another, so that both memories together stay below 26 MiB.
const CAPACITY: usize = 4_096;

/// Verified tokens by the hash of their bytes.
#[derive(Debug)]
pub struct TokenMemo {
    ours: Cache<Fingerprint, Remembered<Known>>,
    foreign: Cache<Fingerprint, Remembered<Arc<Verified<ForeignClaims>>>>,
}

/// A token of ours that was verified.
#[derive(Clone, Debug)]
pub struct Known {
    /// What was verified.
    pub token: Arc<Verified<OurClaims>>,
    told: Arc<OnceLock<Box<str>>>,
}

impl Known {
    /// What is told of it to whoever may ask, made once. It says only what the token says: whether it
    /// is live, and what was decided, is asked every time.
    pub fn told(&self, make: impl FnOnce(&OurClaims) -> String) -> &str {
        self.told.get_or_init(|| make(self.token.get()).into())
    }
}

/// A verified token, and what its verification rested on.
#[derive(Clone, Debug)]
struct Remembered<T> {
    basis: Basis,
    token: T,
}

/// A verification holds only while the configuration and the issuer's key set are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The revision of the configuration.
    pub configured: u64,
    /// The generation of the issuer's key set; zero for our own keys, which are configuration.
    pub keys: u64,
}

impl Default for TokenMemo {
    fn default() -> Self {
        TokenMemo { ours: Cache::new(CAPACITY), foreign: Cache::new(CAPACITY) }
    }
}

impl TokenMemo {
    /// A token of ours: remembered, or verified now.
    pub fn ours(
        &self,
        config: &Config,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<Verified<OurClaims>>, TokenFault> {
        Ok(self.known(config, token, now)?.token)
    }

    /// The same, with what is told of it.
    pub fn known(&self, config: &Config, token: &str, now: Timestamp) -> Result<Known, TokenFault> {
        // What has not the shape of a token is none, and is not looked for.
        if memchr_iter(b'.', token.as_bytes()).count() != 2 {
            return Err(JwtError::NotCompact.into());
        }
        let name = Fingerprint::of(token.as_bytes());
        let basis = Basis { configured: config.revision, keys: 0 };
        if let Some(found) = self.ours.get(&name).filter(|found| found.basis == basis) {
            return Ok(found.token);
        }
        let token = Arc::new(verify::ours::judge(config, token)?);
        let known = Known { token, told: Arc::default() };
        if now < known.token.get().expires_at {
            self.ours.insert(name, Remembered { basis, token: known.clone() });
        }
        Ok(known)
    }

    /// A foreign token whose time is not over, and the basis that its verification rests on.
    pub fn foreign(
        &self,
        token: &Fingerprint,
        now: Timestamp,
    ) -> Option<(Basis, Arc<Verified<ForeignClaims>>)> {
        let found = self.foreign.get(token)?;
        (now < found.token.get().expires_at).then_some((found.basis, found.token))
    }

    /// Remembers a foreign token.
    pub fn remember(
        &self,
        token: Fingerprint,
        basis: Basis,
        verified: &Arc<Verified<ForeignClaims>>,
    ) {
        self.foreign.insert(token, Remembered { basis, token: Arc::clone(verified) });
    }
}
