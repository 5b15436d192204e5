//! Revocation: committed, applied here, and only then answered.

use super::{Deputy, Failure, Fault, token::Caller};
use crate::{
    base::{secret::Secret, time::Timestamp},
    engine::revoke::{self, Intent},
    oauth::params::ParamError,
};

impl Deputy {
    /// RFC 7009: the holder gives a token back. Success says nothing about the token.
    pub async fn revoke_token(
        &self,
        caller: Caller,
        token: Result<Secret<String>, ParamError>,
    ) -> Result<(), Failure> {
        let now = self.now();
        let client = self.authenticate(&caller, now).await?;
        let token = token.map_err(Failure::Malformed)?;
        let snapshot = self.snapshot();
        let verified = self.0.memo.ours(&snapshot.config, token.expose(), now).ok();
        match revoke::by_holder(&snapshot, &client, verified.as_deref(), now) {
            None => Ok(()),
            Some(intent) => {
                self.revoke(intent, now).await?;
                Ok(())
            }
        }
    }

    /// Commits a revocation and applies it: when this returns, no answer of ours to a later request
    /// says `active` for what it ended. Returns its number.
    pub async fn revoke(&self, intent: Intent, now: Timestamp) -> Result<u64, Fault> {
        let Intent { target, bar, event } = intent;
        let revision = self.store().writer().revoke(target, bar, now, event).await?;
        self.catch_up().await?;
        Ok(revision)
    }
}
