//! What of the audit log is too old goes, what is left still proves itself, and whoever takes more away
//! than was said is found.

use serde_json::{Value, json};

use crate::{
    evidence::{exported, proved},
    world::{KEEPS_AUDIT_S, World, on_both, story::TICKETS},
};

on_both! {
    what_is_too_old_goes_and_the_rest_proves_itself
    a_chain_goes_on_behind_links_that_are_all_gone
    whoever_takes_more_away_than_was_said_is_found
    whoever_makes_young_records_look_old_gets_nothing_signed
    a_beginning_that_was_made_up_is_never_said_again
    a_base_outlives_the_checkpoint_that_said_it
    keys_go_with_what_they_open
}

const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

async fn something(world: &World, who: &str) {
    let token = world.access_token(world.claims(who).with("groups", json!(["support"])));
    let exchange = world.agent("support").exchanges(&token).at(TICKETS);
    exchange.scope("tickets:read").token().await;
}

/// Somebody acts on a day, and it is covered.
async fn a_day_with(world: &World, who: &str) {
    world.advance(1).await;
    something(world, who).await;
    world.deputy.checkpoint().await.unwrap();
    world.advance(DAY - 1).await;
}

/// Until nothing that is too old is left: it is said, stands for an hour, and is swept.
async fn shortened(world: &World) {
    for _ in 0..4 {
        world.advance(HOUR).await;
    }
}

/// Lets the beginning of the log become too old. Nothing happens meanwhile.
async fn a_log_that_is_kept_in_part(world: &World) {
    a_day_with(world, "alice").await;
    world.advance(KEEPS_AUDIT_S - 2 * DAY).await;
    a_day_with(world, "bob").await;
    a_day_with(world, "carol").await;
    shortened(world).await;
}

async fn verdict(world: &World) -> Value {
    world.operator().get("/audit/verify").await.json
}

async fn people(world: &World) -> Vec<String> {
    let listed = world.operator().get("/events?kind=exchange&limit=100").await;
    let items = listed.json["items"].as_array().unwrap().clone();
    items.iter().filter_map(|event| Some(event["subject"]["sub"].as_str()?.to_owned())).collect()
}

async fn count(world: &World, sql: &'static str) -> i64 {
    world.hand().await.number(sql).await
}

const CHECKPOINTS: &str = "SELECT min(n) FROM checkpoint";
const KEYS: &str = "SELECT count(*) FROM subject_key";
/// What stands beside links that are gone.
const LEFT_OVER: &str = "SELECT (SELECT count(*) FROM journal_index i WHERE NOT EXISTS
    (SELECT 1 FROM journal j WHERE j.writer = i.writer AND j.seq = i.seq))
    + (SELECT count(*) FROM journal_private p WHERE NOT EXISTS
    (SELECT 1 FROM journal j WHERE j.writer = p.writer AND j.seq = p.seq))";

async fn what_is_too_old_goes_and_the_rest_proves_itself(world: World) {
    a_day_with(&world, "alice").await;
    world.advance(KEEPS_AUDIT_S - 2 * DAY).await;
    a_day_with(&world, "bob").await;
    let whole = verdict(&world).await;
    assert_eq!((&whole["ok"], &whole["shortened_chains"]), (&json!(true), &json!(0)));
    world.advance(DAY).await;
    // It is said, and everything is still there for whoever reads at this moment.
    let said = verdict(&world).await;
    assert_eq!((&said["ok"], &said["shortened_chains"]), (&json!(true), &json!(1)), "{said}");
    assert!(people(&world).await.contains(&"alice".to_owned()));
    shortened(&world).await;
    let left = verdict(&world).await;
    assert_eq!(left["ok"], true, "{left}");
    assert!(left["links"].as_u64() < whole["links"].as_u64(), "{left}");
    assert_eq!(people(&world).await, ["bob"]);
    assert_eq!(count(&world, LEFT_OVER).await, 0);
    assert!(count(&world, CHECKPOINTS).await > 1, "old checkpoints go as well");
    let file = exported(&world, "kept", "").await;
    let (ok, said) = proved(&file, &[]);
    assert!(ok, "{said}");
    let world = world.restart().await;
    something(&world, "dora").await;
    assert_eq!(verdict(&world).await["ok"], true);
}

