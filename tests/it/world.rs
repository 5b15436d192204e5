//! The whole service for one test: real sockets, a real database of its own on each engine, a real
//! OpenID issuer, and a clock that only the test moves. Who is in it stands in `story`, how it is
//! spoken to in `wire`. No test here.

pub mod contract;
pub mod operator;
pub mod story;
pub mod wire;

use std::{
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use deputy::{
    base::{
        id::{ClientId, CredentialId, OperatorName},
        random::Random,
        secret::Secret,
        time::{Clock, Seconds, Timestamp},
    },
    demo::issuer::{Issuer, claims::Claims},
    engine::authenticate::new_secret,
    http::{self, Listeners, serve},
    model::event::{Event, Kind},
    registry::operator::{Operator, Role},
    service::{
        Ambient, Deputy, Fault, Options,
        admin::{Order, Refused},
        remote::fetch::Roots,
    },
    store::{Configured, Page, Put},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use self::wire::{Client, Server};
use crate::{postgres::cluster, store::Hand};

/// Runs each test on both engines; the failing one is named.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test]
            async fn $name() {
                let world = crate::world::World::on_sqlite().await;
                super::$name(world).await;
            }
        )* }
        mod on_postgres { $(
            #[tokio::test]
            async fn $name() {
                let world = crate::world::World::on_postgres().await;
                super::$name(world).await;
            }
        )* }
    };
}
pub(crate) use on_both;

/// When every world begins.
pub const BEGINNING: i64 = 1_800_000_000;
/// What the service says that its URL is: nothing may depend on where it really listens.
pub const PUBLIC_URL: &str = "https://deputy.example";
/// After how long our keys are replaced: longer than any other test lasts.
pub const ROTATES_AFTER_S: u32 = 30 * 86_400;
/// How long the audit log is kept: not so long that our keys are replaced meanwhile.
pub const KEEPS_AUDIT_S: u32 = 20 * 86_400;
/// Our issuer.
pub const ISSUER: &str = "https://deputy.example/oauth2";

/// A running service and everybody around it.
pub struct World {
    /// The service itself, for what an operator does.
    pub deputy: Deputy,
    /// Where it listens.
    pub url: String,
    /// The people's identity provider.
    pub issuer: Issuer,
    http: reqwest::Client,
    home: Home,
    stop: oneshot::Sender<()>,
    running: http::Running,
}

/// One running service on a world's database.
pub struct Instance {
    deputy: Deputy,
    stop: oneshot::Sender<()>,
    running: http::Running,
}

/// A world's directory and database, which outlive a restart.
struct Home {
    dir: PathBuf,
    database: String,
}

impl Drop for Home {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).unwrap_or_default();
    }
}

