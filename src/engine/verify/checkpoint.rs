//! Checkpoints of the audit log. Whose signature is good is said by whoever asks: a server knows the
//! keys it ever had, an auditor those that were noted.

use std::collections::HashMap;

use super::{TokenFault, Verified, profiles};
use crate::{
    base::claims::ClaimError,
    jose::{self, JwkError, KeySet},
    model::checkpoint::Checkpoint,
    oauth::checkpoint,
};

/// The keys that may have signed checkpoints, by `kid`. There is no bound on how many ever did.
#[derive(Clone, Debug, Default)]
pub struct CheckpointKeys(HashMap<String, KeySet>);

impl CheckpointKeys {
    /// Adds one, as a JWK.
    ///
    /// # Errors
    /// What is wrong with it; then it verifies nothing.
    pub fn add(&mut self, kid: &str, jwk: &str) -> Result<(), JwkError> {
        let set = format!(r#"{{"keys":[{jwk}]}}"#);
        let keys = KeySet::parse_jwks(set.as_bytes(), profiles::CHECKPOINT.algs)?;
        self.0.insert(kid.to_owned(), keys);
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Verifies a checkpoint of `issuer`; of any, where none is named.
pub fn judge(
    keys: &CheckpointKeys,
    issuer: Option<&str>,
    jws: &str,
) -> Result<Verified<Checkpoint>, TokenFault> {
    let unverified = jose::open(jws, &profiles::CHECKPOINT)?;
    let keys = unverified.kid().and_then(|kid| keys.0.get(kid)).ok_or(TokenFault::Key)?;
    let opened = unverified.verify_with(keys)?;
    let told = opened.claims.get("iss").and_then(|iss| iss.as_str());
    let told = told.ok_or(TokenFault::Claim(ClaimError::Missing("iss")))?;
    if issuer.is_some_and(|issuer| issuer != told) {
        return Err(TokenFault::Issuer);
    }
    checkpoint::read(&opened.claims).map(Verified).map_err(TokenFault::Claim)
}
