//! Client secrets: argon2id on a bounded pool, and a short memory of successes.
//!
//! A wrong secret usually dies at its keyed tag, in microseconds, before this. What gets here has a
//! good tag; argon2id takes about 20 ms and 19 MiB, so only [`AT_ONCE`] run at a time, one of a
//! source, and a source whose secrets fail is held to [`WRONG_PER_WINDOW`]. Nothing is remembered on
//! failure.

use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    net::IpAddr,
    sync::Arc,
    thread,
};

use quick_cache::sync::Cache;
use tokio::sync::{Mutex, Semaphore, oneshot};

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
/// Wrong secrets of one source in one window (1 s), after which it is refused unchecked.
const WRONG_PER_WINDOW: u8 = 1;
/// Sources have one check at a time and half of the places, so that none has them all; those of one
/// of these share it.
const DOORS: usize = 64;

/// The pool, the memory and the throttle.
#[derive(Debug)]
pub struct VerifiedSecrets {
    key: MacKey,
    checked: Arc<Checked>,
    doors: [Door; DOORS],
    names: RandomState,
    at_once: Arc<Semaphore>,
    waiting: Semaphore,
}

/// Where the requests of a source wait.
#[derive(Debug)]
struct Door {
    waiting: Semaphore,
    turn: Arc<Mutex<()>>,
}

impl Default for Door {
    fn default() -> Door {
        Door { waiting: Semaphore::new(WAITING / 2), turn: Arc::default() }
    }
}

/// What came of checks. A check goes on when nobody waits for it any more, and counts all the same.
#[derive(Debug)]
struct Checked {
    remembered: Cache<[u8; 32], (CredentialId, Timestamp)>,
    wrong: Throttle,
}

impl Checked {
    /// The credential that this secret was found to match, not long ago.
    fn recalled(&self, name: &[u8; 32], now: Timestamp) -> Option<CredentialId> {
        self.remembered.get(name).filter(|(_, until)| now < *until).map(|(id, _)| id)
    }

    fn note(
        &self,
        name: [u8; 32],
        matched: Option<CredentialId>,
        (source, now): (IpAddr, Timestamp),
    ) {
        match matched {
            Some(credential) => self.remembered.insert(name, (credential, now.plus(REMEMBERED))),
            None => self.wrong.note(source, now),
        }
    }
}

impl VerifiedSecrets {
    /// An empty memory under a key that lives and dies with this process.
    pub fn new(random: &Random) -> Result<VerifiedSecrets, NoRandomness> {
        let master = Secret::new(random.bytes()?);
        Ok(VerifiedSecrets {
            key: MacKey::derive(&master, "verified client secret"),
            checked: Arc::new(Checked {
                remembered: Cache::new(CAPACITY),
                wrong: Throttle::new(WRONG_PER_WINDOW),
            }),
            doors: std::array::from_fn(|_| Door::default()),
            names: RandomState::new(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(WAITING),
        })
    }

    fn name(&self, presented: &PresentedSecret) -> [u8; 32] {
        self.key.tag(&[presented.id.as_bytes(), presented.secret.expose().as_bytes()])
    }

    fn door(&self, source: IpAddr) -> &Door {
        let [first, ..] = &self.doors;
        let name = usize::try_from(self.names.hash_one(source) % 64).unwrap_or(0);
        self.doors.get(name).unwrap_or(first)
    }

    /// Which of the stored hashes the secret matches, at the price of one argon2id each.
    async fn matched(
        &self,
        presented: &PresentedSecret,
        needs: Needs,
        source: IpAddr,
        now: Timestamp,
    ) -> Result<Result<CredentialId, ClientRefusal>, Fault> {
        if self.checked.wrong.is_throttled(source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let door = self.door(source);
        let _place_of_source = door.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        let _place = self.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        let of_source = Arc::clone(&door.turn).lock_owned().await;
        let turn = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| Fault::Busy)?;
        // Many requests of one client may have waited for the first of them, and many guesses.
        let name = self.name(presented);
        if let Some(credential) = self.checked.recalled(&name, now) {
            return Ok(Ok(credential));
        }
        if self.checked.wrong.is_throttled(source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let (secret, noted) = (presented.secret.clone(), Arc::clone(&self.checked));
        let check = move || {
            let mut hashes = needs.hashes.iter();
            let matched = hashes.find(|(_, hash)| password::verify(&secret, hash));
            let matched = matched.map(|(id, _)| *id);
            noted.note(name, matched, (source, now));
            // Its own until here, whether or not somebody still waits: or who hangs up and comes
            // again would have as many at work as they like.
            drop((turn, of_source));
            matched
        };
        let failed = |error| Fault::Internal("secret check failed", Some(error));
        let checked = stepping_back(check).map_err(|error| failed(error.into()))?;
        let matched = checked.await.map_err(|error| failed(error.into()))?;
        Ok(matched.ok_or(ClientRefusal::Wrong))
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
        if let Some(credential) = secrets.checked.recalled(&name, now) {
            // Remembered, and still only as good as the credential is in *this* snapshot.
            return Ok(authenticate::judge(&snapshot, presented, credential, now));
        }
        let needs = match authenticate::needs(&snapshot.config, presented, now) {
            Ok(needs) => needs,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let matched = Box::pin(secrets.matched(presented, needs, source, now)).await?;
        // It took its time: what holds now is asked of what is known now.
        self.coherent().await?;
        let snapshot = self.snapshot();
        Ok(matched
            .and_then(|credential| authenticate::judge(&snapshot, presented, credential, now)))
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, net::Ipv4Addr, pin::pin, task::Poll};

    use super::*;
    use crate::{base::id::ClientId, model::client::AuthMethod};

    #[tokio::test]
    async fn a_check_that_nobody_waits_for_keeps_its_turn_and_counts() {
        let random = Random::system();
        let secrets = VerifiedSecrets::new(&random).unwrap();
        let (source, now) = (IpAddr::from(Ipv4Addr::LOCALHOST), Timestamp::EPOCH);
        let presented = PresentedSecret {
            id: "cl_guessed".to_owned(),
            secret: Secret::new("wrong".to_owned()),
            method: AuthMethod::ClientSecretBasic,
        };
        let hash = password::hash(&Secret::new("right".to_owned()), &random).unwrap();
        for _ in 0..WRONG_PER_WINDOW {
            let client = ClientId::parse("cl_guessed").unwrap();
            let hashes = vec![(CredentialId::from_bytes([1; 16]), hash.clone())];
            let mut check =
                pin!(secrets.matched(&presented, Needs { client, hashes }, source, now));
            let begun = poll_fn(|context| Poll::Ready(check.as_mut().poll(context).is_pending()));
            assert!(begun.await, "it hangs up before there is an answer");
        }
        let _all_are_done = secrets.at_once.acquire_many(AT_ONCE.try_into().unwrap()).await;
        assert!(secrets.checked.wrong.is_throttled(source, now));
    }
}
