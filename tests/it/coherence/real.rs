//! The real thing: three `deputy serve` on one PostgreSQL under load, one stopped and resumed, one
//! cut off by a proxy, the database restarted. A probe is an introspection that was *sent* after the
//! revocation's answer was *received*, by `CLOCK_BOOTTIME`; not one may say `active`. The short form
//! is a test; the long one is `scripts/soak`, which sets how many revocations there are and writes
//! the report.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use deputy::demo::issuer::Issuer;
use reqwest::Method;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, postgres::PgListener};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::timeout,
};

use crate::{
    postgres::Cluster,
    proxy::{Passage, Proxy},
    serve_process::{Agent, Folder, Registered, Server, free_address, token, user_token},
};

/// Revocations of the short form.
const SHORT: usize = 120;
const WORKERS: usize = 6;
/// How long anybody waits for an answer: longer than any fault lasts.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How long a fault lasts: longer than a lease.
const FAULT: Duration = Duration::from_millis(1_600);
/// How long there is none in between.
const CALM: Duration = Duration::from_millis(1_500);
/// One statement each way, as a revocation is one.
const TELL: [&str; 2] = [
    "WITH told AS (UPDATE bare SET n = n + 1 WHERE way = 0 RETURNING n)
    SELECT count(pg_notify('there', '')) FROM told",
    "WITH told AS (UPDATE bare SET n = n + 1 WHERE way = 1 RETURNING n)
    SELECT count(pg_notify('back', '')) FROM told",
];
const REPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/COHERENCE.md");

/// Nanoseconds on the clock by which the order is judged.
fn boot_ns() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Three instances, the last one behind the proxy.
struct Trio {
    servers: Vec<Server>,
    registered: Registered,
    issuer: Issuer,
    proxy: Proxy,
    cluster: Cluster,
    database: String,
    _folder: Folder,
}

impl Trio {
    async fn start() -> Trio {
        let cluster = Cluster::own();
        let database = cluster.create_database("trio", "template1");
        let proxy = Proxy::before(SocketAddr::from(([127, 0, 0, 1], cluster.port()))).await;
        let behind = format!("postgres://deputy@{}/trio", proxy.address);
        let (folder, public) = (Folder::new(), free_address());
        let public = format!("http://{public}");
        let start = |address: &str, database: &str| {
            Server::start(&folder.0, address, &["--public-url", &public, "--database", database])
        };
        let first = start(public.trim_start_matches("http://"), &database);
        let issuer = Issuer::start("corp").await.unwrap();
        let registered = first.register(&issuer).await;
        let servers =
            vec![first, start(&free_address(), &database), start(&free_address(), &behind)];
        Trio { servers, registered, issuer, proxy, cluster, database, _folder: folder }
    }

    /// A token, from whichever instance gives one first, beginning at one.
    async fn issued(&self, from: usize) -> Option<(String, String)> {
        for at in 0..3 {
            let agent = self.servers[(from + at) % 3].support(&self.registered);
            let answer = timeout(ANSWER_MAX, agent.exchanges(&user_token(&self.issuer))).await;
            if let Ok(Ok(answer)) = answer
                && answer.status == 200
            {
                return Some(token(&answer));
            }
        }
        None
    }

    /// Whether the revocation was answered.
    async fn revokes(&self, at: usize, delegation: &str) -> bool {
        let order = json!({ "delegation": delegation });
        let asked = self.servers[at].try_admin(Method::POST, "/revocations", Some(&order));
        matches!(timeout(ANSWER_MAX, asked).await, Ok(Ok(answer)) if answer.status < 300)
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    /// How long each answered revocation took, in nanoseconds, and whether there was a fault
    /// meanwhile.
    revocations: Vec<(i64, bool)>,
    /// Revocations that were not answered, or with an error.
    unanswered: usize,
    inactive: usize,
    stale: Vec<String>,
    /// Probes that were answered 503, or not at all.
    refused: usize,
    /// The bare round trip beside it, in nanoseconds.
    bare: Vec<i64>,
    faults: Vec<&'static str>,
}

/// The load and what it finds.
struct Load {
    trio: Trio,
    wanted: usize,
    begun: AtomicUsize,
    /// How many faults there were, and whether there is one.
    faulty: AtomicBool,
    faults: AtomicUsize,
    found: Mutex<Found>,
}

impl Load {
    fn trouble(&self) -> (bool, usize) {
        (self.faulty.load(Ordering::SeqCst), self.faults.load(Ordering::SeqCst))
    }

