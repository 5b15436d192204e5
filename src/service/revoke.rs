//! Revocation: committed, applied here, and only then answered. Whoever gives tokens back in a loop
//! is slowed: every revocation has whatever is judged at that moment judged again.

use std::{collections::HashMap, sync::Mutex};

use super::{Deputy, Failure, Fault, token::Caller};
use crate::{
    base::{id::ClientId, secret::Secret, time::Timestamp},
    engine::revoke::{self, Intent},
    oauth::params::ParamError,
};

/// Tokens that one client may give back in one second. An exchange is judged again when a
/// revocation comes between, a few times at most: beyond this rate, one holder could keep all
/// others from getting any token.
const MOST_PER_SECOND: u8 = 20;

/// How many tokens each client gave back in the second it last did: as many entries as clients.
#[derive(Debug, Default)]
pub struct GivenBack(Mutex<HashMap<ClientId, (Timestamp, u8)>>);

impl GivenBack {
    /// Whether `client` may give back one more now.
    fn admits(&self, client: &ClientId, now: Timestamp) -> bool {
        let Ok(mut all) = self.0.lock() else { return false };
        let (second, count) = all.entry(client.clone()).or_insert((now, 0));
        if *second != now {
            (*second, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= MOST_PER_SECOND
    }
}

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
            // RFC 7009 section 2.2.1: 503 says that the token still lives, and when to come again.
            Some(_) if !self.0.given_back.admits(&client.client().id, now) => {
                Err(Fault::Busy.into())
            }
            Some(intent) => {
                self.revoke(intent, now).await?;
                Ok(())
            }
        }
    }

    /// Commits a revocation: when this returns, no instance says `active` to a later request for
    /// what it ended, whatever has failed meanwhile. Returns its number.
    pub async fn revoke(&self, intent: Intent, now: Timestamp) -> Result<u64, Fault> {
        let Intent { target, bar, event } = intent;
        let revision = self.store().writer().revoke(target, bar, now, event).await?;
        self.in_force(revision).await?;
        Ok(revision)
    }
}
