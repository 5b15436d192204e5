//! Policy sets as administrators keep them: replaced whole, versioned, gone back in, and never left
//! at odds with the tools. What policies decide is not asked here.

use deputy::{
    model::event::{Event, Kind},
    store::Put,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, on_both, story::TICKETS, wire::Answer};

on_both! {
    a_fresh_server_has_an_empty_set_of_version_0
    a_set_is_replaced_whole_and_only_the_version_that_was_seen
    every_version_is_kept_and_can_be_gone_back_to
    a_set_can_be_gone_back_to_however_long_ago_it_was_replaced
    what_does_not_validate_is_refused_with_its_place_and_changes_nothing
    no_tool_is_changed_so_that_the_active_set_would_not_validate
    what_a_server_changed_is_not_accepted_while_policies_stand_against_it
    a_set_that_fits_the_tools_of_then_only_is_not_gone_back_to
    a_stored_set_that_does_not_validate_is_not_half_loaded
    the_last_hundred_sets_are_kept_and_no_more
    auditors_look_and_try_and_change_nothing
    a_set_survives_a_restart
}

/// A policy that forbids long chains.
fn short_chains(most: u32) -> Value {
    set(&format!(
        "@id(\"short-chains\")\nforbid (principal, action in Action::\"call\", resource)\n\
         when {{ context.depth > {most} }};\n"
    ))
}

/// A set of one text.
fn set(text: &str) -> Value {
    json!({ "delegation": [{ "name": "delegation/a.cedar", "text": text }] })
}

/// A policy about an argument of one tool.
fn about_an_argument() -> Value {
    set("@id(\"refund-limit\")\nforbid (principal, action == Action::\"refunds/refunds.issue\", \
         resource)\nunless { context.arguments has amount && context.arguments.amount <= 500 };\n")
}

/// `refunds.issue` takes an amount of this type.
async fn amounts_are(world: &World, kind: &str) {
    world.change("tool", "refunds.issue", "input_schema", with_amounts(kind)).await;
}

fn with_amounts(kind: &str) -> Value {
    json!({ "type": "object", "properties": { "amount": { "type": kind } } })
}

async fn put(world: &World, set: Value) -> Answer {
    world.operator().sends(Method::PUT, "/policies", Some(set)).await
}

async fn puts(world: &World, set: Value) -> Value {
    let answer = put(world, set).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json
}

async fn active(world: &World) -> Value {
    world.operator().get("/policies").await.json
}

async fn rolls_back(world: &World, order: Value) -> Answer {
    world.operator().post("/policies/rollback", order).await
}

async fn a_fresh_server_has_an_empty_set_of_version_0(world: World) {
    let answer = world.operator().get("/policies").await;
    let empty = json!({
        "delegation": [], "access": { "policies": [] }, "rules": [], "warnings": [], "version": 0,
    });
    assert_eq!((answer.json.clone(), answer.header("etag")), (empty, "\"0\""));
    assert_eq!(world.operator().get("/policies/versions").await.json["items"], json!([]));
    assert_eq!(rolls_back(&world, json!({})).await.status, 409, "there is nothing before it");
    // What was answered can be sent back.
    assert_eq!(puts(&world, answer.json).await["version"], 1);
}

async fn a_set_is_replaced_whole_and_only_the_version_that_was_seen(world: World) {
    let first = puts(&world, short_chains(3)).await;
    assert_eq!((&first["version"], &first["by"]), (&json!(1), &json!("bootstrap")));
    let rule = &first["rules"][0];
    assert_eq!((&rule["id"], &rule["line"]), (&json!("short-chains"), &json!(1)));
    assert_eq!((&rule["file"], &rule["shadow"]), (&json!("delegation/a.cedar"), &json!(false)));
    assert_eq!(puts(&world, short_chains(3)).await["version"], 1, "which says nothing new");
    let conditional = |tag: &str| {
        let request = world.operates("PUT", "/admin/v1/policies").header("if-match", tag);
        let request = request.header("content-type", "application/json");
        Answer::of(request.body(short_chains(2).to_string()))
    };
    assert_eq!(conditional("\"0\"").await.status, 412);
    assert_eq!(conditional("\"1\"").await.json["version"], 2);
    assert_eq!(active(&world).await["delegation"], short_chains(2)["delegation"]);
    assert_eq!(world.deputy.snapshot().policies.version(), 2, "in force when it was answered");
    let event = world.events().await.remove(0);
    assert_eq!(&*event.reason, "policy_set.replaced");
    for (name, value) in [("operator", "bootstrap"), ("replaced", "1"), ("version", "2")] {
        assert!(event.detail.contains(&(name.into(), value.to_owned())), "{event:?}");
    }
}

