//! The audit log: finding events, and proving that nobody touched them.

use std::sync::Arc;

use deputy::{
    base::id::{DecisionId, ErrorId, TransactionId},
    model::{
        event::{Event, Kind, Outcome},
        resource::Effect,
        subject::Subject,
    },
    store::{BrokenPlace, Cursor, EventFilter, Page, Store, StoredEvent, Why},
};

use super::{Db, alice, at, event, none, page, proved, read};

super::on_both! {
    events_are_found_by_every_filter
    pages_of_events_neither_lose_nor_repeat
    hundreds_of_reads_share_a_link
    a_long_record_is_packed_and_a_change_in_it_found
    an_event_is_found_from_its_own_moment_on_whoever_shares_its_link
    a_journalled_event_is_written_unasked
    a_changed_record_is_found
    a_removed_record_is_found
    exchanged_records_are_found
    a_changed_private_part_is_found
    a_changed_subject_is_found
    a_subject_alone_has_no_private_row
    an_erased_person_leaves_a_chain_that_verifies
    no_personal_value_is_chained
}

fn refusal() -> Event {
    Event {
        tool: Some(Arc::from("refunds.list")),
        txn: Some(TransactionId::from_bytes([5; 16])),
        error: Some(ErrorId::from_bytes([6; 16])),
        reason: "argument_not_permitted".into(),
        ..event(10, Kind::Decision, Outcome::Refused)
    }
}

fn written() -> Event {
    Event {
        tool: Some(Arc::from("refunds.create")),
        effect: Some(Effect::Write),
        decision: Some(DecisionId::from_bytes([7; 16])),
        subject: Some(Subject { issuer: "https://login.example".into(), sub: "bob".into() }),
        chain: Vec::new(),
        ..event(20, Kind::Decision, Outcome::Granted)
    }
}

fn allowed_read() -> Event {
    Event { decision: Some(DecisionId::from_bytes([8; 16])), ..read(30) }
}

/// A log with a refusal, an allowed write and an allowed read, in this order.
async fn filled(db: &Db) -> Store {
    let store = db.open(1).await;
    store.writer().journal(refusal());
    store.writer().flush().await.unwrap();
    store.writer().decide(written(), none()).await.unwrap();
    store.writer().journal(allowed_read());
    store.writer().flush().await.unwrap();
    store
}

fn events(stored: Vec<StoredEvent>) -> Vec<Event> {
    stored.into_iter().map(|stored| stored.event).collect()
}

async fn events_are_found_by_every_filter(db: Db) {
    let store = filled(&db).await;
    let any = EventFilter::default;
    let bob = written().subject;
    let stranger = Some(Subject { issuer: "https://other.example".into(), sub: "bob".into() });
    let (refused, wrote, saw) = (refusal(), written(), allowed_read());
    let filters = [
        (any(), vec![&saw, &wrote, &refused]),
        (EventFilter { subject: Some(alice()), ..any() }, vec![&saw, &refused]),
        (EventFilter { subject: bob, ..any() }, vec![&wrote]),
        (EventFilter { subject: stranger, ..any() }, vec![]),
        (EventFilter { actor: Some("cl_billing-agent".into()), ..any() }, vec![&saw, &refused]),
        (
            EventFilter { actor: Some("cl_support-agent".into()), ..any() },
            vec![&saw, &wrote, &refused],
        ),
        (EventFilter { actor: Some("cl_support".into()), ..any() }, vec![]),
        (EventFilter { tool: Some("tickets.get".into()), ..any() }, vec![&saw]),
        (EventFilter { tool: Some("refunds.list".into()), ..any() }, vec![&refused]),
        (EventFilter { txn: refused.txn, ..any() }, vec![&refused]),
        (EventFilter { kind: Some(Kind::Exchange), ..any() }, vec![]),
        (EventFilter { kind: Some(Kind::Decision), ..any() }, vec![&saw, &wrote, &refused]),
        (EventFilter { outcome: Some(Outcome::Refused), ..any() }, vec![&refused]),
        (EventFilter { outcome: Some(Outcome::Granted), ..any() }, vec![&saw, &wrote]),
        (EventFilter { decision: wrote.decision, ..any() }, vec![&wrote]),
        (EventFilter { decision: saw.decision, ..any() }, vec![&saw]),
        (EventFilter { error: refused.error, ..any() }, vec![&refused]),
        (EventFilter { since: Some(at(20)), ..any() }, vec![&saw, &wrote]),
        (EventFilter { since: Some(at(11)), outcome: Some(Outcome::Refused), ..any() }, vec![]),
    ];
    for (filter, expected) in filters {
        let found = events(store.events(&filter, &page(10)).await.unwrap().items);
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
    store.close().await.unwrap();
}

async fn pages_of_events_neither_lose_nor_repeat(db: Db) {
    let store = db.open(1).await;
    for n in 0..40 {
        if n % 4 == 0 {
            store
                .writer()
                .decide(event(n / 3, Kind::Decision, Outcome::Refused), none())
                .await
                .unwrap();
        } else {
            store.writer().journal(read(n / 3));
        }
    }
    store.writer().flush().await.unwrap();
    let refused = EventFilter { outcome: Some(Outcome::Refused), ..EventFilter::default() };
    for (filter, count) in [(EventFilter::default(), 40), (refused, 10)] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let listing = store.events(&filter, &Page { after, limit: 7 }).await.unwrap();
            seen.extend(listing.items.into_iter().map(|s| (s.writer, s.seq, s.n)));
            let Some(next) = listing.next else { break };
            after = Some(Cursor::parse(&next.to_string()).unwrap());
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((all, seen.len()), (count, count));
    }
    store.close().await.unwrap();
}

