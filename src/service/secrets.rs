//! Client secrets: argon2id on a bounded pool, and a short memory of successes.
//!
//! A wrong secret usually dies at its keyed tag, in microseconds, before this. What gets here has a
//! good tag; argon2id takes about 20 ms and 19 MiB, so only [`AT_ONCE`] run at a time, and a source
//! whose secrets fail is held to [`WRONG_PER_WINDOW`]. Nothing is remembered on failure.

use std::{io, net::IpAddr, thread};

use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, oneshot};

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
/// How far back they step (`nice`): beside a busy thread they get a tenth of a core.
const STEP_BACK: i32 = 10;
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
        needs: Needs,
        source: IpAddr,
        now: Timestamp,
    ) -> Result<Result<CredentialId, ClientRefusal>, Fault> {
        if self.wrong.is_throttled(source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let _place = self.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        let _turn = self.at_once.acquire().await.map_err(|_| Fault::Busy)?;
        // Many requests of one client may have waited for the first of them, and many guesses.
        let name = self.name(presented);
        if let Some(credential) = self.recalled(&name, now) {
            return Ok(Ok(credential));
        }
        if self.wrong.is_throttled(source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let secret = presented.secret.clone();
        let check = move || {
            needs.hashes.iter().find(|(_, hash)| password::verify(&secret, hash)).map(|(id, _)| *id)
        };
        let failed = |error| Fault::Internal("secret check failed", Some(error));
        let checked = stepping_back(check).map_err(|error| failed(error.into()))?;
        let matched = checked.await.map_err(|error| failed(error.into()))?;
        let Some(credential) = matched else {
            self.wrong.note(source, now);
            return Ok(Err(ClientRefusal::Wrong));
        };
        self.remembered.insert(name, (credential, now.plus(REMEMBERED)));
        Ok(Ok(credential))
    }
}

/// Does slow work on a thread of its own that steps back where cores are few: who asks with a secret
/// that was proved lately does not wait for the proof of another.
fn stepping_back<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    thread::Builder::new().name("secret".to_owned()).spawn(move || {
        // On Linux each thread is nice by itself; elsewhere the whole process would be.
        if cfg!(target_os = "linux") {
            // Not allowed to be nice: it works, and others wait longer.
            _ = rustix::process::nice(STEP_BACK);
        }
        _ = done.send(work());
    })?;
    Ok(result)
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
        let matched = Box::pin(secrets.matched(presented, needs, source, now)).await?;
        Ok(matched
            .and_then(|credential| authenticate::judge(&snapshot, presented, credential, now)))
    }
}
