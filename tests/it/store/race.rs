//! A delegation and the revocation of what it grows from, at the same moment: whichever comes
//! first, no live child of a revoked root is left.

use std::{collections::BTreeSet, sync::Arc};

use deputy::{
    model::{
        event::{Kind, Outcome},
        revocation::{Revocations, Target},
    },
    store::Delegated,
};
use tokio::task::JoinSet;

use super::{Db, agent, alice, at, event, granted, id, none, proved, root};

super::on_both! {
    a_mint_that_waits_for_a_revocation_has_moved
    a_revocation_that_waits_for_a_mint_ends_it
    revocations_of_two_instances_have_no_gaps
}

const RAISE: &str = "UPDATE head SET revision = revision + 1";
const REVOKE_ALICE: &str = "INSERT INTO revocation (revision, kind, within, name, at)
    VALUES (1, 'subject', 'https://login.example', 'alice', 1800000000)";
const CHILD: &str = "INSERT INTO delegation (id, source, txn, kind, subject_issuer, subject_sub,
      holder, audience, depth, root_revision, revision, issued_at, expires_at, record)
    SELECT 'AAEAAAAAAAAAAAAAAAAAAA', 'foreign', 'AAAAAAAAAAAAAAAAAAAAAA', 'call_token',
      'https://login.example', 'alice', 'cl_support-agent', 'https://tickets.example', 0, 0, 0,
      1800000000, 1800000120, '{}'";

async fn a_mint_that_waits_for_a_revocation_has_moved(db: Db) {
    let store = Arc::new(db.open(1).await);
    let mut revoker = db.hand().await;
    revoker.begin().await;
    revoker.run(RAISE).await;
    revoker.run(REVOKE_ALICE).await;
    let minting = Arc::clone(&store);
    let mint =
        tokio::spawn(
            async move { minting.writer().delegate(root(1, 0), granted(1), none()).await },
        );
    db.hand().await.see_somebody_wait().await;
    revoker.run("COMMIT").await;
    assert_eq!(mint.await.unwrap().unwrap(), Delegated::Moved { revision: 1 });
    assert!(store.delegation(id(1)).await.unwrap().is_none());
    assert_eq!(proved(&store).await.events, 0);
    store.close().await.unwrap();
}

async fn a_revocation_that_waits_for_a_mint_ends_it(db: Db) {
    let store = Arc::new(db.open(1).await);
    let mut minter = db.hand().await;
    minter.begin().await;
    if let super::Hand::Postgres(_) = minter {
        minter.run("SELECT revision FROM head WHERE revision = 0 FOR SHARE").await;
    }
    minter.run(CHILD).await;
    let revoking = Arc::clone(&store);
    let revoke = tokio::spawn(async move {
        let revoked = event(1, Kind::Revocation, Outcome::Granted);
        revoking.writer().revoke(Target::Subject(alice()), None, at(1), revoked).await
    });
    db.hand().await.see_somebody_wait().await;
    minter.run("COMMIT").await;
    assert_eq!(revoke.await.unwrap().unwrap(), 1);
    let stored = store.delegation(id(1)).await.unwrap().unwrap();
    let mut revocations = Revocations::default();
    for revocation in store.revocations_after(0).await.unwrap() {
        revocations.apply(&revocation);
    }
    assert_eq!(stored.revision, 0);
    assert!(revocations.ends(&root(1, stored.revision).claims, None));
    store.close().await.unwrap();
}

async fn revocations_of_two_instances_have_no_gaps(db: Db) {
    let stores = [Arc::new(db.open(1).await), Arc::new(db.open(2).await)];
    let mut tasks = JoinSet::new();
    for n in 0..20_u16 {
        let store = Arc::clone(&stores[usize::from(n % 2)]);
        tasks.spawn(async move {
            let revoked = event(1, Kind::Revocation, Outcome::Granted);
            store.writer().revoke(Target::Agent(agent()), None, at(1), revoked).await.unwrap()
        });
    }
    let numbers: BTreeSet<u64> = tasks.join_all().await.into_iter().collect();
    assert_eq!(numbers, (1..=20).collect());
    let report = proved(&stores[0]).await;
    assert_eq!((report.events, report.broken), (20, None));
    for store in stores {
        store.close().await.unwrap();
    }
}

/// Why `head(revision)` exists: the form that asks whether there is a revocation waits for it, and
/// then does not see it.
#[tokio::test]
async fn on_postgres_the_naive_form_lets_the_child_in() {
    const NAIVE: &str =
        "INSERT INTO delegation (id, source, txn, kind, subject_issuer, subject_sub,
          holder, audience, depth, root_revision, revision, issued_at, expires_at, record)
        SELECT 'AAEAAAAAAAAAAAAAAAAAAA', 'foreign', 'AAAAAAAAAAAAAAAAAAAAAA', 'call_token',
          'https://login.example', 'alice', 'cl_support-agent', 'https://tickets.example', 0, 0, 0,
          1800000000, 1800000120, '{}'
        FROM head
        WHERE NOT EXISTS (SELECT 1 FROM revocation WHERE kind = 'subject' AND name = 'alice')
        FOR SHARE OF head";
    let db = Db::postgres("naive");
    let store = db.open(1).await;
    let mut revoker = db.hand().await;
    revoker.begin().await;
    revoker.run(RAISE).await;
    revoker.run(REVOKE_ALICE).await;
    let mut minter = db.hand().await;
    let mint = tokio::spawn(async move { minter.run(NAIVE).await });
    db.hand().await.see_somebody_wait().await;
    revoker.run("COMMIT").await;
    assert_eq!(mint.await.unwrap(), 1);
    assert!(store.delegation(id(1)).await.unwrap().is_some());
    store.close().await.unwrap();
}
