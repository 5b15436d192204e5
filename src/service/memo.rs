//! A bounded memory of tokens whose signatures were verified. It spares the arithmetic and nothing
//! else: whether a token is live is asked of the current snapshot every time.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::{
    base::{secret::Fingerprint, time::Timestamp},
    engine::{
        snapshot::Config,
        verify::{self, TokenFault, Verified},
    },
    model::token::{ForeignClaims, OurClaims},
};

/// The most tokens of each sort that are remembered. One takes about 2.6 KiB, so that both memories
/// together stay below 22 MiB.
const CAPACITY: usize = 4_096;

/// Verified tokens by the hash of their bytes.
#[derive(Debug)]
pub struct TokenMemo {
    ours: Cache<Fingerprint, Remembered<OurClaims>>,
    foreign: Cache<Fingerprint, Remembered<ForeignClaims>>,
}

/// A verified token, and what its verification rested on.
#[derive(Debug)]
struct Remembered<T> {
    basis: Basis,
    token: Arc<Verified<T>>,
}

impl<T> Clone for Remembered<T> {
    fn clone(&self) -> Self {
        Remembered { basis: self.basis, token: Arc::clone(&self.token) }
    }
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
        let name = Fingerprint::of(token.as_bytes());
        if let Some(known) = self.known(config, &name) {
            return Ok(known);
        }
        let token = Arc::new(verify::ours::judge(config, token)?);
        if now < token.get().expires_at {
            let basis = Basis { configured: config.revision, keys: 0 };
            self.ours.insert(name, Remembered { basis, token: Arc::clone(&token) });
        }
        Ok(token)
    }

    /// A token of ours that was verified under this configuration.
    pub fn known(&self, config: &Config, token: &Fingerprint) -> Option<Arc<Verified<OurClaims>>> {
        let basis = Basis { configured: config.revision, keys: 0 };
        self.ours.get(token).filter(|found| found.basis == basis).map(|found| found.token)
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