async fn a_chain_goes_on_behind_links_that_are_all_gone(world: World) {
    a_day_with(&world, "alice").await;
    world.advance(KEEPS_AUDIT_S).await;
    shortened(&world).await;
    assert_eq!(count(&world, "SELECT count(*) FROM journal").await, 0);
    assert_eq!(verdict(&world).await["ok"], true);
    something(&world, "bob").await;
    let verdict = verdict(&world).await;
    assert_eq!((&verdict["ok"], &verdict["shortened_chains"]), (&json!(true), &json!(1)));
    assert_eq!(people(&world).await, ["bob"]);
}

async fn whoever_takes_more_away_than_was_said_is_found(world: World) {
    a_log_that_is_kept_in_part(&world).await;
    assert_eq!(verdict(&world).await["ok"], true);
    let takes: [(&[&'static str], &str); 4] = [
        (
            &[
                "CREATE TABLE kept AS SELECT * FROM journal WHERE seq = (SELECT min(seq) FROM journal)",
                "DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal)",
            ],
            "a link is missing",
        ),
        // And the table says that the chain begins there.
        (
            &["UPDATE chain_base SET seq = seq + 1, hash = (SELECT hash FROM kept)"],
            "a link is missing",
        ),
        (
            &["DELETE FROM checkpoint WHERE n = (SELECT min(n) FROM checkpoint)"],
            "a checkpoint is missing",
        ),
        (&["DELETE FROM chain_base"], "a link is missing"),
    ];
    for (steps, problem) in takes {
        for step in steps {
            world.tamper(step).await;
        }
        let found = verdict(&world).await;
        assert_eq!(found["first_problem"]["problem"], problem, "{steps:?}: {found}");
    }
}

/// What the database says of age and of beginnings is never signed: it is red until somebody looks.
async fn whoever_makes_young_records_look_old_gets_nothing_signed(world: World) {
    a_log_that_is_kept_in_part(&world).await;
    let kept = count(&world, "SELECT count(*) FROM journal").await;
    for step in [
        "UPDATE journal SET at = 0",
        "UPDATE checkpoint SET at = 0",
        "UPDATE chain_base SET at = 0",
    ] {
        world.tamper(step).await;
    }
    shortened(&world).await;
    assert!(count(&world, "SELECT count(*) FROM journal").await >= kept);
    assert_eq!(verdict(&world).await["first_problem"]["problem"], "a record was altered");
}

/// Nor is a beginning that no checkpoint said.
async fn a_beginning_that_was_made_up_is_never_said_again(world: World) {
    a_log_that_is_kept_in_part(&world).await;
    for step in [
        "UPDATE chain_base SET seq = (SELECT min(seq) FROM journal),
            hash = (SELECT hash FROM journal ORDER BY seq LIMIT 1)",
        "DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal)",
    ] {
        world.tamper(step).await;
    }
    for _ in 0..3 {
        assert_eq!(verdict(&world).await["first_problem"]["problem"], "a link is missing");
        something(&world, "dora").await;
        world.advance(HOUR).await;
    }
}

/// A chain of which nothing new is said begins where it did for as long as there is a log.
async fn a_base_outlives_the_checkpoint_that_said_it(world: World) {
    a_log_that_is_kept_in_part(&world).await;
    let world = world.restart().await;
    let before = count(&world, CHECKPOINTS).await;
    for _ in 0..3 {
        a_day_with(&world, "dora").await;
        world.advance(KEEPS_AUDIT_S / 2).await;
        shortened(&world).await;
        assert_eq!(verdict(&world).await["ok"], true);
    }
    assert!(count(&world, CHECKPOINTS).await > before);
    assert_eq!(people(&world).await, ["dora"]);
}

async fn keys_go_with_what_they_open(world: World) {
    a_day_with(&world, "alice").await;
    let begun = count(&world, KEYS).await;
    // Who acts on another day has another key.
    a_day_with(&world, "alice").await;
    assert_eq!(count(&world, KEYS).await, begun + 1);
    world.advance(KEEPS_AUDIT_S - 3 * DAY).await;
    a_day_with(&world, "bob").await;
    shortened(&world).await;
    assert_eq!(people(&world).await, ["bob", "alice"]);
    world.advance(2 * DAY).await;
    shortened(&world).await;
    assert_eq!(people(&world).await, ["bob"]);
    assert_eq!(count(&world, KEYS).await, 1);
}
