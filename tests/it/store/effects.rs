//! What may happen once, and what is counted: inside one batch, across batches, restarts and
//! instances, with delegations and with decisions.

use std::sync::Arc;

use deputy::{
    base::{
        id::{DecisionId, DelegationId},
        secret::Fingerprint,
        time::Seconds,
    },
    model::{
        effect::{Asked, Budget, Conflict, Effects, Once, OnceKind, Spend},
        event::{Committed, Event, Kind, Outcome},
        revocation::Target,
        uri::Uri,
    },
    store::{Decided, Delegated, Error, Keep, Store},
};
use tokio::task::JoinSet;

use super::{Db, agent, at, event, granted, id, none, proved, root};

super::on_both! {
    an_assertion_is_used_once_by_delegations_and_decisions
    of_one_batch_one_has_it_and_the_others_are_not_harmed
    many_at_once_on_two_instances_use_it_once
    a_delegation_that_moved_used_nothing_up
    what_is_refused_uses_up_nothing_else
    a_call_that_is_asked_again_is_the_same_decision
    a_repeated_call_still_uses_up_the_assertion
    a_budget_is_spent_exactly_on_two_instances
    a_call_is_taken_from_every_budget_or_from_none
    crossing_budgets_of_two_instances_do_not_lock_each_other_out
    a_budget_that_nobody_opened_is_empty
    effects_are_forgotten_only_after_they_ended
    too_many_effects_are_refused
}

fn assertion(jti: &str) -> Effects {
    Effects::once(Once::assertion(&agent(), jti, at(300)))
}

fn proof(jti: &str) -> Once {
    Once::proof("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", jti, at(300))
}

fn decision(n: u8) -> DecisionId {
    DecisionId::from_bytes([n; 16])
}

/// A call under the `call_id` `x`: with which question, decided how.
fn call(question: &str, n: u8) -> Once {
    let asked = Asked { question: Fingerprint::of(question.as_bytes()), decision: decision(n) };
    Once::call(id(1), "x", asked, at(120))
}

fn here() -> Uri {
    Uri::parse("https://tickets.example/mcp").unwrap()
}

fn budget(delegation: DelegationId, max_calls: u32) -> Budget {
    Budget { delegation, location: here(), max_calls, until: at(120) }
}

fn spend(of: &[u16]) -> Effects {
    let spend = |n: &u16| Spend { delegation: id(*n), location: here() };
    Effects { spend: of.iter().map(spend).collect(), ..none() }
}

fn decided() -> Event {
    event(2, Kind::Decision, Outcome::Granted)
}

async fn decide(store: &Store, effects: Effects) -> Decided {
    store.writer().decide(decided(), effects).await.unwrap()
}

/// Records the delegation `n` with a budget.
async fn open(store: &Store, n: u16, max_calls: u32) {
    let effects = Effects { open: vec![budget(id(n), max_calls)], ..none() };
    let done = store.writer().delegate(root(n, 0), granted(n), effects).await.unwrap();
    assert!(matches!(done, Delegated::Recorded(_)), "{done:?}");
}

fn recorded(decided: &Decided) -> bool {
    matches!(decided, Decided::Recorded(committed) if committed.repeats().is_none())
}

const REPLAYED: Decided = Decided::Refused(Conflict::Replayed(OnceKind::Assertion));

async fn an_assertion_is_used_once_by_delegations_and_decisions(db: Db) {
    let store = db.open(1).await;
    let writer = store.writer();
    let first = writer.delegate(root(1, 0), granted(1), assertion("a")).await.unwrap();
    assert!(matches!(first, Delegated::Recorded(_)));
    let again = writer.delegate(root(2, 0), granted(2), assertion("a")).await.unwrap();
    assert_eq!(again, Delegated::Refused(Conflict::Replayed(OnceKind::Assertion)));
    assert!(store.delegation(id(2)).await.unwrap().is_none());
    assert_eq!(decide(&store, assertion("a")).await, REPLAYED);
    assert_eq!(writer.use_up(assertion("a")).await.unwrap(), REPLAYED);
    // Another name, another client, another kind: another thing.
    assert!(recorded(&writer.use_up(assertion("b")).await.unwrap()));
    let other = deputy::base::id::ClientId::parse("cl_other").unwrap();
    let other = Effects::once(Once::assertion(&other, "a", at(300)));
    assert!(recorded(&decide(&store, other).await));
    assert!(recorded(&decide(&store, Effects::once(proof("a"))).await));
    store.close().await.unwrap();

    let restarted = db.open(2).await;
    assert_eq!(decide(&restarted, assertion("a")).await, REPLAYED);
    assert_eq!(decide(&restarted, assertion("b")).await, REPLAYED);
    // Nothing that was refused left an event, and what was used up without one has none.
    let report = proved(&restarted).await;
    assert_eq!((report.events, report.broken), (3, None));
    restarted.close().await.unwrap();
}

