//! Client secrets: argon2id on a bounded pool, and a memory of what it found.
//!
//! A wrong secret usually dies at its keyed tag, in microseconds, before this. What gets here has a
//! good tag: it is, or was, this client's. argon2id takes about 20 ms and 19 MiB, so only
//! [`AT_ONCE`] run at a time, one of a source, and a source whose secrets fail is held to
//! [`WRONG_PER_WINDOW`]. A match is remembered for a while. That a secret is not a credential's is
//! so for ever, and nobody can make it said of another secret: a secret of yesterday that is sent
//! again and again is checked once.

use std::{io, net::IpAddr, sync::Arc, thread, time::Duration};

use quick_cache::sync::Cache;
use tokio::{
    sync::{
        AcquireError, Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore,
        oneshot::{self, error::RecvError},
    },
    time::timeout,
};

use super::{Deputy, Fault, throttle::Throttle};
use crate::{
    base::{
        id::CredentialId,
        lanes::Lanes,
        random::{NoRandomness, Random},
        secret::Secret,
        time::{Seconds, Timestamp},
    },
    engine::authenticate::{self, Authenticated, ClientRefusal, Needs, PresentedSecret},
    jose::{
        MacKey,
        password::{self, NotHashed},
    },
};

/// How many argon2id run at once: one a core, and 40 MiB in all.
const AT_ONCE: usize = 2;
/// How many requests of one source may wait before the rest is told to come back: half of all
/// places, so that no source has them all.
const WAITING_OF_SOURCE: usize = 64;
/// How many requests may wait in all.
const WAITING: usize = 2 * WAITING_OF_SOURCE;
/// How long a request waits for its turn before it is told to come back: longer than all that may
/// wait take on a core that is free, and not as long as clients wait.
const TURN_WAIT: Duration = Duration::from_secs(5);
/// How far back they step (`nice`): beside a busy thread they get a tenth of a core.
const STEP_BACK: i32 = 10;
/// How long a success is remembered.
const REMEMBERED: Seconds = Seconds::new(600);
/// The most successes remembered.
const CAPACITY: usize = 16_384;
/// The most failures remembered: secrets that a client had once, and what they were checked against.
const FAILURES: usize = 4_096;
/// Wrong secrets of one source in one window (1 s), after which it is refused unchecked.
const WRONG_PER_WINDOW: u8 = 1;

/// The pool, the memory and the throttle.
#[derive(Debug)]
pub struct VerifiedSecrets {
    key: MacKey,
    checked: Arc<Checked>,
    lanes: Lanes<Lane>,
    at_once: Arc<Semaphore>,
    waiting: Semaphore,
}

/// Where the requests of a source wait, one check at a time.
#[derive(Debug)]
struct Lane {
    waiting: Semaphore,
    turn: Arc<Mutex<()>>,
}

impl Lane {
    fn new() -> Lane {
        Lane { waiting: Semaphore::new(WAITING_OF_SOURCE), turn: Arc::default() }
    }
}

/// What came of checks. A check goes on when nobody waits for it any more, and counts all the same.
#[derive(Debug)]
struct Checked {
    remembered: Cache<[u8; 32], (CredentialId, Timestamp)>,
    failed: Cache<([u8; 32], CredentialId), ()>,
    wrong: Throttle,
}

impl Checked {
    /// The credential that this secret was found to match, not long ago.
    fn recalled(&self, name: &[u8; 32], now: Timestamp) -> Option<CredentialId> {
        self.remembered.get(name).filter(|(_, until)| now < *until).map(|(id, _)| id)
    }

    /// What is known of this secret without a check; takes away what need not be checked again.
    fn known(
        &self,
        name: &[u8; 32],
        hashes: &mut Vec<(CredentialId, String)>,
        now: Timestamp,
    ) -> Option<Result<CredentialId, ClientRefusal>> {
        if let Some(credential) = self.recalled(name, now) {
            return Some(Ok(credential));
        }
        hashes.retain(|(credential, _)| !self.failed.contains_key(&(*name, *credential)));
        hashes.is_empty().then_some(Err(ClientRefusal::Wrong))
    }