async fn hundreds_of_reads_share_a_link(db: Db) {
    let store = db.open(1).await;
    for n in 0..600 {
        assert!(store.writer().journal(read(n)));
    }
    store.writer().flush().await.unwrap();
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken), (600, None));
    // 256 events or 64 KiB each.
    assert!(report.links <= 8, "{}", report.links);
    store.close().await.unwrap();
}

/// A slow request is judged at an earlier moment than a quick one that was written down before it.
async fn an_event_is_found_from_its_own_moment_on_whoever_shares_its_link(db: Db) {
    let store = db.open(1).await;
    let decided = |n: u8| Some(DecisionId::at(at(30), [n; DecisionId::REST_BYTES]));
    let refused = Event { decision: decided(1), ..refusal() };
    let quick = [
        Event { at: at(30), ..refused },
        Event { decision: decided(2), ..read(30) },
        Event { decision: None, ..read(20) },
    ];
    for event in &quick {
        assert!(store.writer().journal(event.clone()));
    }
    store.writer().flush().await.unwrap();
    for event in quick.iter().take(2) {
        let found = store.decision(event.decision.unwrap()).await.unwrap();
        assert_eq!(found.map(|found| found.event).as_ref(), Some(event));
    }
    let since = EventFilter { since: Some(at(30)), ..EventFilter::default() };
    let found = events(store.events(&since, &page(10)).await.unwrap().items);
    assert_eq!(found, [quick[1].clone(), quick[0].clone()]);
    assert_eq!(proved(&store).await.broken, None);
    store.close().await.unwrap();
}

async fn a_journalled_event_is_written_unasked(db: Db) {
    let store = db.open(1).await;
    assert!(store.writer().journal(read(1)));
    while proved(&store).await.events == 0 {
        tokio::task::yield_now().await;
    }
    store.close().await.unwrap();
}

async fn a_long_record_is_packed_and_a_change_in_it_found(db: Db) {
    let store = db.open(1).await;
    let reads: Vec<Event> = (0..256).map(read).collect();
    for read in &reads {
        assert!(store.writer().journal(read.clone()));
    }
    store.writer().flush().await.unwrap();
    let mut hand = db.hand().await;
    let stored = hand.number("SELECT sum(length(record)) FROM journal").await;
    assert!((1..16 * 1_024).contains(&stored), "256 events are stored in {stored} bytes");
    let mut found = Vec::new();
    let mut next = page(100);
    loop {
        let listing = store.events(&EventFilter::default(), &next).await.unwrap();
        found.extend(events(listing.items));
        let Some(after) = listing.next else { break };
        next.after = Some(after);
    }
    found.reverse();
    assert_eq!(found, reads);
    assert_eq!(proved(&store).await.broken, None);
    store.close().await.unwrap();

    let change = match db.dir {
        Some(_) => {
            "UPDATE journal SET record =
            CAST(substr(record, 1, 100) || x'00' || substr(record, 102) AS BLOB)"
        }
        None => "UPDATE journal SET record = set_byte(record, 100, 0)",
    };
    db.tamper(change).await;
    let store = db.open(2).await;
    assert_eq!(proved(&store).await.broken.map(|broken| broken.why), Some(Why::Altered));
    store.close().await.unwrap();
}

