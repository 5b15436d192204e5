//! The audit log as evidence: signed checkpoints, an export that proves itself, and whatever somebody
//! does to either is named, online and from the file.

use std::{collections::HashMap, fs, path::PathBuf, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use deputy::{
    base::{secret::Fingerprint, time::Seconds},
    engine::verify::checkpoint::judge,
};
use serde_json::{Value, json};

use crate::world::{World, on_both, story::TICKETS, wire::Answer};

on_both! {
    a_checkpoint_covers_what_was_written
    an_end_that_was_cut_off_is_found
    an_end_that_was_cut_off_with_its_checkpoints_is_found
    a_checkpoint_that_comes_during_a_walk_is_not_looked_at
    a_chain_that_was_removed_is_found
    a_chain_that_was_written_anew_is_found
    a_checkpoint_that_was_removed_is_found
    a_checkpoint_that_another_signed_is_found
    a_log_that_was_set_back_lacks_the_noted_checkpoint
    an_export_without_persons_proves_itself
    whatever_is_done_to_an_export_is_found
    two_instances_sign_one_row_of_checkpoints
    a_person_is_erased_and_every_chain_holds
    an_erasure_is_known_to_every_instance
    a_key_that_was_drawn_during_an_erasure_is_not_written_under_later
}

/// Alice's agent gets a ticket, and it is on record.
async fn something(world: &World) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").token().await;
}

/// The same at another instance.
async fn something_at(world: &World, instance: &str) {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").of_instance(instance).token().await;
}

/// A log with some checkpoints and some links of each.
async fn filled(world: &World) {
    world.advance(1).await;
    for _ in 0..3 {
        something(world).await;
        world.deputy.checkpoint().await.unwrap();
    }
}

async fn verdict(world: &World) -> Value {
    let answer = world.operator().get("/audit/verify").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json
}

/// What is found online and in an export is the same.
async fn problem(world: &World) -> String {
    let online = verdict(world).await["first_problem"]["problem"].clone();
    let file = exported(world, "tampered", "").await;
    let (ok, told) = proved(&file, &[]);
    assert!(!ok, "{told}");
    assert_eq!(told["first_problem"]["problem"], online, "{told}");
    online.as_str().unwrap().to_owned()
}