impl Home {
    fn new(database: impl FnOnce(&PathBuf, &str) -> String) -> Home {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        let name = format!("world_{}", WORLDS.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("deputy-it-{}-{name}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        let database = database(&dir, &name);
        Home { dir, database }
    }
}

impl World {
    /// A world whose database is a file.
    pub async fn on_sqlite() -> World {
        let file = |dir: &PathBuf, _: &str| format!("sqlite:{}", dir.join("deputy.db").display());
        World::begin(Home::new(file)).await
    }

    /// A world whose database is in the run's cluster.
    pub async fn on_postgres() -> World {
        World::begin(Home::new(|_, name| cluster().create_database(name, "template1"))).await
    }

    async fn begin(home: Home) -> World {
        let issuer = Issuer::start("corp").await.unwrap();
        let world = World::open(home, issuer, at(0)).await;
        story::tell(&world).await;
        world
    }

    async fn open(home: Home, issuer: Issuer, now: Timestamp) -> World {
        let Instance { deputy, stop, running } = Instance::start(&home, now).await;
        let http = wire::client();
        World { url: running.url.clone(), deputy, issuer, http, home, stop, running }
    }

    /// Another instance on the same database, which remembers nothing. PostgreSQL only.
    pub async fn newcomer(&self) -> Instance {
        Instance::start(&self.home, self.deputy.now()).await
    }

    /// Stops the service and starts it again on what it wrote.
    pub async fn restart(self) -> World {
        let now = self.deputy.now();
        let World { issuer, home, http, stop, running, deputy, .. } = self;
        drop((http, deputy));
        stop.send(()).unwrap();
        running.ended().await.unwrap();
        World::open(home, issuer, now).await
    }

    /// Whether another instance would start at this time.
    pub async fn starts_at(&self, now: Timestamp) -> Result<Deputy, Fault> {
        opened(&self.home, now).await
    }

    /// Where a test may put files of its own.
    pub fn dir(&self) -> &std::path::Path {
        &self.home.dir
    }

    /// Lets time pass.
    pub async fn advance(&self, seconds: u32) {
        self.deputy.clock().advance(Seconds::new(seconds));
        self.deputy.tick(self.deputy.now()).await.unwrap();
    }

    /// The client `cl_{name}`.
    pub fn agent(&self, name: &str) -> Client<'_> {
        Client::new(self, name)
    }

    /// The server of the resource `id`.
    pub fn server(&self, id: &str) -> Server<'_> {
        Server::new(self, id)
    }

    /// What Alice's identity provider says of her to the support agent, as a new access token.
    pub fn alice(&self) -> String {
        self.token_of("alice")
    }

    /// The same of anybody.
    pub fn token_of(&self, user: &str) -> String {
        self.access_token(self.claims(user))
    }

    /// Claims of an access token for Deputy, to be changed.
    pub fn claims(&self, user: &str) -> Claims {
        Claims::new(user, story::AUDIENCE, self.deputy.now())
    }

    /// An access token of these claims that was issued to the support agent.
    pub fn access_token(&self, claims: Claims) -> String {
        self.issuer.access_token(claims, story::FOREIGN_CLIENT, story::FOREIGN_SCOPE).unwrap()
    }

    /// The secret of a client: the same each time, so that nothing need be remembered.
    pub fn secret(&self, client: &ClientId) -> Secret<String> {
        new_secret(&self.deputy.snapshot().config.macs.secret_tag, client, &[7; 32])
    }

    /// Registers a client with its secret.
    pub async fn put_client(&self, document: Value) {
        let id = ClientId::parse(document["client_id"].as_str().unwrap()).unwrap();
        let credential = json!({
            "client_id": id.as_str(),
            "id": CredentialId::from_bytes(Random::system().bytes().unwrap()).to_string(),
            "hash": story::cheap_hash(&self.secret(&id)),
            "created": self.deputy.now().epoch_s(),
        });
        self.put(&[("client", id.as_str(), document)]).await;
        self.put(&[("credential", credential["id"].as_str().unwrap(), credential.clone())]).await;
    }

    /// Writes documents of the configuration, new or changed, in one change.
    pub async fn put(&self, documents: &[(&str, &str, Value)]) {
        let stored = self.deputy.store().documents().await.unwrap();
        let put = |(kind, id, body): &(&str, &str, Value)| {
            let known = stored.iter().find(|d| d.kind == *kind && d.id == *id);
            Put {
                kind: (*kind).to_owned(),
                id: (*id).to_owned(),
                expected: known.map(|d| d.version),
                body: as_written(kind, &body.to_string()),
            }
        };
        let puts = documents.iter().map(put).collect();
        let event = Event::new(Kind::Configuration, "test", self.deputy.now(), 0);
        let done = self.deputy.store().writer().configure(puts, event).await.unwrap();
        assert!(matches!(done, Configured::Done { .. }), "{done:?}");
        self.deputy.catch_up().await.unwrap();
    }

    /// Changes one member of a stored document.
    pub async fn change(&self, kind: &str, id: &str, member: &str, value: Value) {
        let stored = self.deputy.store().documents().await.unwrap();
        let known = stored.iter().find(|d| d.kind == kind && d.id == id).unwrap();
        let mut body: Value = serde_json::from_str(&known.body).unwrap();
        body[member] = value;
        self.put(&[(kind, id, body)]).await;
    }

