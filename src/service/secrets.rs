//! Client secrets: argon2id on a bounded pool, and a short memory of successes.
//!
//! A wrong secret usually dies at its keyed tag, in microseconds, before this. What gets here has a
//! good tag; argon2id takes about 20 ms and 19 MiB, so only [`AT_ONCE`] run at a time, and a source
//! whose secrets fail is held to [`WRONG_PER_WINDOW`]. Nothing is remembered on failure.

use std::net::IpAddr;

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::{Deputy, Fault, throttle::Throttle};
use crate::{
    base::{
        id::CredentialId,
        random::{NoRandomness, Random},
        secret::Secret,
        time::{Seconds, Timestamp},
    },
    engine::authenticate::{self, Authenticated, ClientRefusal, Needs, PresentedSecret},
    jose::{MacKey, password},
};

/// How many argon2id run at once: one a core, and 40 MiB in all.
const AT_ONCE: usize = 2;
/// How many requests may wait for one of them before the rest is told to come back.
const WAITING: usize = 64;
/// How long a success is remembered.
const REMEMBERED: Seconds = Seconds::new(600);
/// The most successes remembered.
const CAPACITY: usize = 16_384;
/// Wrong secrets of one source in one window (1 s), beyond which it is refused unchecked.
const WRONG_PER_WINDOW: u8 = 2;
/// The pool, the memory and the throttle.
#[derive(Debug)]
pub struct VerifiedSecrets {
    key: MacKey,
    remembered: Cache<[u8; 32], (CredentialId, Timestamp)>,
    at_once: Semaphore,
    waiting: Semaphore,
    wrong: Throttle,
}

impl VerifiedSecrets {
    /// An empty memory under a key that lives and dies with this process.
    pub fn new(random: &Random) -> Result<VerifiedSecrets, NoRandomness> {
        let master = Secret::new(random.bytes()?);
        Ok(VerifiedSecrets {
            key: MacKey::derive(&master, "verified client secret"),
            remembered: Cache::new(CAPACITY),
            at_once: Semaphore::new(AT_ONCE),
            waiting: Semaphore::new(WAITING),
            wrong: Throttle::new(WRONG_PER_WINDOW),
        })
    }

    fn name(&self, presented: &PresentedSecret) -> [u8; 32] {
        self.key.tag(&[presented.id.as_bytes(), presented.secret.expose().as_bytes()])
    }

    /// The credential that this secret was found to match, not long ago.
    fn recalled(&self, name: &[u8; 32], now: Timestamp) -> Option<CredentialId> {
        self.remembered.get(name).filter(|(_, until)| now < *until).map(|(id, _)| id)
    }

    /// Which of the stored hashes the secret matches, at the price of one argon2id each.
    async fn matched(
        &self,
        presented: &PresentedSecret,
        name: &[u8; 32],
        needs: Needs,
        now: Timestamp,
    ) -> Result<Option<CredentialId>, Fault> {
        let _place = self.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        let _turn = self.at_once.acquire().await.map_err(|_| Fault::Busy)?;
        // Many requests of one client may have waited for the first of them.
        if let Some(credential) = self.recalled(name, now) {
            return Ok(Some(credential));
        }
        let secret = presented.secret.clone();
        let check = move || {
            needs.hashes.iter().find(|(_, hash)| password::verify(&secret, hash)).map(|(id, _)| *id)
        };
        let matched = tokio::task::spawn_blocking(check)
            .await
            .map_err(|error| Fault::Internal("secret check failed", Some(Box::new(error))))?;
        if let Some(credential) = matched {
            self.remembered.insert(*name, (credential, now.plus(REMEMBERED)));
        }
        Ok(matched)
    }
}

impl Deputy {
    /// Proves a client by its secret.
    pub(super) async fn by_secret(
        &self,
        presented: &PresentedSecret,
        source: IpAddr,
        now: Timestamp,
    ) -> Result<Result<Authenticated, ClientRefusal>, Fault> {
        let snapshot = self.snapshot();
        let secrets = &self.0.secrets;
        let name = secrets.name(presented);
        if let Some(credential) = secrets.recalled(&name, now) {
            // Remembered, and still only as good as the credential is in *this* snapshot.
            return Ok(authenticate::judge(&snapshot, presented, credential, now));
        }
        let needs = match authenticate::needs(&snapshot.config, presented, now) {
            Ok(needs) => needs,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if secrets.wrong.is_throttled(source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let matched = Box::pin(secrets.matched(presented, &name, needs, now)).await?;
        let Some(credential) = matched else {
            secrets.wrong.note(source, now);
            return Ok(Err(ClientRefusal::Wrong));
        };
        Ok(authenticate::judge(&snapshot, presented, credential, now))
    }
}
