//! Group commit, conflicts, bounds, restarts and failures.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use deputy::{
    base::{
        id::{ClientId, TransactionId},
        time::Seconds,
    },
    model::{
        delegation::Source,
        event::{Event, Kind, Outcome},
        revocation::{Bar, Target},
    },
    store::{Configured, Cursor, Delegated, DelegationFilter, Error, EventFilter, Keep, Page, Put},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Db, Hand, agent, alice, at, event, granted, id, none, page, proved, read, root};

super::on_both! {
    concurrent_exchanges_share_commits_and_all_are_recorded
    what_was_judged_earlier_has_moved
    one_refused_change_does_not_fail_its_batch
    a_configuration_change_is_all_or_none
    revocations_come_back_in_order_of_number
    delegations_are_listed_by_filter_and_cursor
    a_restart_keeps_everything
    a_full_queue_refuses_at_once
    a_sweep_deletes_only_what_is_old
    a_database_held_up_answers_unavailable_and_recovers
    what_was_checked_before_another_s_change_is_not_written
}

async fn concurrent_exchanges_share_commits_and_all_are_recorded(db: Db) {
    let store = Arc::new(db.open(1).await);
    let mut tasks = JoinSet::new();
    for n in 0..300_u16 {
        let minting = Arc::clone(&store);
        tasks.spawn(async move {
            let done = minting.writer().delegate(root(n, 0), granted(n), none()).await.unwrap();
            assert!(matches!(done, Delegated::Recorded(_)));
        });
        let store = Arc::clone(&store);
        if n % 3 == 0 {
            let event = event(0, Kind::Decision, Outcome::Granted);
            tasks.spawn(async move {
                store.writer().decide(event, none()).await.unwrap();
            });
        }
    }
    tasks.join_all().await;
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken), (400, None));
    // What shares a commit shares links: one for decisions, one for exchanges.
    assert!(report.links <= 20, "{} links", report.links);
    if let mut hand @ Hand::Postgres(_) = db.hand().await {
        // Only PostgreSQL can say which transaction wrote a row.
        let commits = hand.number("SELECT count(DISTINCT xmin::text) FROM journal").await;
        assert!(commits <= 10, "{commits} commits");
    }
    let grants = EventFilter { kind: Some(Kind::Exchange), ..EventFilter::default() };
    let listing = store.events(&grants, &page(500)).await.unwrap();
    let ids: BTreeSet<_> = listing.items.iter().map(|stored| stored.event.delegation).collect();
    assert_eq!((listing.items.len(), ids.len()), (300, 300));
    store.close().await.unwrap();
}

async fn what_was_judged_earlier_has_moved(db: Db) {
    let store = db.open(1).await;
    let writer = store.writer();
    let revoked = event(1, Kind::Revocation, Outcome::Granted);
    let target = Target::Transaction(TransactionId::from_bytes([7; 16]));
    assert_eq!(writer.revoke(target, None, at(1), revoked).await.unwrap(), 1);
    // All of these are in one batch.
    let decision = event(2, Kind::Decision, Outcome::Granted);
    let (old, new, decided) = tokio::join!(
        writer.delegate(root(1, 0), granted(1), none()),
        writer.delegate(root(2, 1), granted(2), none()),
        writer.decide(decision, none()),
    );
    assert_eq!(old.unwrap(), Delegated::Moved { revision: 1 });
    assert!(matches!(new.unwrap(), Delegated::Recorded(_)));
    decided.unwrap();
    assert!(store.delegation(id(1)).await.unwrap().is_none());
    assert!(store.delegation(id(2)).await.unwrap().is_some());
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken), (3, None));
    let all = store.events(&EventFilter::default(), &page(10)).await.unwrap().items;
    assert!(all.iter().all(|stored| stored.event.delegation != Some(id(1))));
    let revocation = all.iter().find(|stored| stored.event.kind == Kind::Revocation).unwrap();
    assert_eq!(revocation.event.revision, 1);
    store.close().await.unwrap();
}

async fn one_refused_change_does_not_fail_its_batch(db: Db) {
    let store = db.open(1).await;
    let writer = store.writer();
    writer.journal(read(0));
    let (first, twice, other, decided) = tokio::join!(
        writer.delegate(root(1, 0), granted(1), none()),
        writer.delegate(root(1, 0), granted(1), none()),
        writer.delegate(root(2, 0), granted(2), none()),
        writer.decide(event(2, Kind::Decision, Outcome::Granted), none()),
    );
    assert!(matches!(
        (&first, &twice),
        (Ok(Delegated::Recorded(_)), Err(Error::Refused { .. }))
            | (Err(Error::Refused { .. }), Ok(Delegated::Recorded(_)))
    ));
    assert!(matches!(other.unwrap(), Delegated::Recorded(_)));
    decided.unwrap();
    writer.flush().await.unwrap();
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken), (4, None));
    store.close().await.unwrap();
}