/// What the proof says after somebody did `sql` to a log of three links.
async fn verdict(db: &Db, sql: &[&'static str]) -> Option<(u64, Why)> {
    let store = filled(db).await;
    assert_eq!(proved(&store).await.broken, None);
    for sql in sql {
        db.tamper(sql).await;
    }
    let report = proved(&store).await;
    store.close().await.unwrap();
    report.broken.map(|broken| match broken.place {
        BrokenPlace::Link { seq, .. } => (seq, broken.why),
        BrokenPlace::Checkpoint(n) => panic!("no checkpoint was signed, and {n} is broken"),
    })
}

async fn a_changed_record_is_found(db: Db) {
    let change = match db.dir {
        Some(_) => {
            "UPDATE journal SET record = CAST(replace(CAST(record AS TEXT), 'refused', 'granted')
            AS BLOB) WHERE seq = 1"
        }
        None => {
            "UPDATE journal SET record = convert_to(replace(convert_from(record, 'UTF8'), 'refused',
            'granted'), 'UTF8') WHERE seq = 1"
        }
    };
    assert_eq!(verdict(&db, &[change]).await, Some((1, Why::Altered)));
}

async fn a_removed_record_is_found(db: Db) {
    let found = verdict(&db, &["DELETE FROM journal WHERE seq = 2"]).await;
    assert_eq!(found, Some((2, Why::Missing)));
}

async fn exchanged_records_are_found(db: Db) {
    let moves = [
        "UPDATE journal SET seq = 9 WHERE seq = 2",
        "UPDATE journal SET seq = 2 WHERE seq = 3",
        "UPDATE journal SET seq = 3 WHERE seq = 9",
    ];
    assert_eq!(verdict(&db, &moves).await, Some((2, Why::Displaced)));
}

async fn a_changed_private_part_is_found(db: Db) {
    let change = "UPDATE journal_private
        SET body = (SELECT record FROM journal WHERE seq = 1) WHERE seq = 2";
    assert_eq!(verdict(&db, &[change]).await, Some((2, Why::PrivateAltered)));
}

async fn a_changed_subject_is_found(db: Db) {
    let change = "UPDATE subject_key SET sub = 'mallory' WHERE sub = 'bob'";
    assert_eq!(verdict(&db, &[change]).await, Some((2, Why::PrivateAltered)));
}

async fn a_subject_alone_has_no_private_row(db: Db) {
    let store = db.open(1).await;
    let alone = Event { detail: Vec::new(), ..allowed_read() };
    store.writer().journal(alone.clone());
    store.writer().journal(allowed_read());
    store.writer().flush().await.unwrap();
    let mut hand = db.hand().await;
    assert_eq!(hand.number("SELECT count(*) FROM journal_private").await, 1);
    assert_eq!(hand.number("SELECT count(*) FROM journal_index").await, 0);
    let found = events(store.events(&EventFilter::default(), &page(10)).await.unwrap().items);
    assert_eq!(found, [allowed_read(), alone]);
    assert_eq!(proved(&store).await.broken, None);
    store.close().await.unwrap();
}

async fn an_erased_person_leaves_a_chain_that_verifies(db: Db) {
    let store = filled(&db).await;
    let mut hand = db.hand().await;
    hand.run(
        "DELETE FROM journal_private
        WHERE key IN (SELECT id FROM subject_key WHERE sub = 'alice')",
    )
    .await;
    hand.run("DELETE FROM subject_key WHERE sub = 'alice'").await;
    let report = proved(&store).await;
    assert_eq!((report.events, report.erased, report.broken), (3, 2, None));
    let found = store.events(&EventFilter::default(), &page(10)).await.unwrap().items;
    let erased: Vec<_> = found.iter().map(|s| (s.erased, s.event.subject.is_some())).collect();
    assert_eq!(erased, [(true, false), (false, true), (true, false)]);
    store.close().await.unwrap();
}

async fn no_personal_value_is_chained(db: Db) {
    let store = filled(&db).await;
    let mut hand = db.hand().await;
    let count = match db.dir {
        Some(_) => {
            "SELECT count(*) FROM journal
            WHERE CAST(record AS TEXT) LIKE '%alice%' OR CAST(record AS TEXT) LIKE '%A-17%'"
        }
        None => {
            "SELECT count(*) FROM journal WHERE convert_from(record, 'UTF8') LIKE '%alice%'
            OR convert_from(record, 'UTF8') LIKE '%A-17%'"
        }
    };
    assert_eq!(hand.number(count).await, 0);
    let index = "SELECT count(*) FROM journal_index WHERE actors LIKE '%alice%'";
    assert_eq!(hand.number(index).await, 0);
    store.close().await.unwrap();
}