    async fn work(self: Arc<Load>) {
        let mut probes = JoinSet::new();
        loop {
            let round = self.begun.fetch_add(1, Ordering::SeqCst);
            if self.found.lock().unwrap().revocations.len() >= self.wanted {
                break;
            }
            let Some((token, delegation)) = self.trio.issued(round).await else { continue };
            let before = self.trouble();
            let sent = boot_ns();
            let answered = self.trio.revokes((round + 1) % 3, &delegation).await;
            let received = boot_ns();
            let calm = !before.0 && self.trouble() == before;
            if !answered {
                self.found.lock().unwrap().unanswered += 1;
                continue;
            }
            self.found.lock().unwrap().revocations.push((received - sent, !calm));
            for at in 0..3 {
                probes.spawn(Arc::clone(&self).probe(at, token.clone(), received));
            }
            while probes.len() > 40 {
                probes.join_next().await.unwrap().unwrap();
            }
        }
        probes.join_all().await;
    }

    async fn probe(self: Arc<Load>, at: usize, token: String, revoked: i64) {
        let server: Agent = self.trio.servers[at].tickets(&self.trio.registered);
        let sent = boot_ns();
        assert!(sent > revoked);
        let answer = timeout(ANSWER_MAX, server.posts("introspect", &[("token", &token)])).await;
        let received = boot_ns();
        let mut found = self.found.lock().unwrap();
        match answer {
            Ok(Ok(answer)) if answer.status == 200 => {
                if answer.json["active"] == false {
                    found.inactive += 1;
                } else {
                    let line = format!("instance {at}: revoked {revoked}, {sent} to {received}");
                    found.stale.push(line);
                }
            }
            _ => found.refused += 1,
        }
    }

    /// One fault after another, with calm between, until enough is done; each at least once.
    async fn trouble_them(self: Arc<Load>) {
        let names = ["stopped and resumed", "held by the proxy", "cut by the proxy", "restarted"];
        for (round, fault) in names.iter().copied().cycle().enumerate() {
            let done = self.found.lock().unwrap().revocations.len() >= self.wanted;
            if round >= names.len() && done {
                return;
            }
            pause(CALM).await;
            self.faults.fetch_add(1, Ordering::SeqCst);
            self.faulty.store(true, Ordering::SeqCst);
            match fault {
                "stopped and resumed" => {
                    self.trio.servers[1].freeze();
                    pause(FAULT).await;
                    self.trio.servers[1].thaw();
                }
                "restarted" => {
                    let load = Arc::clone(&self);
                    let restarting = spawn_blocking(move || load.trio.cluster.restart());
                    restarting.await.unwrap();
                }
                held_or_cut => {
                    let held = held_or_cut == "held by the proxy";
                    self.trio.proxy.set(if held { Passage::Held } else { Passage::Cut });
                    pause(FAULT).await;
                    self.trio.proxy.set(Passage::Open);
                }
            }
            // What it left is still to be got over.
            pause(CALM).await;
            self.faulty.store(false, Ordering::SeqCst);
            self.found.lock().unwrap().faults.push(fault);
        }
    }

    /// A bare `UPDATE` and `NOTIFY`, there and back, in calm moments.
    async fn compare(self: Arc<Load>, database: String) {
        let mut bare = Bare::on(&database).await;
        loop {
            let before = self.trouble();
            match bare.trip().await {
                Some(taken) if !before.0 && self.trouble() == before => {
                    self.found.lock().unwrap().bare.push(taken);
                }
                Some(_) => {}
                None => {
                    pause(CALM).await;
                    if let Ok(again) = Bare::mouths(&database).await {
                        bare.mouths = again;
                    }
                }
            }
            pause(Duration::from_millis(50)).await;
        }
    }
}

/// What being sure of another costs at least: one durable row of which it hears, and one of its own in
/// answer, of which the first one hears. No HTTP, no third, nothing to decide.
struct Bare {
    mouths: [PgConnection; 2],
    ears: [PgListener; 2],
}

impl Bare {
    async fn on(database: &str) -> Bare {
        let mut mouths = Bare::mouths(database).await.unwrap();
        let mut ears = [None, None];
        for (ear, channel) in ears.iter_mut().zip(["there", "back"]) {
            let mut listener = PgListener::connect(database).await.unwrap();
            listener.listen(channel).await.unwrap();
            *ear = Some(listener);
        }
        for step in
            ["CREATE TABLE bare (way int, n bigint)", "INSERT INTO bare VALUES (0, 0), (1, 0)"]
        {
            sqlx::query(step).execute(&mut mouths[0]).await.unwrap();
        }
        Bare { mouths, ears: ears.map(Option::unwrap) }
    }

