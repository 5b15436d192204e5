//! `kill -9` under load: what a client received is on record exactly once, and what an operator was
//! told to be ended stays ended.
//!
//! How many requests the server had begun at that moment is read from the system, not guessed: the
//! server is stopped first (SIGSTOP), every worker gets as far as it can, and a request counts as
//! begun when the server has taken its bytes out of the connection. Then it is killed.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use deputy::{base::random::Random, demo::issuer::Issuer};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    postgres::cluster,
    serve_process::{Answer, Folder, Registered, Server, free_address, token, user_token},
};

const ROUNDS: usize = 3;
const WORKERS: usize = 16;
/// Each round is killed after this many tokens and up to 63 more, so that no two rounds are alike.
const TOKENS_MIN: usize = 40;
const REPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/KILL9.md");

/// What one round came to.
struct Round {
    received: usize,
    events: usize,
    in_flight: usize,
}

#[tokio::test]
async fn every_received_token_is_on_record_once_after_kill_9() {
    let folder = Folder::new();
    let file = format!("sqlite:{}", folder.0.join("deputy.db").display());
    let sqlite = rounds(&folder, &file).await;
    let other = Folder::new();
    let postgres = rounds(&other, &cluster().create_database("kill_9", "template1")).await;
    if std::env::var_os("DEPUTY_WRITE_DOCS").is_some() {
        fs::write(REPORT, report(&[("SQLite", &sqlite), ("PostgreSQL", &postgres)])).unwrap();
    }
}

async fn rounds(folder: &Folder, database: &str) -> Vec<Round> {
    let issuer = Issuer::start("corp").await.unwrap();
    let address = free_address();
    let start = || Server::start(&folder.0, &address, &["--database", database]);
    let mut server = start();
    let registered = server.register(&issuer).await;
    let mut done = Vec::new();
    let mut ended = Vec::new();
    let mut in_flight_at_all = 0;
    for _ in 0..ROUNDS {
        let before = granted(&server).await.len();
        ended.push(revoked(&server, &registered, &issuer).await);
        let (received, in_flight) = load(&mut server, &registered, &issuer).await;
        server = start();
        let events = granted(&server).await;
        for id in received.iter().chain(ended.iter().map(|(_, id)| id)) {
            assert_eq!(events.get(id), Some(&1), "{id} has exactly one event");
        }
        let events = events.len() - before;
        // One token of this round was received and revoked before the load.
        assert!(events > received.len(), "{events} events of {} tokens", received.len());
        assert!(events <= received.len() + in_flight + 1, "nothing was granted unasked");
        assert!(in_flight <= WORKERS);
        in_flight_at_all += in_flight;
        for (token, _) in &ended {
            assert!(!server.tickets(&registered).accepts(token).await, "it was revoked");
        }
        let report = server.admin(Method::GET, "/audit/verify", None).await;
        assert_eq!(report["ok"], true, "{report}");
        done.push(Round { received: received.len() + 1, events, in_flight });
    }
    assert!(in_flight_at_all > 0, "every kill came between two requests");
    done
}