    /// Changes the database behind the service's back.
    pub async fn tamper(&self, sql: &'static str) -> u64 {
        self.hand().await.run(sql).await
    }

    /// A connection of its own to the world's database.
    pub async fn hand(&self) -> Hand {
        Hand::on(&self.home.database).await
    }

    /// An operator revokes.
    pub async fn revoke(&self, what: Value) {
        self.try_revoke(what).await.unwrap();
    }

    /// An operator tries to revoke.
    pub async fn try_revoke(&self, what: Value) -> Result<u64, Refused> {
        let order = Order::parse(what.to_string().as_bytes())?;
        self.deputy.revoke_by_order(&World::an_operator(), &order).await
    }

    /// An operator who may do everything.
    pub fn an_operator() -> Operator {
        Operator {
            name: OperatorName::parse("test").unwrap(),
            token_hash: deputy::base::secret::Fingerprint::of(b"test"),
            role: Role::Admin,
            enabled: true,
        }
    }

    /// The newest events on record, newest first.
    pub async fn events(&self) -> Vec<Event> {
        self.deputy.store().writer().flush().await.unwrap();
        let page = Page { after: None, limit: 50 };
        let filter = deputy::store::EventFilter::default();
        let listing = self.deputy.store().events(&filter, &page).await.unwrap();
        listing.items.into_iter().map(|stored| stored.event).collect()
    }
}

/// A document as the service writes it, every member in it.
fn as_written(kind: &str, text: &str) -> String {
    use deputy::registry::{client, edge, issuer, policy_set, resource, tool};
    match kind {
        "client" => client::write(&client::parse(text).unwrap()),
        "resource" => resource::write(&resource::parse(text).unwrap()),
        "tool" => tool::parse(text).map(|(resource, tool)| tool::write(&resource, &tool)).unwrap(),
        "issuer" => issuer::write(&issuer::parse(text).unwrap()),
        "edge" => edge::write(&edge::parse(text).unwrap()),
        "policy_set" => policy_set::write(&policy_set::parse(text).unwrap()),
        _ => text.to_owned(),
    }
}

impl Instance {
    async fn start(home: &Home, now: Timestamp) -> Instance {
        let deputy = opened(home, now).await.unwrap();
        let protocol = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listeners = Listeners { protocol, admin: None };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { stopped.await.unwrap_or_default() };
        let options = serve::Options::default();
        let running = http::start(deputy.clone(), listeners, options, stopped).unwrap();
        Instance { deputy, stop, running }
    }

    /// The service itself.
    pub fn deputy(&self) -> &Deputy {
        &self.deputy
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.running.url
    }

    /// Ends it; nobody waits for its lease.
    pub async fn stop(self) {
        let Instance { deputy, stop, running } = self;
        drop(deputy);
        stop.send(()).unwrap();
        running.ended().await.unwrap();
    }
}

async fn opened(home: &Home, now: Timestamp) -> Result<Deputy, Fault> {
    let options = Options {
        public_url: PUBLIC_URL.to_owned(),
        issuer_path: "/oauth2".to_owned(),
        database: home.database.clone(),
        keys_dir: home.dir.join("keys"),
        kek: None,
        kek_beside: None,
        allow_loopback_issuers: true,
        trusted_roots: Roots::default(),
        rotate_keys_every: Some(Seconds::new(ROTATES_AFTER_S)),
        keep_audit: Some(Seconds::new(KEEPS_AUDIT_S)),
        restored: false,
    };
    let clock = Clock::manual(now);
    Deputy::start(options, Ambient { clock, ..Ambient::system() }).await
}

/// So many seconds after the beginning.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_epoch_s(BEGINNING.checked_add(seconds).unwrap()).unwrap()
}
