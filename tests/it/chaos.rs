//! One fault after another, under load, at the real program: `docs/FAULTS.md` has them in one table.
//!
//! Agents exchange and servers ask without a pause while something breaks and is mended. Whatever
//! breaks, each answer is right or is 503 with `Retry-After`; afterwards, without a restart, it works
//! again, every token that was received has exactly one event, nothing has two, what was revoked
//! before stays revoked, and the audit log verifies.

mod clock;
mod database;
mod disk;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use deputy::demo::issuer::Issuer;
use reqwest::Method;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::serve_process::{Agent, Answer, Folder, Registered, Server, token, user_token};

const WORKERS: usize = 8;
/// Answers of a kind that are waited for, so that it is seen to be one.
const ENOUGH: usize = 5;
/// How long anybody waits for an answer, or for it to work again: longer than any fault lasts.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A running Deputy, and who asks it.
struct Stage {
    server: Server,
    agent: Agent,
    tickets: Agent,
    issuer: Issuer,
    /// A token that was revoked before anything broke.
    ended: String,
    /// Its delegation.
    ended_id: String,
    _folder: Folder,
}

/// What is asked meanwhile, and how it goes.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    granted: AtomicUsize,
    refused: AtomicUsize,
}

impl Load {
    /// Returns when enough more were answered 503.
    async fn refuses(&self) {
        Load::grows(&self.refused).await;
    }

    /// Returns when enough more tokens were received.
    async fn grants(&self) {
        Load::grows(&self.granted).await;
    }

    async fn grows(count: &AtomicUsize) {
        let enough = count.load(Ordering::SeqCst) + ENOUGH;
        let grown = async {
            while count.load(Ordering::SeqCst) < enough {
                tokio::task::yield_now().await;
            }
        };
        timeout(ANSWER_MAX, grown).await.expect("it goes on as before");
    }
}

impl Stage {
    /// One whose server runs already.
    async fn of(server: Server, folder: Folder) -> Arc<Stage> {
        let issuer = Issuer::start("corp").await.unwrap();
        let registered: Registered = server.register(&issuer).await;
        let (agent, tickets) = (server.support(&registered), server.tickets(&registered));
        let (ended, ended_id) = token(&agent.exchanges(&user_token(&issuer)).await.unwrap());
        server.admin(Method::POST, "/revocations", Some(&json!({ "delegation": ended_id }))).await;
        Arc::new(Stage { server, agent, tickets, issuer, ended, ended_id, _folder: folder })
    }

    /// Breaks something and mends it under load; then nothing is lost, and nothing is there twice.
    async fn survives(self: &Arc<Stage>, fault: impl AsyncFnOnce(&Load)) {
        let load = Arc::new(Load::default());
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(Arc::clone(self).work(Arc::clone(&load)));
        }
        load.grants().await;
        fault(&load).await;
        load.grants().await;
        load.over.store(true, Ordering::SeqCst);
        self.holds(&workers.join_all().await.concat()).await;
    }

    /// One agent and one server: the delegations that were received.
    async fn work(self: Arc<Stage>, load: Arc<Load>) -> Vec<String> {
        let mut received = Vec::new();
        while !load.over.load(Ordering::SeqCst) {
            let subject = user_token(&self.issuer);
            let Some(answer) = right(self.agent.exchanges(&subject).await.unwrap()) else {
                load.refused.fetch_add(1, Ordering::SeqCst);
                continue;
            };
            let (token, id) = token(&answer);
            received.push(id);
            load.granted.fetch_add(1, Ordering::SeqCst);
            for (token, live) in [(&token, true), (&self.ended, false)] {
                let fields = [("token", token.as_str())];
                let asked = self.tickets.posts("introspect", &fields);
                let answer = timeout(ANSWER_MAX, asked).await.expect("an answer").unwrap();
                if let Some(answer) = right(answer) {
                    assert_eq!(answer.json["active"], live, "{answer:?}");
                }
            }
        }
        received
    }

    /// What must hold when all is well again.
    async fn holds(&self, received: &[String]) {
        let mut events: BTreeMap<String, usize> = BTreeMap::new();
        for event in self.server.all("/events", "kind=exchange&outcome=granted").await {
            *events.entry(event["delegation"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        for id in received.iter().chain([&self.ended_id]) {
            assert_eq!(events.get(id), Some(&1), "{id} has exactly one event");
        }
        assert!(events.values().all(|times| *times == 1), "nothing is on record twice");
        assert!(!self.tickets.accepts(&self.ended).await, "it was revoked");
        let report = self.server.admin(Method::GET, "/audit/verify", None).await;
        assert_eq!(report["ok"], true, "{report}");
    }
}

/// The answer, if it is one; `None` if it says to try again later, and when. There is no third.
fn right(answer: Answer) -> Option<Answer> {
    if answer.status == 200 {
        return Some(answer);
    }
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.retry_after.is_some_and(|seconds| seconds > 0), "{answer:?}");
    assert_eq!(answer.json["error"], "temporarily_unavailable", "{answer:?}");
    None
}