    /// Checks a secret, and notes what came of it: nothing, where it could not be checked.
    fn check(
        &self,
        (name, secret): ([u8; 32], &Secret<String>),
        hashes: &[(CredentialId, String)],
        (source, now): (IpAddr, Timestamp),
    ) -> Result<Option<CredentialId>, NotHashed> {
        let mut unchecked = None;
        for (credential, hash) in hashes {
            match password::verify(secret, hash) {
                Ok(true) => {
                    self.remembered.insert(name, (*credential, now.plus(REMEMBERED)));
                    return Ok(Some(*credential));
                }
                Ok(false) => self.failed.insert((name, *credential), ()),
                Err(error) => unchecked = Some(error),
            }
        }
        if let Some(error) = unchecked {
            return Err(error);
        }
        self.wrong.note(source, now);
        Ok(None)
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
                failed: Cache::new(FAILURES),
                wrong: Throttle::new(WRONG_PER_WINDOW),
            }),
            lanes: Lanes::new(Lane::new),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(WAITING),
        })
    }

    fn name(&self, presented: &PresentedSecret) -> [u8; 32] {
        self.key.tag(&[presented.id.as_bytes(), presented.secret.expose().as_bytes()])
    }

    /// The turn of a source, and one of all.
    async fn turns(
        &self,
        lane: &Lane,
    ) -> Result<(OwnedMutexGuard<()>, OwnedSemaphorePermit), AcquireError> {
        let of_source = Arc::clone(&lane.turn).lock_owned().await;
        Ok((of_source, Arc::clone(&self.at_once).acquire_owned().await?))
    }

    /// Which of the stored hashes the secret matches, at the price of one argon2id each.
    async fn matched(
        &self,
        presented: &PresentedSecret,
        Needs { mut hashes, .. }: Needs,
        source: IpAddr,
        now: Timestamp,
    ) -> Result<Result<CredentialId, ClientRefusal>, Fault> {
        let name = self.name(presented);
        if let Some(known) = self.checked.known(&name, &mut hashes, now) {
            return Ok(known);
        }
        if self.checked.wrong.is_throttled(source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let lane = self.lanes.of(&source);
        let _place_of_source = lane.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        let _place = self.waiting.try_acquire().map_err(|_| Fault::Busy)?;
        let turns = timeout(TURN_WAIT, self.turns(lane)).await.map_err(|_too_late| Fault::Busy)?;
        let turns = turns.map_err(|_closed| Fault::Busy)?;
        // Many requests of one client may have waited for the first of them, and many guesses.
        if let Some(known) = self.checked.known(&name, &mut hashes, now) {
            return Ok(known);
        }
        if self.checked.wrong.is_throttled(source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let (secret, checked) = (presented.secret.clone(), Arc::clone(&self.checked));
        let check = move || {
            let matched = checked.check((name, &secret), &hashes, (source, now));
            // Its own until here, whether or not somebody still waits: or who hangs up and comes
            // again would have as many at work as they like.
            drop(turns);
            matched
        };
        let unchecked = |error| Fault::Unavailable("the check of secrets", Some(error));
        let checked = stepping_back(check).map_err(|error| unchecked(error.into()))?;
        let died = |error| Fault::Internal("a check of a secret", Some(Box::new(error)));
        let checked = checked.await.map_err(|error: RecvError| died(error))?;
        let matched = checked.map_err(|error| unchecked(error.into()))?;
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
        let (snapshot, now) = (self.snapshot(), self.now());
        Ok(matched
            .and_then(|credential| authenticate::judge(&snapshot, presented, credential, now)))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        net::Ipv4Addr,
        pin::{Pin, pin},
        ptr,
        task::Poll,
    };

    use super::*;
    use crate::{base::id::ClientId, model::client::AuthMethod};

    const NOW: Timestamp = Timestamp::EPOCH;
    const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn presented(secret: &str) -> PresentedSecret {
        PresentedSecret {
            id: "cl_asked".to_owned(),
            secret: Secret::new(secret.to_owned()),
            method: AuthMethod::ClientSecretBasic,
        }
    }

    fn hash() -> String {
        password::hash(&Secret::new("right".to_owned()), &Random::system()).unwrap()
    }

    fn needs(hash: &str) -> Needs {
        let client = ClientId::parse("cl_asked").unwrap();
        Needs { client, hashes: vec![(CredentialId::from_bytes([1; 16]), hash.to_owned())] }
    }

    async fn begun<F: Future>(mut asked: Pin<&mut F>) -> Poll<F::Output> {
        poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await
    }

    #[tokio::test]
    async fn a_check_that_nobody_waits_for_keeps_its_turn_and_counts() {
        let secrets = VerifiedSecrets::new(&Random::system()).unwrap();
        let (wrong, hash) = (presented("wrong"), hash());
        for _ in 0..WRONG_PER_WINDOW {
            let check = pin!(secrets.matched(&wrong, needs(&hash), SOURCE, NOW));
            assert!(begun(check).await.is_pending(), "it hangs up before there is an answer");
        }
        let _all_are_done = secrets.at_once.acquire_many(AT_ONCE.try_into().unwrap()).await;
        assert!(secrets.checked.wrong.is_throttled(SOURCE, NOW));
    }

    #[tokio::test]
    async fn a_secret_of_yesterday_is_checked_once_and_again_when_there_is_a_new_one() {
        let secrets = VerifiedSecrets::new(&Random::system()).unwrap();
        let (stale, hash) = (presented("stale"), hash());
        let first = secrets.matched(&stale, needs(&hash), SOURCE, NOW).await;
        assert!(matches!(first, Ok(Err(ClientRefusal::Wrong))));

        let _nothing_is_checked = secrets.at_once.acquire_many(AT_ONCE.try_into().unwrap()).await;
        let again = pin!(secrets.matched(&stale, needs(&hash), SOURCE, NOW));
        assert!(matches!(begun(again).await, Poll::Ready(Ok(Err(ClientRefusal::Wrong)))));
        let later = NOW.plus(Seconds::new(1));
        let mut rotated = needs(&hash).hashes;
        rotated.insert(0, (CredentialId::from_bytes([2; 16]), hash));
        let name = secrets.name(&stale);
        assert!(secrets.checked.known(&name, &mut rotated, later).is_none());
        let left: Vec<_> = rotated.iter().map(|(credential, _)| *credential).collect();
        assert_eq!(left, [CredentialId::from_bytes([2; 16])], "it may be the new one");
    }

    #[tokio::test]
    async fn a_secret_that_failed_says_nothing_of_another() {
        let secrets = VerifiedSecrets::new(&Random::system()).unwrap();
        let (stale, right, hash) = (presented("stale"), presented("right"), hash());
        let first = secrets.matched(&stale, needs(&hash), SOURCE, NOW).await;
        assert!(matches!(first, Ok(Err(ClientRefusal::Wrong))));
        let mut now = NOW;
        for _ in 0..2 {
            now = now.plus(REMEMBERED).plus(Seconds::new(1));
            assert!(secrets.checked.recalled(&secrets.name(&right), now).is_none());
            let matched = secrets.matched(&right, needs(&hash), SOURCE, now).await;
            assert!(matches!(matched, Ok(Ok(_))), "{now:?}");
        }
    }

    #[tokio::test]
    async fn a_source_that_fills_its_places_leaves_those_of_others() {
        let secrets = VerifiedSecrets::new(&Random::system()).unwrap();
        let other = (1..=u8::MAX)
            .map(|last| IpAddr::from([198, 51, 100, last]))
            .find(|other| !ptr::eq(secrets.lanes.of(other), secrets.lanes.of(&SOURCE)))
            .unwrap();
        let (right, hash) = (presented("right"), hash());
        let asked = |source| Box::pin(secrets.matched(&right, needs(&hash), source, NOW));

        let all = secrets.at_once.acquire_many(AT_ONCE.try_into().unwrap()).await;
        let mut waiting: Vec<_> = (0..WAITING_OF_SOURCE).map(|_| asked(SOURCE)).collect();
        for one in &mut waiting {
            assert!(begun(one.as_mut()).await.is_pending());
        }
        assert!(matches!(asked(SOURCE).await, Err(Fault::Busy)));
        let mut others = asked(other);
        assert!(begun(others.as_mut()).await.is_pending(), "there is a place for it");
        drop(waiting.split_off(WAITING_OF_SOURCE / 2));
        assert!(begun(asked(SOURCE).as_mut()).await.is_pending(), "who hangs up leaves a place");
        drop(all);
        waiting.push(others);
        for one in waiting {
            assert!(matches!(one.await, Ok(Ok(_))), "each of them has its turn");
        }
        assert_eq!(secrets.waiting.available_permits(), WAITING);
    }
}