/// How often each delegation has a granted exchange on record.
async fn granted(server: &Server) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for event in server.all("/events", "kind=exchange&outcome=granted").await {
        *found.entry(event["delegation"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// A token that was received and then revoked, which was acknowledged.
async fn revoked(server: &Server, registered: &Registered, issuer: &Issuer) -> (String, String) {
    let answer = server.support(registered).exchanges(&user_token(issuer)).await.unwrap();
    let (token, id) = token(&answer);
    assert!(server.tickets(registered).accepts(&token).await);
    server.admin(Method::POST, "/revocations", Some(&json!({ "delegation": id }))).await;
    (token, id)
}

/// How far all workers are.
#[derive(Default)]
struct Progress {
    /// Requests that the system took.
    sent: AtomicUsize,
    /// Answers that were read.
    answered: AtomicUsize,
}

/// Exchanges without a pause until the server is killed at a moment of chance. The delegations of
/// the tokens that were received, and how many requests the server had begun and not answered.
async fn load(
    server: &mut Server,
    registered: &Registered,
    issuer: &Issuer,
) -> (Vec<String>, usize) {
    let [chance] = Random::system().bytes::<1>().unwrap();
    let enough = TOKENS_MIN + usize::from(chance % 64);
    let progress = Arc::new(Progress::default());
    let address: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut workers = JoinSet::new();
    let mut doors = Vec::new();
    for _ in 0..WORKERS {
        let connection = TcpStream::connect(address).await.unwrap();
        doors.push(connection.local_addr().unwrap().port());
        let request = server.support(registered).exchange(&user_token(issuer));
        workers.spawn(work(connection, request, Arc::clone(&progress)));
    }
    while progress.answered.load(Ordering::Relaxed) < enough {
        tokio::task::yield_now().await;
    }
    server.freeze();
    let begun = begun(address.port(), &doors, &progress).await;
    server.kill();
    (workers.join_all().await.concat(), begun)
}

/// Of the requests on their way to a server that is stopped, how many it had taken in: every worker
/// has sent one and has read all that there was to read. Workers run on this very thread, so that
/// none is between its reading and its counting.
async fn begun(server: u16, doors: &[u16], progress: &Progress) -> usize {
    loop {
        let sent = progress.sent.load(Ordering::SeqCst);
        let waiting = sent.saturating_sub(progress.answered.load(Ordering::SeqCst));
        let queues = queues();
        let unread = |from, to| queues.get(&(from, to)).copied().unwrap_or_default();
        if waiting == WORKERS && doors.iter().all(|door| unread(*door, server) == 0) {
            return doors.iter().filter(|door| unread(server, **door) == 0).count();
        }
        tokio::task::yield_now().await;
    }
}

/// Bytes that were received and not read, by local and remote port.
fn queues() -> BTreeMap<(u16, u16), u64> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let hex = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let port = |address: &str| u16::try_from(hex(address.split(':').nth(1).unwrap())).unwrap();
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let received = words[4].split(':').nth(1).unwrap();
        ((port(words[1]), port(words[2])), hex(received))
    };
    table.lines().skip(1).map(row).collect()
}

/// One worker: what it received until the connection broke.
async fn work(mut to: TcpStream, request: String, progress: Arc<Progress>) -> Vec<String> {
    let mut received = Vec::new();
    loop {
        if to.write_all(request.as_bytes()).await.is_err() {
            return received;
        }
        progress.sent.fetch_add(1, Ordering::SeqCst);
        let Some(answer) = answer(&mut to).await else { return received };
        received.push(token(&answer).1);
        progress.answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// One whole answer; `None` if the connection broke before its end.
async fn answer(from: &mut TcpStream) -> Option<Answer> {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                let json = serde_json::from_str(body).unwrap();
                return Some(Answer { status, json, retry_after: None });
            }
        }
        let mut bytes = [0; 4_096];
        let n = from.read(&mut bytes).await.ok().filter(|n| *n > 0)?;
        text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
    }
}

fn report(engines: &[(&str, &[Round])]) -> String {
    let mut text = String::from(
        "# `kill -9` under load\n\n\
         Written by `DEPUTY_WRITE_DOCS=1 cargo test --test it kill_9`; every run of the tests asserts the\n\
         same. Agents exchange over HTTP without a pause; the server is killed at a moment of chance and\n\
         started again on its database. Every token that a client received has exactly one event on\n\
         record. A token whose answer was cut off may have one too, and nothing else has. The hash chains\n\
         verify, and what an operator was told to be revoked is still revoked.\n\n\
         In flight are requests whose bytes the server had taken in and whose answer it had not sent: the\n\
         server is stopped (SIGSTOP) before it is killed, and the queues of its connections are read from\n\
         the system meanwhile.\n\n\
         | database | round | tokens received | events on record | requests in flight at the kill |\n\
         |---|---|---|---|---|\n",
    );
    for (engine, rounds) in engines {
        for (at, round) in rounds.iter().enumerate() {
            let Round { received, events, in_flight } = round;
            let number = at + 1;
            writeln!(text, "| {engine} | {number} | {received} | {events} | {in_flight} |")
                .unwrap();
        }
    }
    text
}