async fn a_configuration_change_is_all_or_none(db: Db) {
    let store = db.open(1).await;
    let changed = || event(1, Kind::Configuration, Outcome::Granted);
    let put = |id: &str, expected, body: &str| Put {
        kind: "client".into(),
        id: id.into(),
        expected,
        body: body.into(),
    };
    let begun = vec![put("cl_a", None, "{}"), put("cl_b", None, "{}")];
    let done = store.writer().configure(begun, changed()).await.unwrap();
    assert_eq!(done, Configured::Done { revision: 1 });

    let stale = vec![put("cl_a", Some(1), r#"{"a":1}"#), put("cl_b", Some(4), "{}")];
    let refused = store.writer().configure(stale, changed()).await.unwrap();
    let conflict =
        |id: &str, current| Configured::Conflict { kind: "client".into(), id: id.into(), current };
    assert_eq!(refused, conflict("cl_b", Some(1)));
    let twice = vec![put("cl_a", Some(1), "{}"), put("cl_a", Some(1), "{}")];
    let refused = store.writer().configure(twice, changed()).await.unwrap();
    assert_eq!(refused, conflict("cl_a", Some(2)));
    let absent = store.writer().configure(vec![put("cl_c", Some(1), "{}")], changed()).await;
    assert_eq!(absent.unwrap(), conflict("cl_c", None));

    let next = vec![put("cl_a", Some(1), r#"{"a":2}"#)];
    let done = store.writer().configure(next, changed()).await.unwrap();
    assert_eq!(done, Configured::Done { revision: 2 });
    let target = Target::Agent(agent());
    let revoked = event(2, Kind::Revocation, Outcome::Granted);
    assert_eq!(store.writer().revoke(target, None, at(2), revoked).await.unwrap(), 3);

    let head = store.head().await.unwrap();
    assert_eq!((head.revision, head.configured), (3, 2));
    let documents = store.documents().await.unwrap();
    let seen: Vec<_> =
        documents.iter().map(|d| (d.id.as_str(), d.version, d.revision, d.body.as_str())).collect();
    assert_eq!(seen, [("cl_a", 2, 2, r#"{"a":2}"#), ("cl_b", 1, 1, "{}")]);
    assert_eq!(proved(&store).await.events, 3);
    store.close().await.unwrap();
}

async fn what_was_checked_before_another_s_change_is_not_written(db: Db) {
    let (here, there) = (db.open(1).await, db.open(2).await);
    let name = |id: &str| {
        vec![Put { kind: "client".into(), id: id.into(), expected: None, body: "{}".into() }]
    };
    let checked_at =
        |revision| Event { revision, ..event(1, Kind::Configuration, Outcome::Granted) };
    // Both found the name free at the beginning; only the first may have it.
    let first = here.writer().configure_checked(name("cl_a"), checked_at(0)).await.unwrap();
    assert_eq!(first, Configured::Done { revision: 1 });
    let second = there.writer().configure_checked(name("cl_b"), checked_at(0)).await.unwrap();
    assert_eq!(second, Configured::Moved);
    // A revocation changes no name.
    let revoked = event(2, Kind::Revocation, Outcome::Granted);
    here.writer().revoke(Target::Agent(agent()), None, at(2), revoked).await.unwrap();
    let again = there.writer().configure_checked(name("cl_b"), checked_at(1)).await.unwrap();
    assert_eq!(again, Configured::Done { revision: 3 });
    assert_eq!(there.documents().await.unwrap().len(), 2);
    for store in [here, there] {
        store.close().await.unwrap();
    }
}

async fn revocations_come_back_in_order_of_number(db: Db) {
    let store = db.open(1).await;
    let tool = deputy::model::authority::ToolName::parse("refunds.export").unwrap();
    let resource = deputy::base::id::ResourceId::parse("refunds").unwrap();
    let targets = [
        (Target::Delegation(id(1)), Some(Bar::Child(id(1), agent()))),
        (Target::Transaction(TransactionId::from_bytes([1; 16])), None),
        (Target::Subject(alice()), None),
        (Target::Agent(agent()), Some(Bar::Root(TransactionId::from_bytes([2; 16])))),
        (Target::Resource(resource.clone()), None),
        (Target::Tool(resource, tool), None),
        (Target::Issuer("https://login.example".into()), None),
    ];
    for (target, bar) in targets.clone() {
        let revoked = event(1, Kind::Revocation, Outcome::Granted);
        store.writer().revoke(target, bar, at(1), revoked).await.unwrap();
    }
    let all = store.revocations_after(0).await.unwrap();
    let numbers: Vec<u64> = all.iter().map(|revocation| revocation.revision).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    let seen: Vec<_> = all.into_iter().map(|r| (r.target, r.bar)).collect();
    assert_eq!(seen, targets);
    assert_eq!(store.revocations_after(5).await.unwrap().len(), 2);
    store.close().await.unwrap();
}

async fn delegations_are_listed_by_filter_and_cursor(db: Db) {
    let store = db.open(1).await;
    for n in 0..7 {
        store.writer().delegate(root(n, 0), granted(n), none()).await.unwrap();
    }
    let mut child = root(7, 0);
    child.claims.path = vec![id(3), id(7)];
    child.source = Source::Delegation(id(3));
    store.writer().delegate(child, granted(7), none()).await.unwrap();

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = Page { after, limit: 3 };
        let listing = store.delegations(&DelegationFilter::default(), &page).await.unwrap();
        seen.extend(listing.items.iter().map(|stored| stored.id));
        let Some(next) = listing.next else { break };
        after = Cursor::parse(&next.to_string());
        assert!(after.is_some());
    }
    assert_eq!(seen, (0..8).rev().map(id).collect::<Vec<_>>());

    let any = DelegationFilter::default;
    let odd = TransactionId::from_bytes([1; 16]);
    let filters = [
        (DelegationFilter { txn: Some(odd), ..any() }, vec![7, 5, 3, 1]),
        (DelegationFilter { txn: Some(odd), subject: Some(alice()), ..any() }, vec![7, 5, 3, 1]),
        (DelegationFilter { parent: Some(id(3)), ..any() }, vec![7]),
        (DelegationFilter { holder: Some(agent()), live_at: Some(at(125)), ..any() }, vec![7, 6]),
        (DelegationFilter { subject: Some(alice()), live_at: Some(at(126)), ..any() }, vec![7]),
    ];
    for (filter, expected) in filters {
        let listing = store.delegations(&filter, &page(10)).await.unwrap();
        let found: Vec<_> = listing.items.iter().map(|stored| stored.id).collect();
        assert_eq!(found, expected.into_iter().map(id).collect::<Vec<_>>(), "{filter:?}");
    }
    let stored = store.delegation(id(7)).await.unwrap().unwrap();
    assert_eq!((stored.source, stored.depth), (Source::Delegation(id(3)), 1));
    assert_eq!((stored.subject, stored.holder), (alice(), agent()));
    store.close().await.unwrap();
}

async fn a_restart_keeps_everything(db: Db) {
    let first = db.open(1).await;
    first.writer().delegate(root(1, 0), granted(1), none()).await.unwrap();
    first.writer().journal(read(2));
    // Closing writes what was only journalled.
    first.close().await.unwrap();
    let refused = first.writer().decide(read(3), none()).await;
    assert!(matches!(refused, Err(Error::Closed)));

    let second = db.open(2).await;
    second.writer().decide(event(3, Kind::Decision, Outcome::Granted), none()).await.unwrap();
    assert!(second.delegation(id(1)).await.unwrap().is_some());
    let events = second.events(&EventFilter::default(), &page(10)).await.unwrap().items;
    assert_eq!(events.len(), 3);
    assert_eq!(events[2].event, granted(1));
    assert_eq!(events[1].event, read(2));
    let report = proved(&second).await;
    assert_eq!((report.writers, report.events, report.broken), (2, 3, None));
    second.close().await.unwrap();
}

async fn a_full_queue_refuses_at_once(db: Db) {
    let store = db
        .open_with(1, |options| {
            options.changes_max = 2;
            options.journal_max = 8;
        })
        .await;
    let writer = store.writer();
    // The writer's task cannot run before we wait: this runtime has one thread.
    let taken = (0..10).filter(|n| writer.journal(read(*n))).count();
    assert_eq!((taken, writer.lost()), (4, 6), "half of the room is for others");
    let other = Some(ClientId::parse("cl_other").unwrap());
    let of_other = |n| Event { client: other.clone(), ..read(n) };
    let taken = (0..10).filter(|n| writer.journal(of_other(*n))).count();
    assert_eq!((taken, writer.lost()), (4, 12));
    let decide = || writer.decide(event(1, Kind::Decision, Outcome::Granted), none());
    let (one, two, three) = tokio::join!(decide(), decide(), decide());
    one.unwrap();
    two.unwrap();
    assert!(matches!(three, Err(Error::Busy)));
    writer.flush().await.unwrap();
    let report = proved(&store).await;
    // Eight reads share one link, two decisions another.
    assert_eq!((report.events, report.links, report.broken), (10, 2, None));
    // What is written makes room again.
    assert!(writer.journal(read(1)));
    store.close().await.unwrap();
}

async fn a_sweep_deletes_only_what_is_old(db: Db) {
    let store = db.open(1).await;
    for n in 0..3 {
        store.writer().delegate(root(n, 0), granted(n), none()).await.unwrap();
    }
    for n in [0, 9_000] {
        let revoked = event(n, Kind::Revocation, Outcome::Granted);
        store.writer().revoke(Target::Agent(agent()), None, at(n), revoked).await.unwrap();
    }
    // Kept for 30 s after their end at 120, 121 and 122.
    let keep = Keep {
        delegations: Seconds::new(30),
        revocations: Seconds::new(0),
        versions: Seconds::new(0),
        log: None,
    };
    let swept = store.sweep(at(151), keep).await.unwrap();
    assert_eq!((swept.delegations, swept.revocations, swept.more), (2, 0, false));
    assert!(store.delegation(id(2)).await.unwrap().is_some());
    // A revocation outlives every token that it ends, whatever is asked for.
    let swept = store.sweep(at(4_501), keep).await.unwrap();
    assert_eq!((swept.delegations, swept.revocations), (1, 1));
    let left = store.revocations_after(0).await.unwrap();
    assert_eq!((left.len(), left[0].revision), (1, 2));
    store.close().await.unwrap();
}

async fn a_database_held_up_answers_unavailable_and_recovers(db: Db) {
    let store = db.open(1).await;
    let writer = store.writer();
    writer.delegate(root(1, 0), granted(1), none()).await.unwrap();
    let mut hand = db.hand().await;
    hand.begin().await;
    if let Hand::Postgres(_) = hand {
        hand.run("LOCK TABLE journal").await;
    }
    writer.journal(read(2));
    let held_up = writer.decide(event(3, Kind::Decision, Outcome::Granted), none()).await;
    assert!(matches!(held_up, Err(Error::Unavailable(_))), "{held_up:?}");
    hand.run("ROLLBACK").await;
    writer.delegate(root(2, 0), granted(2), none()).await.unwrap();
    writer.flush().await.unwrap();
    // What was told to be unavailable was not done; what was journalled is there once.
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken, writer.lost()), (3, None, 0));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_writer_whose_connection_was_cut_connects_again() {
    let db = Db::postgres("cut");
    let store = db.open(1).await;
    let writer = store.writer();
    writer.delegate(root(1, 0), granted(1), none()).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(db.hand().await.number(cut).await >= 1);
    let first = writer.delegate(root(2, 0), granted(2), none()).await;
    assert!(matches!(first, Err(Error::Unavailable(_))), "{first:?}");
    let again = writer.delegate(root(2, 0), granted(2), none()).await.unwrap();
    assert!(matches!(again, Delegated::Recorded(_)));
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken), (2, None));
    store.close().await.unwrap();
}

/// A road to the database on which answers can get lost.
struct Road {
    url: String,
    lost: Arc<AtomicBool>,
}

impl Road {
    async fn to(url: &str) -> Road {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (head, name) = url.rsplit_once('/').unwrap();
        let (_, server) = head.rsplit_once('@').unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://deputy@127.0.0.1:{port}/{name}");
        let lost = Arc::new(AtomicBool::new(false));
        tokio::spawn(Road::lead(listener, server.to_owned(), Arc::clone(&lost)));
        Road { url, lost }
    }

    async fn lead(listener: TcpListener, server: String, lost: Arc<AtomicBool>) {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let stream = TcpStream::connect(&server).await.unwrap();
            let (mut from_server, mut to_server) = stream.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let lost = Arc::clone(&lost);
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(n) = from_server.read(&mut buffer).await {
                    let gone = lost.load(Ordering::SeqCst);
                    if n == 0 || (!gone && to_client.write_all(&buffer[..n]).await.is_err()) {
                        return;
                    }
                }
            });
        }
    }
}

#[tokio::test]
async fn what_was_committed_without_an_answer_is_written_once() {
    let db = Db::postgres("answer_lost");
    let road = Road::to(&db.url).await;
    let far = Db { url: road.url.clone(), dir: None };
    let store = far.open(1).await;
    let writer = store.writer();
    writer.delegate(root(1, 0), granted(1), none()).await.unwrap();

    road.lost.store(true, Ordering::SeqCst);
    writer.journal(read(2));
    let decided = writer.decide(event(3, Kind::Decision, Outcome::Granted), none()).await;
    assert!(matches!(decided, Err(Error::Unavailable(_))), "{decided:?}");
    road.lost.store(false, Ordering::SeqCst);

    writer.flush().await.unwrap();
    writer.delegate(root(4, 0), granted(4), none()).await.unwrap();
    // Both were committed although nobody heard of it; neither is there twice.
    let near = db.open(2).await;
    let found = near.events(&EventFilter::default(), &page(10)).await.unwrap().items;
    let times: Vec<_> = found.iter().map(|stored| stored.event.at).collect();
    assert_eq!(times, [at(4), at(3), at(2), at(1)]);
    assert_eq!(proved(&near).await.broken, None);
    near.close().await.unwrap();
    store.close().await.unwrap();
}
