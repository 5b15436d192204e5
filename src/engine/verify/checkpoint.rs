//! Checkpoints of the audit log. Whose signature is good is said by whoever asks: a server knows the
//! keys it ever had, an auditor those that were noted.

use std::collections::HashMap;

use super::{TokenFault, Verified, profiles};
use crate::{
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

/// Verifies a checkpoint. Who is named as its issuer does not matter: that it was one of ours the key
/// says, and a server may have had another URL then.
pub fn judge(keys: &CheckpointKeys, jws: &str) -> Result<Verified<Checkpoint>, TokenFault> {
    let unverified = jose::open(jws, &profiles::CHECKPOINT)?;
    let keys = unverified.kid().and_then(|kid| keys.0.get(kid)).ok_or(TokenFault::Key)?;
    let opened = unverified.verify_with(keys)?;
    checkpoint::read(&opened.claims).map(Verified).map_err(TokenFault::Claim)
}
