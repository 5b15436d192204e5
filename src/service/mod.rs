//! L4. The shell: loads what a verb needs, asks the engine, signs, commits, and says what came of
//! it. One short function per use case, each reading like the protocol.

pub mod admin;
pub mod audit;
pub mod authenticate;
pub mod authzen;
pub mod beat;
pub mod checkpoint;
mod coherence;
pub mod decide;
mod epoch;
mod history;
pub mod introspect;
pub mod keys;
pub mod memo;
pub mod policies;
pub mod remote;
mod retention;
pub mod revoke;
pub mod secret_file;
pub mod secrets;
pub mod state;
pub mod throttle;
pub mod token;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use self::{
    coherence::Coherence,
    memo::TokenMemo,
    remote::{
        fetch::{self, Fetcher, Roots},
        keys::{Ages, IssuerKeys},
    },
    secrets::VerifiedSecrets,
    throttle::Throttle,
};
use crate::{
    base::{
        id::{ErrorId, WriterId},
        random::{NoRandomness, Random},
        secret::Secret,
        time::{Clock, Seconds, Steady, Timestamp},
    },
    engine::{authenticate::ClientRefusal, refusal::Refusal, snapshot::Snapshot},
    jose::Kek,
    oauth::{authzen::AuthzenError, params::ParamError},
    store::{self, Store},
};

/// What the service must be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The base of every URL we publish, without a trailing slash.
    pub public_url: String,
    /// Where the issuer lives below it, such as `/oauth2`.
    pub issuer_path: String,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// Where `admin-token` and, unless `kek` is given, the key-encryption key are kept.
    pub keys_dir: PathBuf,
    /// The key-encryption key, where it comes from a variable or a mounted file.
    pub kek: Option<Secret<[u8; 32]>>,
    /// Another one that opens and does not seal, while one is being replaced by the other.
    pub kek_beside: Option<Secret<[u8; 32]>>,
    /// Whether trusted issuers may be on plain loopback HTTP: development only.
    pub allow_loopback_issuers: bool,
    /// Who vouches for trusted issuers besides the system's authorities.
    pub trusted_roots: Roots,
    /// How long a signing key signs before the next one is made; `None` for ever.
    pub rotate_keys_every: Option<Seconds>,
    /// How long the audit log is kept; `None` for ever.
    pub keep_audit: Option<Seconds>,
    /// Whether the database was restored from a backup: then everything issued before is ended.
    pub restored: bool,
}

/// Where the service gets time and chance from.
#[derive(Debug)]
pub struct Ambient {
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub random: Arc<Random>,
}

impl Ambient {
    /// The system's.
    pub fn system() -> Ambient {
        Ambient { clock: Clock::System, random: Arc::new(Random::system()) }
    }
}

/// A running service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Deputy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    ambient: Ambient,
    steady: Steady,
    store: Store,
    kek: Kek,
    snapshot: ArcSwap<Snapshot>,
    /// `None` where there can be no other instance.
    coherence: Option<Coherence>,
    catching_up: tokio::sync::Mutex<()>,
    configuring: tokio::sync::Mutex<()>,
    issuer_keys: IssuerKeys,
    client_keys: IssuerKeys,
    secrets: VerifiedSecrets,
    wrong_assertions: Throttle,
    memo: TokenMemo,
    refused: audit::Counters,
    given_back: revoke::GivenBack,
    past: history::Past,
    policies: policies::Compiled,
    noted: epoch::Noted,
    /// Turns for walks through the whole audit log.
    walks: Arc<Semaphore>,
    /// Whether the last sweep left something.
    unswept: AtomicBool,
    last: beat::Last,
    /// This run, in the audit log.
    writer: WriterId,
}