pub async fn exported(world: &World, name: &str, query: &str) -> PathBuf {
    let answer: Answer = world.operator().get(&format!("/audit/export{query}")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    let file = world.dir().join(name);
    fs::write(&file, &answer.text).unwrap();
    file
}

/// Whether `deputy audit verify --file` finds a file whole, and what it says. It has no server.
pub fn proved(file: &std::path::Path, more: &[&str]) -> (bool, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deputy"));
    command.args(["audit", "--json", "verify", "--file"]).arg(file).args(more);
    let done = command.env_clear().output().unwrap();
    let told = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
    assert!(!told.is_null(), "{}", String::from_utf8_lossy(&done.stderr));
    (done.status.success(), told)
}

async fn a_checkpoint_covers_what_was_written(world: World) {
    // The beat signs every ten seconds, if there is something to sign: not now.
    world.advance(1).await;
    something(&world).await;
    let before = verdict(&world).await;
    assert_eq!(before["ok"], true, "{before}");
    assert!(before["uncovered_links"].as_u64().unwrap() > 0, "{before}");
    world.advance(9).await;
    let covered = verdict(&world).await;
    assert_eq!(covered["uncovered_links"], 0, "{covered}");
    world.advance(10).await;
    let later = verdict(&world).await;
    assert_eq!(later["checkpoints"], covered["checkpoints"], "nothing had happened");
    // What was written last before the end is covered too.
    world.advance(1).await;
    something(&world).await;
    let world = world.restart().await;
    assert_eq!(verdict(&world).await["uncovered_links"], 0);
    // A rotation changes who signs, and what was signed before still counts.
    world.operates("POST", "/admin/v1/keys/rotate").send().await.unwrap();
    world.advance(2_000).await;
    something(&world).await;
    world.deputy.checkpoint().await.unwrap();
    let found = verdict(&world).await;
    assert_eq!((&found["ok"], &found["uncovered_links"]), (&json!(true), &json!(0)), "{found}");
}

async fn an_end_that_was_cut_off_is_found(world: World) {
    filled(&world).await;
    let last = "DELETE FROM journal WHERE (writer, seq) IN
        (SELECT writer, max(seq) FROM journal GROUP BY writer)";
    assert!(world.tamper(last).await > 0);
    assert_eq!(problem(&world).await, "the chain was cut off here: a checkpoint knows later links");
}

/// What is left is in order. How many checkpoints there were is written down beside the keys.
async fn an_end_that_was_cut_off_with_its_checkpoints_is_found(world: World) {
    filled(&world).await;
    let before = world.deputy.store().last_checkpoint().await.unwrap().unwrap().0;
    something(&world).await;
    // The beat signs, and writes it down.
    world.advance(9).await;
    let last = world.deputy.store().last_checkpoint().await.unwrap().unwrap().0;
    assert_eq!(last, before + 1);
    world.tamper("DELETE FROM checkpoint WHERE n = (SELECT max(n) FROM checkpoint)").await;
    let end = "DELETE FROM journal WHERE (writer, seq) IN
        (SELECT writer, max(seq) FROM journal GROUP BY writer)";
    assert!(world.tamper(end).await > 0);
    let found = verdict(&world).await["first_problem"].clone();
    assert_eq!(found, json!({ "checkpoint": last, "problem": "a checkpoint is missing" }));
}

/// It may be signed with a key that whoever walks does not know: the very first is.
async fn a_checkpoint_that_comes_during_a_walk_is_not_looked_at(world: World) {
    filled(&world).await;
    let store = world.deputy.store();
    let walk = store.walk().await.unwrap();
    let keys = world.deputy.checkpoint_keys().await.unwrap();
    let opens = move |jws: &str| judge(&keys, jws).ok().map(|said| said.get().clone());
    let (last, _) = store.last_checkpoint().await.unwrap().unwrap();
    // Another key signs; and that the log begins later is said as well.
    world.operates("POST", "/admin/v1/keys/rotate").send().await.unwrap();
    world.advance(601).await;
    something(&world).await;
    world.deputy.checkpoint().await.unwrap();
    let report = walk.proved(&opens).await.unwrap();
    assert_eq!((report.broken, report.last_checkpoint), (None, last));
    let later = store.walk().await.unwrap().proved(&opens).await.unwrap();
    assert!(later.broken.is_some(), "whoever asked for the keys before does not know this one");
    assert_eq!(verdict(&world).await["ok"], true);
}

async fn a_chain_that_was_removed_is_found(world: World) {
    filled(&world).await;
    let world = world.restart().await;
    something(&world).await;
    world.deputy.checkpoint().await.unwrap();
    let first =
        "DELETE FROM writer WHERE id = (SELECT writer FROM journal ORDER BY at, writer LIMIT 1)";
    world.tamper(first).await;
    world.tamper("DELETE FROM journal WHERE writer NOT IN (SELECT id FROM writer)").await;
    assert_eq!(problem(&world).await, "the chain was cut off here: a checkpoint knows later links");
}

/// Whoever can write the database can make a chain that is in order in itself. It does not fit what was
/// signed.
async fn a_chain_that_was_written_anew_is_found(world: World) {
    filled(&world).await;
    let file = exported(&world, "log", "").await;
    let text = fs::read_to_string(&file).unwrap();
    let mut ends: HashMap<String, Vec<u8>> = HashMap::new();
    let anew: String = text.lines().map(|line| written_anew(line, &mut ends) + "\n").collect();
    assert_ne!(anew, text);
    fs::write(&file, &anew).unwrap();
    let (ok, told) = proved(&file, &[]);
    assert!(!ok);
    assert_eq!(told["first_problem"]["problem"], "a checkpoint knows another link here", "{told}");
    // Without the checkpoints nobody could tell.
    let links = anew.lines().filter(|line| !line.contains(r#""type":"checkpoint""#));
    let links: Vec<&str> = links.filter(|line| !line.contains(r#""type":"end""#)).collect();
    let end = json!({ "type": "end", "lines": links.len() + 1 }).to_string();
    fs::write(&file, [links, vec![end.as_str()]].concat().join("\n")).unwrap();
    let (ok, told) = proved(&file, &[]);
    assert!(ok && told["checkpoints"] == 0, "{told}");
}

/// The line of a link that grants what was refused, with the hash that makes it fit its chain.
fn written_anew(line: &str, ends: &mut HashMap<String, Vec<u8>>) -> String {
    let mut told: Value = serde_json::from_str(line).unwrap();
    if told["type"] != "link" {
        return line.to_owned();
    }
    let writer = told["writer"].as_str().unwrap().to_owned();
    let first = || Fingerprint::of(writer.as_bytes()).as_bytes().to_vec();
    let prev = ends.remove(&writer).unwrap_or_else(first);
    let record = told["record"].to_string().replace("\"granted\"", "\"refused\"");
    let seq = told["seq"].as_i64().unwrap().to_be_bytes();
    let hash = Fingerprint::of(&[&prev[..], &seq, record.as_bytes()].concat()).as_bytes().to_vec();
    told["prev"] = json!(STANDARD.encode(&prev));
    told["hash"] = json!(STANDARD.encode(&hash));
    told["record"] = json!("here");
    ends.insert(writer, hash);
    told.to_string().replace("\"here\"", &record)
}

async fn a_checkpoint_that_was_removed_is_found(world: World) {
    filled(&world).await;
    world.tamper("DELETE FROM checkpoint WHERE n = 2").await;
    assert_eq!(problem(&world).await, "a checkpoint is missing");
}

async fn a_checkpoint_that_another_signed_is_found(world: World) {
    filled(&world).await;
    // One of another Deputy, with its key, as it would be put in by who can write the database.
    world.tamper("UPDATE checkpoint_key SET tag = (SELECT kid FROM checkpoint_key LIMIT 1)").await;
    assert_eq!(
        verdict(&world).await["first_problem"]["problem"],
        "no key of ours signed this checkpoint"
    );
    world
        .tamper("UPDATE checkpoint SET jws = (SELECT c.jws FROM checkpoint c WHERE c.n = 1)")
        .await;
    assert_eq!(verdict(&world).await["ok"], false);
}

async fn a_log_that_was_set_back_lacks_the_noted_checkpoint(world: World) {
    filled(&world).await;
    let old = exported(&world, "old", "").await;
    something(&world).await;
    let noted = world.operator().get("/audit/checkpoint").await;
    let jws = noted.json["checkpoint"].as_str().unwrap();
    let note = world.dir().join("noted");
    fs::write(&note, jws).unwrap();
    let keys = world.dir().join("keys.json");
    fs::write(&keys, world.get("/oauth2/jwks").await.text).unwrap();
    let [note, keys] = [note.to_str().unwrap(), keys.to_str().unwrap()];
    let new = exported(&world, "new", "").await;
    for file in [&old, &new] {
        let (ok, told) = proved(file, &["--keys", keys]);
        assert!(ok && told["keys_from_file"] == false, "each is whole in itself: {told}");
    }
    let (ok, told) = proved(&new, &["--keys", keys, "--checkpoint", note]);
    assert!(ok, "{told}");
    let (ok, told) = proved(&old, &["--keys", keys, "--checkpoint", note]);
    assert!(!ok);
    assert_eq!(told["first_problem"]["problem"], "it is not the checkpoint that was noted");
    assert_eq!(told["first_problem"]["checkpoint"], noted.json["n"]);
}

async fn an_export_without_persons_proves_itself(world: World) {
    filled(&world).await;
    let file = exported(&world, "anonymous", "?persons=false").await;
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("alice"), "{text}");
    let (ok, told) = proved(&file, &[]);
    assert!(ok, "{told}");
    assert!(told["erased"].as_u64().unwrap() >= 3, "{told}");
    let with = exported(&world, "with", "?persons=true").await;
    assert!(fs::read_to_string(&with).unwrap().contains("alice"));
    assert_eq!(proved(&with, &[]).1["erased"], 0);
    let refused = world.operator().get("/audit/export?persons=perhaps").await;
    assert_eq!(refused.status, 400);
    // An auditor may take it, too.
    let auditor = world.auditor().await;
    assert_eq!(auditor.get("/audit/export").await.status, 200);
    assert_eq!(auditor.get("/audit/checkpoint").await.status, 200);
}

async fn whatever_is_done_to_an_export_is_found(world: World) {
    filled(&world).await;
    something(&world).await;
    let whole = fs::read_to_string(exported(&world, "whole", "").await).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let file = world.dir().join("changed");
    let finds = |lines: &[&str], what: &str| {
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        let (ok, told) = proved(&file, &[]);
        assert!(!ok && told["first_problem"].is_object(), "{what}: {told}");
    };
    for (n, line) in lines.iter().enumerate() {
        let mut fewer = lines.clone();
        fewer.remove(n);
        finds(&fewer, "a line less");
        let mut twice = lines.clone();
        twice.insert(n, line);
        finds(&twice, "a line twice");
        if n > 0 && lines[n - 1] != *line {
            let mut moved = lines.clone();
            moved.swap(n - 1, n);
            finds(&moved, "two lines exchanged");
        }
        let mut changed = lines.clone();
        let edited =
            line.replacen("\"seq\":", "\"seq\":1", 1).replacen("\"jws\":\"e", "\"jws\":\"f", 1);
        changed[n] = &edited;
        if edited != *line {
            finds(&changed, "a line changed");
        }
    }
    fs::write(&file, &whole).unwrap();
    assert!(proved(&file, &[]).0);
}

async fn two_instances_sign_one_row_of_checkpoints(world: World) {
    if !world.deputy.store().is_shared() {
        return filled(&world).await;
    }
    world.advance(1).await;
    world.deputy.checkpoint().await.unwrap();
    let before = verdict(&world).await["checkpoints"].as_u64().unwrap();
    let other = world.newcomer().await;
    for _ in 0..5 {
        something(&world).await;
        let (one, two) = tokio::join!(world.deputy.checkpoint(), other.deputy().checkpoint());
        one.and(two).unwrap();
    }
    other.stop().await;
    let found = verdict(&world).await;
    assert_eq!((&found["ok"], &found["uncovered_links"]), (&json!(true), &json!(0)), "{found}");
    assert_eq!(found["checkpoints"], before + 5, "nothing is said twice");
}

/// What the log says of whom, newest first: a name, or that it was erased.
async fn names(world: &World) -> Vec<String> {
    let listed = world.operator().get("/events?limit=100&kind=exchange").await;
    let name = |event: &Value| match event["subject"]["sub"].as_str() {
        Some(sub) => sub.to_owned(),
        None if event["erased"] == true => "erased".to_owned(),
        None => "-".to_owned(),
    };
    listed.json["items"].as_array().unwrap().iter().map(name).collect()
}

async fn a_person_is_erased_and_every_chain_holds(world: World) {
    let groups = json!(["support"]);
    let carol = world.access_token(world.claims("carol").with("groups", groups.clone()));
    let carols = world.agent("support").exchanges(&carol).at(TICKETS).scope("tickets:read");
    something(&world).await;
    carols.clone().token().await;
    something(&world).await;
    world.deputy.checkpoint().await.unwrap();
    let subject = json!({ "iss": world.issuer.url(), "sub": "alice" });
    let (order, look) =
        (json!({ "subject": subject }), json!({ "subject": subject, "dry_run": true }));
    let operator = world.operator();
    let refused = operator.post("/audit/erasures", order.clone()).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.text.contains("deputy revoke user"), "{}", refused.text);
    assert_eq!(world.auditor().await.post("/audit/erasures", order.clone()).await.status, 403);
    for bad in [json!({}), json!({ "subject": "alice" }), json!({ "subject": subject, "who": 1 })] {
        assert_eq!(operator.post("/audit/erasures", bad).await.status, 400);
    }

    world.revoke(json!({ "subject": subject })).await;
    let radius = operator.post("/audit/erasures", look).await.json;
    assert_eq!((&radius["keys"], &radius["delegations"]), (&json!(1), &json!(2)), "{radius}");
    assert_eq!(names(&world).await, ["alice", "carol", "alice"]);
    let done = operator.post("/audit/erasures", order.clone()).await;
    assert_eq!(done.json, json!({ "dry_run": false, "keys": 1, "delegations": 2 }));
    assert_eq!(names(&world).await, ["erased", "carol", "erased"]);
    let found = verdict(&world).await;
    assert_eq!(found["ok"], true, "{found}");
    assert!(found["erased"].as_u64().unwrap() >= 3, "her exchanges and her revocation: {found}");
    let file = exported(&world, "erased", "").await;
    assert!(proved(&file, &[]).0);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("alice") && text.contains("carol"), "{text}");
    // That somebody was erased is on record, whom is not.
    let events = world.events().await;
    for (reason, details) in [("person.erasing", 1), ("person.erased", 3)] {
        let event = events.iter().find(|event| *event.reason == *reason).unwrap();
        assert_eq!(event.detail.len(), details, "{event:?}");
        assert!(event.detail.iter().all(|(_, value)| !value.contains("alice")));
    }

    // She may come again, and is then known as anybody is.
    world.advance(1).await;
    something(&world).await;
    assert_eq!(names(&world).await, ["alice", "erased", "carol", "erased"]);
    let world = world.restart().await;
    assert_eq!(names(&world).await, ["alice", "erased", "carol", "erased"]);
    assert_eq!(verdict(&world).await["ok"], true);
}

/// An instance that still had a key of hers would write what nobody can read.
async fn an_erasure_is_known_to_every_instance(world: World) {
    if !world.deputy.store().is_shared() {
        return filled(&world).await;
    }
    let other = world.newcomer().await;
    something(&world).await;
    something_at(&world, other.url()).await;
    let subject = json!({ "iss": world.issuer.url(), "sub": "alice" });
    world.revoke(json!({ "subject": subject })).await;
    let erased = world.operator().post("/audit/erasures", json!({ "subject": subject })).await;
    assert_eq!(erased.json["keys"], 2, "{erased:?}");
    other.deputy().clock().advance(Seconds::new(1));
    world.advance(1).await;
    something_at(&world, other.url()).await;
    assert_eq!(names(&world).await, ["alice", "erased", "erased"]);
    other.stop().await;
}

/// Between the order and the deletion somebody may come again, at another instance: the key that is
/// drawn then is destroyed with the others, and that instance must not go on with it.
async fn a_key_that_was_drawn_during_an_erasure_is_not_written_under_later(world: World) {
    if !world.deputy.store().is_shared() {
        return filled(&world).await;
    }
    let mut hand = world.hand().await;
    let other = world.newcomer().await;
    something(&world).await;
    let subject = json!({ "iss": world.issuer.url(), "sub": "alice" });
    world.revoke(json!({ "subject": subject })).await;
    other.deputy().clock().advance(Seconds::new(1));
    world.advance(1).await;
    // The deletion waits here, behind the order and before the keys.
    hand.begin().await;
    hand.run("SELECT id FROM delegation WHERE subject_sub = 'alice' FOR UPDATE").await;
    let operator = world.operator();
    let erasure = operator.post("/audit/erasures", json!({ "subject": subject }));
    let meanwhile = async {
        hand.see_somebody_wait().await;
        something_at(&world, other.url()).await;
        hand.run("COMMIT").await;
    };
    let (erased, ()) = tokio::join!(erasure, meanwhile);
    assert_eq!(erased.json["keys"], 2, "hers, and the one that was drawn meanwhile: {erased:?}");
    something_at(&world, other.url()).await;
    assert_eq!(names(&world).await, ["alice", "erased", "erased"]);
    assert_eq!(verdict(&world).await["ok"], true);
    other.stop().await;
}