async fn of_one_batch_one_has_it_and_the_others_are_not_harmed(db: Db) {
    let store = db.open(1).await;
    let writer = store.writer();
    writer.journal(super::read(0));
    // All of these are in one batch.
    let (mint, first, second, free, unlike, plain) = tokio::join!(
        writer.delegate(root(1, 0), granted(1), assertion("a")),
        writer.decide(decided(), assertion("a")),
        writer.decide(decided(), assertion("a")),
        writer.decide(decided(), none()),
        writer.decide(decided(), assertion("b")),
        writer.delegate(root(2, 0), granted(2), none()),
    );
    let mint = mint.unwrap();
    let minted = matches!(mint, Delegated::Recorded(_));
    assert!(minted || mint == Delegated::Refused(Conflict::Replayed(OnceKind::Assertion)));
    let had = [first.unwrap(), second.unwrap()];
    let winners = had.iter().filter(|decided| recorded(decided)).count();
    assert_eq!(winners + usize::from(minted), 1);
    assert!(had.iter().all(|decided| recorded(decided) || *decided == REPLAYED));
    assert!(recorded(&free.unwrap()) && recorded(&unlike.unwrap()));
    assert!(matches!(plain.unwrap(), Delegated::Recorded(_)));
    writer.flush().await.unwrap();
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken), (5, None));
    store.close().await.unwrap();
}

async fn many_at_once_on_two_instances_use_it_once(db: Db) {
    let stores = [Arc::new(db.open(1).await), Arc::new(db.open(2).await)];
    for round in 0..10_u16 {
        let mut tasks = JoinSet::new();
        for n in 0..16_u16 {
            let store = Arc::clone(&stores[usize::from(n % 2)]);
            tasks.spawn(async move {
                let effects = assertion(&round.to_string());
                if n < 8 {
                    let n = round * 16 + n;
                    let done = store.writer().delegate(root(n, 0), granted(n), effects).await;
                    matches!(done.unwrap(), Delegated::Recorded(_))
                } else {
                    recorded(&decide(&store, effects).await)
                }
            });
        }
        let won = tasks.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1, "round {round}");
    }
    let report = proved(&stores[0]).await;
    assert_eq!((report.events, report.broken), (10, None));
    for store in stores {
        store.close().await.unwrap();
    }
}

async fn a_delegation_that_moved_used_nothing_up(db: Db) {
    let store = db.open(1).await;
    let writer = store.writer();
    let revoked = event(1, Kind::Revocation, Outcome::Granted);
    writer.revoke(Target::Agent(agent()), None, at(1), revoked).await.unwrap();
    let (moved, beside) = tokio::join!(
        writer.delegate(root(1, 0), granted(1), assertion("a")),
        writer.decide(decided(), assertion("b")),
    );
    assert_eq!(moved.unwrap(), Delegated::Moved { revision: 1 });
    assert!(recorded(&beside.unwrap()));
    let again = writer.delegate(root(1, 1), granted(1), assertion("a")).await.unwrap();
    assert!(matches!(again, Delegated::Recorded(_)));
    let report = proved(&store).await;
    assert_eq!((report.events, report.broken), (3, None));
    store.close().await.unwrap();
}