/// Something of ours failed. The source chain is for the log; callers learn that it was us.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database, or a trusted issuer whose keys were never fetched, cannot be reached.
    #[error("{0} is unavailable")]
    Unavailable(&'static str, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// A queue is full, or the configuration changes faster than an exchange can follow.
    #[error("too busy")]
    Busy,
    /// A bug or a broken installation.
    #[error("{0}")]
    Internal(&'static str, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

/// What [`Fault::Unavailable`] calls the one thing that no stranger can make unavailable.
pub const DATABASE: &str = "the database";

/// How long a caller should wait before it tries again, in seconds.
pub const RETRY_AFTER_S: u32 = 1;

/// Why a protocol request got no answer.
#[derive(Debug)]
pub enum Failure {
    /// The answer is no. The id can be quoted to an operator.
    Refused(Refusal, ErrorId),
    /// The parameters make no sense.
    Malformed(ParamError),
    /// The question of a gateway cannot be read.
    Unreadable(AuthzenError),
    /// Ours.
    Fault(Fault),
}

impl Failure {
    /// The client was not accepted.
    pub const fn client(refusal: ClientRefusal, id: ErrorId) -> Failure {
        Failure::Refused(Refusal::Client(refusal), id)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Busy => Fault::Busy,
            error @ (store::Error::Unavailable(_) | store::Error::Closed) => {
                Fault::Unavailable(DATABASE, Some(Box::new(error)))
            }
            other => Fault::Internal(DATABASE, Some(Box::new(other))),
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Failure::Fault(error.into())
    }
}

impl From<NoRandomness> for Fault {
    fn from(error: NoRandomness) -> Self {
        Fault::Internal("no randomness", Some(Box::new(error)))
    }
}

impl Deputy {
    /// Opens the database, makes what a first start needs, and loads the snapshot.
    pub async fn start(options: Options, ambient: Ambient) -> Result<Deputy, Fault> {
        let kek = keys::kek(&options, &ambient.random)?;
        let writer = WriterId::from_bytes(ambient.random.bytes()?);
        let opened = store::Options::new(ambient.clock.wall(), Arc::clone(&ambient.random));
        let store = Store::open(&options.database, &opened, writer).await?;
        store.claim().await?;
        let restored = (options.restored, ambient.clock.wall());
        epoch::check(&store, &options.keys_dir, restored).await?;
        keys::first_start(&store, &options, &kek, &ambient).await?;
        let policies = policies::Compiled::default();
        let now = ambient.clock.wall();
        let snapshot = state::load(&store, &options, &kek, (&policies, now)).await?;
        let fetcher = Arc::new(
            Fetcher::new(fetch::Options {
                allow_loopback_http: options.allow_loopback_issuers,
                ..fetch::Options::default()
            })
            .trusting(options.trusted_roots.clone()),
        );
        let deputy = Deputy(Arc::new(Inner {
            coherence: store.is_shared().then(|| Coherence::new(writer)),
            issuer_keys: IssuerKeys::new(Arc::clone(&fetcher), Ages::default()),
            client_keys: IssuerKeys::new(fetcher, Ages::default()),
            secrets: VerifiedSecrets::new(&ambient.random)?,
            wrong_assertions: Throttle::new(authenticate::WRONG_ASSERTIONS),
            memo: TokenMemo::default(),
            refused: audit::Counters::default(),
            given_back: revoke::GivenBack::default(),
            past: history::Past::default(),
            policies,
            noted: epoch::Noted::default(),
            walks: Arc::new(Semaphore::new(admin::export::AT_ONCE)),
            unswept: AtomicBool::new(false),
            last: beat::Last::at(now),
            writer,
            catching_up: tokio::sync::Mutex::new(()),
            configuring: tokio::sync::Mutex::new(()),
            snapshot: ArcSwap::from_pointee(snapshot),
            options,
            steady: Steady::default(),
            ambient,
            store,
            kek,
        }));
        deputy.catch_up().await?;
        deputy.check_clock().await?;
        if deputy.options().restored {
            deputy.end_what_was_before().await?;
        }
        if deputy.options().kek_beside.is_some() {
            keys::tell_of_the_other(&deputy.store().documents().await?, &deputy.0.kek)?;
        }
        deputy.note_epoch().await;
        Ok(deputy)
    }

    /// What is known now. Never waited for.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The wall time; a wall that is set back takes none back.
    pub fn now(&self) -> Timestamp {
        self.0.steady.wall(&self.0.ambient.clock)
    }

    /// The clock, for tests that move it.
    pub fn clock(&self) -> &Clock {
        &self.0.ambient.clock
    }

    /// Chance.
    pub fn random(&self) -> &Random {
        &self.0.ambient.random
    }

    /// What the service was told.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Writes everything that waits and closes the database.
    pub async fn stop(&self) {
        self.sum_up_refusals();
        self.seal_log().await;
        self.note_epoch().await;
        self.leave().await;
        if let Err(error) = self.0.store.close().await {
            tracing::error!(%error, "the audit log could not be written to the end");
        }
    }

    /// Whether the database answers within a second, and this instance has caught up with it.
    pub async fn is_ready(&self) -> bool {
        let head = tokio::time::timeout(Duration::from_secs(1), self.0.store.head()).await;
        matches!(head, Ok(Ok(_))) && self.coherent().await.is_ok()
    }

    fn error_id(&self) -> Result<ErrorId, Fault> {
        Ok(ErrorId::from_bytes(self.random().bytes()?))
    }
}