async fn every_version_is_kept_and_can_be_gone_back_to(world: World) {
    for most in [1, 2, 3] {
        puts(&world, short_chains(most)).await;
    }
    let back = rolls_back(&world, json!({})).await.json;
    assert_eq!((&back["version"], &back["rolled_back_to"]), (&json!(4), &json!(2)));
    assert_eq!(back["delegation"], short_chains(2)["delegation"]);
    let back = rolls_back(&world, json!({ "version": 1 })).await.json;
    assert_eq!((&back["version"], &back["rolled_back_to"]), (&json!(5), &json!(1)));
    let same = rolls_back(&world, json!({ "version": 1 })).await;
    assert_eq!(same.status, 409, "{}", same.text);
    let empty = rolls_back(&world, json!({ "version": 0 })).await.json;
    assert_eq!((&empty["version"], &empty["rules"]), (&json!(6), &json!([])));
    let listed = world.operator().get("/policies/versions").await.json;
    let numbers: Vec<i64> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [6, 5, 4, 3, 2, 1]);
    let third = world.operator().get("/policies/versions/3").await.json;
    assert_eq!(third["delegation"], short_chains(3)["delegation"]);
    assert_eq!(third["at"], world.deputy.now().epoch_s());
    for unknown in ["0", "7", "x", "-1"] {
        let path = format!("/policies/versions/{unknown}");
        assert_eq!(world.operator().get(&path).await.status, 404, "{unknown}");
    }
    assert_eq!(rolls_back(&world, json!({ "version": 7 })).await.status, 404);
    let event = world.events().await.remove(0);
    assert_eq!(&*event.reason, "policy_set.rolled_back");
    assert!(event.detail.contains(&("rolled_back_to".into(), "0".to_owned())), "{event:?}");
}

async fn a_set_can_be_gone_back_to_however_long_ago_it_was_replaced(world: World) {
    puts(&world, short_chains(1)).await;
    puts(&world, short_chains(2)).await;
    world.change("tool", "tickets.get", "description", json!("changed")).await;
    // A month passes; what else was replaced is swept.
    world.advance(30 * 86_400).await;
    let kept = async |kind: &str, id: &str| {
        world.deputy.store().versions((kind, id), u64::MAX, 10).await.unwrap().len()
    };
    assert_eq!((kept("tool", "tickets.get").await, kept("policy_set", "active").await), (1, 2));
    assert_eq!(rolls_back(&world, json!({})).await.json["rolled_back_to"], 1);
}

async fn what_does_not_validate_is_refused_with_its_place_and_changes_nothing(world: World) {
    amounts_are(&world, "string").await;
    let refunds = about_an_argument();
    let mut two = short_chains(2);
    let second = refunds["delegation"][0]["text"].clone();
    let second = json!({ "name": "delegation/b.cedar", "text": second });
    two["delegation"].as_array_mut().unwrap().push(second);
    for refused in [
        put(&world, two.clone()).await,
        world.operator().post("/policies/validate", two.clone()).await,
    ] {
        assert_eq!(refused.status, 400, "{}", refused.text);
        let error = &refused.json["errors"][0];
        assert_eq!(error["field"], "/delegation/1/text", "{error}");
        assert_eq!((&error["file"], &error["line"]), (&json!("delegation/b.cedar"), &json!(3)));
        assert!(error["column"].as_u64().unwrap() > 1, "{error}");
    }
    assert_eq!(active(&world).await["version"], 0);
    amounts_are(&world, "integer").await;
    let valid = world.operator().post("/policies/validate", two.clone()).await;
    assert_eq!((valid.status, valid.json["rules"].as_array().unwrap().len()), (200, 2));
    assert_eq!(active(&world).await["version"], 0, "a question changes nothing");
    assert_eq!(puts(&world, two).await["version"], 1);
}

async fn no_tool_is_changed_so_that_the_active_set_would_not_validate(world: World) {
    let about = about_an_argument()["delegation"][0]["text"].as_str().unwrap().to_owned();
    let about = about.replace("refunds.issue", "refunds.pay");
    let path = "/resources/refunds/tools/refunds.pay";
    let mut tool = json!({
        "scopes": ["refunds:write"], "effect": "write", "input_schema": with_amounts("integer"),
    });
    let created = world.operator().sends(Method::PUT, path, Some(tool.clone())).await;
    assert_eq!(created.status, 201, "{}", created.text);
    puts(&world, set(&about)).await;
    tool["input_schema"] = with_amounts("string");
    let refused = world.operator().sends(Method::PUT, path, Some(tool.clone())).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(detail.contains("delegation/a.cedar:3:"), "{detail}");
    assert!(detail.contains("change the policies first"), "{detail}");
    let import = json!({
        "tools_list": { "tools": [{ "name": "refunds.other", "inputSchema": { "type": "object" } }] },
        "assign": { "refunds.other": { "scopes": ["refunds:read"], "effect": "read" } },
    });
    let path_of_import = "/resources/refunds/tools/import";
    let imported = world.operator().post(path_of_import, import).await;
    assert_eq!(imported.status, 200, "another tool is no matter: {}", imported.text);
    // A policy that could never apply any more would go unnoticed.
    puts(&world, set(&about.replace("unless", "when").replace("<=", ">"))).await;
    tool["input_schema"] = json!({ "type": "object" });
    let refused = world.operator().sends(Method::PUT, path, Some(tool.clone())).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(detail.contains("no tool that this policy concerns has an argument"), "{detail}");
    puts(&world, set("")).await;
    let accepted = world.operator().sends(Method::PUT, path, Some(tool)).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
}