    async fn mouths(database: &str) -> Result<[PgConnection; 2], sqlx::Error> {
        Ok([PgConnection::connect(database).await?, PgConnection::connect(database).await?])
    }

    /// How long it took, there and back; `None` if the database was not there.
    async fn trip(&mut self) -> Option<i64> {
        let begun = boot_ns();
        let ways = self.mouths.iter_mut().zip(&mut self.ears).zip(TELL);
        for ((mouth, ear), tell) in ways {
            sqlx::query(tell).execute(mouth).await.ok()?;
            ear.try_recv().await.ok()??;
        }
        Some(boot_ns() - begun)
    }
}

/// One thing at a time, by turns, and nothing else: how long the bare trip takes, and a revocation.
async fn alone(trio: &Trio, rounds: usize) -> [Vec<i64>; 2] {
    let mut bare = Bare::on(&trio.cluster.create_database("alone", "template1")).await;
    let mut taken = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let (_, delegation) = trio.issued(round).await.unwrap();
        taken[0].extend(bare.trip().await);
        let begun = boot_ns();
        assert!(trio.revokes(round % 3, &delegation).await);
        taken[1].push(boot_ns() - begun);
    }
    taken
}

#[expect(clippy::disallowed_methods, reason = "a fault lasts for some time")]
async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_that_asked_afterwards_was_told_active() {
    let wanted = std::env::var("DEPUTY_SOAK").ok().map_or(SHORT, |n| n.parse().unwrap());
    let trio = Trio::start().await;
    let (begun, beside) = (boot_ns(), trio.cluster.create_database("beside", "template1"));
    let load = Arc::new(Load {
        trio,
        wanted,
        begun: AtomicUsize::new(0),
        faulty: AtomicBool::new(false),
        faults: AtomicUsize::new(0),
        found: Mutex::default(),
    });
    let compare = tokio::spawn(Arc::clone(&load).compare(beside));
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&load).trouble_them());
    for _ in 0..WORKERS {
        tasks.spawn(Arc::clone(&load).work());
    }
    tasks.join_all().await;
    compare.abort();
    let found = std::mem::take(&mut *load.found.lock().unwrap());
    assert!(found.revocations.len() >= wanted);
    assert!(found.inactive >= 2 * wanted, "{} of {wanted}", found.inactive);
    assert_eq!(found.stale, Vec::<String>::new(), "after {} probes", found.inactive);
    // Everybody comes to again, and the log is whole. A writer that was idle when its database went
    // away finds that out by the first change that it is asked for, which is answered 503.
    let ended = boot_ns();
    let token = loop {
        if let Some((token, id)) = load.trio.issued(0).await
            && load.trio.revokes(1, &id).await
        {
            break token;
        }
        assert!(boot_ns() - ended < 60_000_000_000, "nobody comes to again");
    };
    for server in &load.trio.servers {
        assert!(!server.tickets(&load.trio.registered).accepts(&token).await);
    }
    let report = load.trio.servers[0].admin(Method::GET, "/audit/verify", None).await;
    assert_eq!(report["ok"], true, "{report}");
    if std::env::var_os("DEPUTY_WRITE_DOCS").is_some() {
        let seconds = (boot_ns() - begun) / 1_000_000_000;
        let alone = alone(&load.trio, 300).await;
        let broken = stale_when_nobody_waits(&load.trio, 40).await;
        fs::write(REPORT, written(&found, broken, (seconds, alone))).unwrap();
    }
}

/// The probes see: where a hand strikes an instance off the table, nobody waits for it, and until
/// its lease has run out it says `active` of what was revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_nobody_waits_for_is_caught() {
    let trio = Trio::start().await;
    let (probes, stale) = stale_when_nobody_waits(&trio, 2).await;
    assert!(stale > 0 && stale <= probes, "{stale} of {probes}");
}