async fn what_is_refused_uses_up_nothing_else(db: Db) {
    let store = db.open(1).await;
    open(&store, 1, 2).await;
    assert!(recorded(&decide(&store, Effects::once(proof("used"))).await));
    let both = |jti: &str, used: &str| Effects {
        once: vec![Once::assertion(&agent(), jti, at(300)), proof(used)],
        ..spend(&[1])
    };
    let refused = decide(&store, both("a", "used")).await;
    assert_eq!(refused, Decided::Refused(Conflict::Replayed(OnceKind::Proof)));
    // Neither the assertion nor a call was used up.
    assert!(recorded(&decide(&store, both("a", "b")).await));
    assert!(recorded(&decide(&store, spend(&[1])).await));
    assert_eq!(decide(&store, spend(&[1])).await, Decided::Refused(Conflict::Exhausted(id(1))));
    store.close().await.unwrap();
}

async fn a_call_that_is_asked_again_is_the_same_decision(db: Db) {
    let stores = [Arc::new(db.open(1).await), Arc::new(db.open(2).await)];
    open(&stores[0], 1, 3).await;
    let ask = |question: &str, n: u8| Effects { once: vec![call(question, n)], ..spend(&[1]) };
    let mut tasks = JoinSet::new();
    for n in 0..20_u8 {
        let (store, effects) = (Arc::clone(&stores[usize::from(n % 2)]), ask("same", n));
        tasks.spawn(async move { (decision(n), decide(&store, effects).await) });
    }
    let mut ids = Vec::new();
    for (own, decided) in tasks.join_all().await {
        let Decided::Recorded(committed) = decided else { panic!("{decided:?}") };
        ids.push(committed.repeats().unwrap_or(own));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one decision, whoever asked");
    let other = decide(&stores[1], ask("other", 30)).await;
    assert_eq!(other, Decided::Refused(Conflict::Replayed(OnceKind::Call)));
    // One call was taken, once; and one event written.
    assert!(recorded(&decide(&stores[0], spend(&[1])).await));
    assert!(recorded(&decide(&stores[0], spend(&[1])).await));
    let empty = decide(&stores[1], spend(&[1])).await;
    assert_eq!(empty, Decided::Refused(Conflict::Exhausted(id(1))));
    // Asking again costs nothing even now.
    let again = decide(&stores[1], ask("same", 40)).await;
    assert_eq!(again, Decided::Recorded(Committed::before_by_store(ids[0])));
    assert_eq!(proved(&stores[0]).await.events, 4);
    for store in stores {
        store.close().await.unwrap();
    }
}

async fn a_repeated_call_still_uses_up_the_assertion(db: Db) {
    let store = db.open(1).await;
    let ask = |jti: &str| Effects {
        once: vec![call("same", 1), Once::assertion(&agent(), jti, at(300))],
        ..none()
    };
    assert!(recorded(&decide(&store, ask("a")).await));
    let again = Decided::Recorded(Committed::before_by_store(decision(1)));
    assert_eq!(decide(&store, ask("b")).await, again);
    assert_eq!(decide(&store, ask("b")).await, REPLAYED);
    assert_eq!(decide(&store, ask("a")).await, REPLAYED);
    assert_eq!(proved(&store).await.events, 1);
    store.close().await.unwrap();
}

async fn a_budget_is_spent_exactly_on_two_instances(db: Db) {
    let stores = [Arc::new(db.open(1).await), Arc::new(db.open(2).await)];
    open(&stores[0], 1, 25).await;
    // Two below it with budgets of their own, which together promise more than there is.
    open(&stores[0], 2, 20).await;
    open(&stores[1], 3, 20).await;
    let mut tasks = JoinSet::new();
    for n in 0..90_u16 {
        let store = Arc::clone(&stores[usize::from(n % 2)]);
        let path: &[u16] = [&[1_u16] as &[_], &[1, 2], &[1, 3]][usize::from(n % 3)];
        tasks.spawn(async move { decide(&store, spend(path)).await });
    }
    let allowed = tasks.join_all().await.iter().filter(|decided| recorded(decided)).count();
    assert_eq!(allowed, 25);
    let report = proved(&stores[0]).await;
    assert_eq!((report.events, report.broken), (28, None));
    for store in stores {
        store.close().await.unwrap();
    }
}

async fn a_call_is_taken_from_every_budget_or_from_none(db: Db) {
    let store = db.open(1).await;
    open(&store, 1, 5).await;
    open(&store, 2, 1).await;
    assert!(recorded(&decide(&store, spend(&[1, 2])).await));
    for _ in 0..3 {
        let refused = decide(&store, spend(&[1, 2])).await;
        assert_eq!(refused, Decided::Refused(Conflict::Exhausted(id(2))));
    }
    let (first, both, second, third, fourth) = tokio::join!(
        decide(&store, spend(&[1])),
        decide(&store, spend(&[1, 2])),
        decide(&store, spend(&[1])),
        decide(&store, spend(&[1])),
        decide(&store, spend(&[1])),
    );
    assert!([first, second, third, fourth].iter().all(recorded));
    assert_eq!(both, Decided::Refused(Conflict::Exhausted(id(2))));
    assert_eq!(decide(&store, spend(&[1])).await, Decided::Refused(Conflict::Exhausted(id(1))));
    store.close().await.unwrap();
}

async fn crossing_budgets_of_two_instances_do_not_lock_each_other_out(db: Db) {
    let stores = [Arc::new(db.open(1).await), Arc::new(db.open(2).await)];
    open(&stores[0], 1, 1_000).await;
    open(&stores[0], 2, 1_000).await;
    let mut tasks = JoinSet::new();
    for n in 0..100_u16 {
        let store = Arc::clone(&stores[usize::from(n % 2)]);
        let (path, names) = [([1, 2], ["a", "b"]), ([2, 1], ["b", "a"])][usize::from(n % 2)];
        tasks.spawn(async move {
            let once = names.map(|name| Once::proof(name, &n.to_string(), at(300))).to_vec();
            decide(&store, Effects { once, ..spend(&path) }).await
        });
    }
    assert!(tasks.join_all().await.iter().all(recorded));
    for store in stores {
        store.close().await.unwrap();
    }
}

async fn a_budget_that_nobody_opened_is_empty(db: Db) {
    let store = db.open(1).await;
    open(&store, 1, 1).await;
    let elsewhere = Uri::parse("https://archive.example/mcp").unwrap();
    let elsewhere = Spend { delegation: id(1), location: elsewhere };
    let refused = decide(&store, Effects { spend: vec![elsewhere], ..none() }).await;
    assert_eq!(refused, Decided::Refused(Conflict::Exhausted(id(1))));
    assert_eq!(decide(&store, spend(&[2])).await, Decided::Refused(Conflict::Exhausted(id(2))));
    store.close().await.unwrap();
}

async fn effects_are_forgotten_only_after_they_ended(db: Db) {
    let store = db.open(1).await;
    open(&store, 1, 1).await;
    assert!(recorded(&decide(&store, assertion("a")).await));
    let keep = Keep {
        delegations: Seconds::new(86_400),
        revocations: Seconds::new(0),
        versions: Seconds::new(86_400),
        log: None,
    };
    // The budget ends at 120, the assertion at 300; an instance whose clock is 300 s slow may ask.
    assert_eq!(store.sweep(at(419), keep).await.unwrap().effects, 0);
    assert_eq!(store.sweep(at(420), keep).await.unwrap().effects, 1);
    assert_eq!(decide(&store, spend(&[1])).await, Decided::Refused(Conflict::Exhausted(id(1))));
    assert_eq!(store.sweep(at(599), keep).await.unwrap().effects, 0);
    assert_eq!(decide(&store, assertion("a")).await, REPLAYED);
    assert_eq!(store.sweep(at(600), keep).await.unwrap().effects, 1);
    store.close().await.unwrap();
}

async fn too_many_effects_are_refused(db: Db) {
    let store = db.open(1).await;
    let many = (0..=Effects::MAX).map(|n| proof(&n.to_string())).collect();
    let effects = Effects { once: many, ..none() };
    let refused = store.writer().decide(decided(), effects.clone()).await;
    assert!(matches!(refused, Err(Error::TooManyEffects)));
    let refused = store.writer().delegate(root(1, 0), granted(1), effects).await;
    assert!(matches!(refused, Err(Error::TooManyEffects)));
    store.close().await.unwrap();
}