async fn what_a_server_changed_is_not_accepted_while_policies_stand_against_it(world: World) {
    let lists = async |kind: &str| {
        let import = json!({
            "tools_list": { "tools": [{ "name": "refunds.pay", "inputSchema": with_amounts(kind) }] },
            "assign": { "refunds.pay": { "scopes": ["refunds:write"], "effect": "write" } },
        });
        let answer = world.operator().post("/resources/refunds/tools/import", import).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    lists("integer").await;
    let about = about_an_argument()["delegation"][0]["text"].as_str().unwrap().to_owned();
    puts(&world, set(&about.replace("refunds.issue", "refunds.pay"))).await;
    // That it waits is no matter: what was accepted is in force.
    lists("string").await;
    let waiting = world.operator().get("/tool-changes").await.json["items"][0].clone();
    let settle = json!({ "digest": waiting["digest"], "settlement": "accept" });
    let path = "/resources/refunds/tools/refunds.pay/change";
    let refused = world.operator().post(path, settle.clone()).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("would no longer validate"), "{}", refused.text);
    puts(&world, set("")).await;
    assert_eq!(world.operator().post(path, settle).await.status, 200);
}

async fn a_stored_set_that_does_not_validate_is_not_half_loaded(world: World) {
    puts(&world, short_chains(1)).await;
    let token = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let token = token.scope("tickets:read").token().await;
    // No operator can write this; another version of this program could have.
    let event = Event::new(Kind::Configuration, "test", world.deputy.now(), 0);
    let put = Put {
        kind: "policy_set".to_owned(),
        id: "active".to_owned(),
        expected: Some(1),
        body: set("permit (principal, action, resource);").to_string(),
    };
    world.deputy.store().writer().configure(vec![put], event).await.unwrap();
    assert!(world.deputy.catch_up().await.is_err());
    // What was in force stays so; and what is judged at a revision that is over is not recorded, so
    // that nothing new is given.
    let snapshot = world.deputy.snapshot();
    assert_eq!(snapshot.policies.version(), 1);
    assert!(snapshot.revision < world.deputy.store().head().await.unwrap().revision);
    assert!(world.server("tickets").accepts(&token).await);
}

async fn the_last_hundred_sets_are_kept_and_no_more(world: World) {
    for version in 0..103 {
        let text = format!("// {version}");
        world.put(&[("policy_set", "active", set(&text))]).await;
    }
    world.advance(30 * 86_400).await;
    let kept =
        world.deputy.store().versions(("policy_set", "active"), u64::MAX, 500).await.unwrap();
    let numbers: Vec<u64> = kept.iter().map(|kept| kept.version).collect();
    assert_eq!((numbers.len(), numbers[0], numbers[100]), (101, 103, 3));
}

async fn a_set_that_fits_the_tools_of_then_only_is_not_gone_back_to(world: World) {
    amounts_are(&world, "integer").await;
    puts(&world, about_an_argument()).await;
    puts(&world, short_chains(2)).await;
    amounts_are(&world, "string").await;
    let refused = rolls_back(&world, json!({})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(detail.starts_with("version 1 does not validate"), "{detail}");
    assert_eq!(refused.json["errors"][0]["file"], "delegation/a.cedar");
    assert_eq!(active(&world).await["version"], 2);
}

async fn auditors_look_and_try_and_change_nothing(world: World) {
    let auditor = world.auditor().await;
    for path in ["/policies", "/policies/versions"] {
        assert_eq!(auditor.get(path).await.status, 200, "{path}");
    }
    assert_eq!(auditor.post("/policies/validate", short_chains(1)).await.status, 200);
    let put = auditor.sends(Method::PUT, "/policies", Some(short_chains(1))).await;
    assert_eq!(put.status, 403);
    assert_eq!(auditor.post("/policies/rollback", json!({})).await.status, 403);
    assert_eq!(active(&world).await["version"], 0);
}

async fn a_set_survives_a_restart(world: World) {
    let before = puts(&world, short_chains(2)).await;
    let world = world.restart().await;
    assert_eq!(active(&world).await, before);
    assert_eq!(world.deputy.snapshot().policies.rules().len(), 1);
}