/// The protocol without its wait: how many probes were sent, and how many were stale.
async fn stale_when_nobody_waits(trio: &Trio, rounds: usize) -> (usize, usize) {
    let mut hand = PgConnection::connect(&trio.database).await.unwrap();
    let (mut probes, mut stale) = (0, 0);
    let cut_off = trio.servers[2].tickets(&trio.registered);
    for _ in 0..rounds {
        let (token, id) = trio.issued(0).await.unwrap();
        // It holds a lease that is fresh.
        while !matches!(cut_off.posts("introspect", &[("token", &token)]).await,
            Ok(answer) if answer.json["active"] == true)
        {
            pause(Duration::from_millis(50)).await;
        }
        trio.proxy.set(Passage::Held);
        sqlx::query("DELETE FROM instance").execute(&mut hand).await.unwrap();
        assert!(trio.revokes(0, &id).await);
        for _ in 0..10 {
            let answer = cut_off.posts("introspect", &[("token", &token)]).await.unwrap();
            probes += 1;
            stale += usize::from(answer.json["active"] == true);
        }
        trio.proxy.set(Passage::Open);
    }
    (probes, stale)
}

/// Middle and ninety-ninth of a hundred, in milliseconds.
fn quantiles(mut taken: Vec<i64>) -> (f64, f64) {
    taken.sort_unstable();
    let at = |n: usize| taken.get(taken.len() * n / 100).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a table")]
    let ms = |ns: i64| ns as f64 / 1e6;
    (ms(at(50)), ms(at(99)))
}

fn written(
    found: &Found,
    broken: (usize, usize),
    (seconds, alone): (i64, [Vec<i64>; 2]),
) -> String {
    let of = |faulty| {
        let some = found.revocations.iter().filter(|(_, f)| *f == faulty);
        some.map(|(taken, _)| *taken).collect::<Vec<_>>()
    };
    let (calm, faulty) = (of(false), of(true));
    let longest = faulty.iter().max().copied().unwrap_or_default() / 1_000_000;
    let ((healthy, healthy_99), (bare, bare_99)) =
        (quantiles(calm.clone()), quantiles(found.bare.clone()));
    let [(lone_bare, lone_bare_99), (lone, lone_99)] = alone.map(quantiles);
    let mut text = String::from(
        "# Not one stale `active`\n\n\
         Written by `scripts/soak`. Three `deputy serve` on one PostgreSQL (fsync on), agents that exchange,\n\
         an operator who revokes at each of them in turn, servers that ask each of them about every\n\
         revoked token. Meanwhile one instance is stopped (SIGSTOP) and resumed, one is held and cut off\n\
         by a proxy before its database, and the database is restarted (`-m immediate`). A probe is an\n\
         introspection that was sent after the revocation's answer was received, by `CLOCK_BOOTTIME`; the\n\
         first answers of the instance that was resumed are among them. `REVOCATION.md` has the protocol.\n\n\
         | | |\n|---|---|\n",
    );
    let mut row = |name: &str, value: String| writeln!(text, "| {name} | {value} |").unwrap();
    row("revocations answered", found.revocations.len().to_string());
    row("not answered, or with 503", found.unanswered.to_string());
    row("probes answered", (found.inactive + found.stale.len()).to_string());
    row("**of them `active`**", format!("**{}**", found.stale.len()));
    row("probes answered 503, or cut", found.refused.to_string());
    row("faults", found.faults.len().to_string());
    row("without the wait: probes, of them `active`", format!("{}, **{}**", broken.0, broken.1));
    row("seconds", seconds.to_string());
    write!(
        text,
        "\n\"Without the wait\" is the same three processes where a hand deletes the rows by which a revocation\n\
         knows for whom to wait, while one instance is held: so the probes are known to see.\n\n\
         How long a revocation takes until it is in force everywhere, over HTTP, in milliseconds, all three\n\
         well. Beside it, in the same run, what being sure of *one* other costs without any of that: a\n\
         bare `UPDATE` and `NOTIFY`, and another `UPDATE` and `NOTIFY` back from the one who heard it.\n\
         Alone, one follows the other and nothing else happens; under load six operators revoke at once as\n\
         fast as they can, and each waits for the commits of the other five.\n\n\
         | | middle | 99 of 100 |\n|---|---|---|\n\
         | bare, alone | {lone_bare:.1} | {lone_bare_99:.1} |\n\
         | revocation, alone | {lone:.1} | {lone_99:.1} |\n\
         | bare, under load | {bare:.1} | {bare_99:.1} |\n\
         | revocation, under load | {healthy:.1} | {healthy_99:.1} |\n\n\
         {} revocations were under way during a fault or the recovery from it; the longest took {longest} ms\n\
         (an instance that is itself stopped answers when it goes on).\n",
        faulty.len()
    )
    .unwrap();
    text
}
