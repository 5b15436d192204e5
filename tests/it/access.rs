//! AuthZEN 1.0 without a token: the certification scenario of the OpenID AuthZEN working group (its
//! fixture, its eight decisions, its malformed requests), and who may ask at all.

use deputy::model::event::Kind;
use serde_json::{Value, json};

use crate::world::{World, on_both, wire::Answer};

on_both! {
    az6_the_eight_decisions_of_the_certification_scenario
    az6_context_properties_and_members_that_nobody_knows_change_nothing
    az6_what_is_missing_or_of_a_wrong_type_is_400
    az6_a_batch_answers_in_order_and_item_by_item
    only_a_gateway_that_an_administrator_flagged_asks_without_a_token
    what_the_schema_does_not_describe_is_denied
    a_question_without_a_token_is_on_record_and_explained
    an_access_policy_that_errs_denies
    a_shadow_policy_tells_what_it_would_turn
    neither_family_sees_the_others_requests
}

const SCHEMA: &str = r"
entity user { role?: String };
entity record { status?: String };
action read, write appliesTo { principal: user, resource: record };
action delete appliesTo { principal: user, resource: record, context: { action: { soft?: Bool } } };
";

const RULES: &str = r#"
@id("alice-reads-and-writes")
permit (principal == user::"alice", action in [Action::"read", Action::"write"], resource);
@id("bob-reads")
permit (principal == user::"bob", action == Action::"read", resource);
@id("admins-write-what-is-archived")
permit (principal, action == Action::"write", resource)
when { principal has role && principal.role == "admin" && resource has status && resource.status == "archived" };
@id("archived-is-archived")
forbid (principal, action == Action::"write", resource)
when { resource has status && resource.status == "archived" }
unless { principal has role && principal.role == "admin" };
@id("alice-deletes-softly")
permit (principal == user::"alice", action == Action::"delete", resource)
when { context.action has soft && context.action.soft };
"#;

/// A gateway, and what it may ask about.
async fn fixture(world: &World, rules: &str) {
    world
        .put_client(json!({
            "client_id": "cl_gateway", "name": "Gateway", "asks_without_token": true,
        }))
        .await;
    activate(world, rules).await;
}

async fn activate(world: &World, rules: &str) {
    let set = json!({ "by": "test", "delegation": [], "access": {
        "schema": { "name": "schema.cedarschema", "text": SCHEMA },
        "policies": [{ "name": "records.cedar", "text": rules }],
    } });
    world.put(&[("policy_set", "active", set)]).await;
}

async fn post(world: &World, client: &str, path: &str, body: String, kind: &str) -> Answer {
    world.agent(client).sends(path).send_body(body, kind).await
}

async fn ask(world: &World, client: &str, question: &Value) -> Answer {
    let body = question.to_string();
    post(world, client, "/access/v1/evaluation", body, "application/json").await
}

/// The decision about a well-formed question of the gateway's.
async fn decision(world: &World, question: &Value) -> bool {
    let answer = ask(world, "gateway", question).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json["decision"].as_bool().unwrap()
}

fn question(user: &str, action: &str, record: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": user },
        "action": { "name": action },
        "resource": { "type": "record", "id": record },
    })
}

/// The same with properties of one of its members.
fn with(mut question: Value, member: &str, properties: Value) -> Value {
    question[member]["properties"] = properties;
    question
}

fn archived(user: &str) -> Value {
    with(question(user, "write", "record-2"), "resource", json!({ "status": "archived" }))
}

/// The scenario's required decisions, section 2.4 of the document.
fn required() -> Vec<(Value, bool)> {
    let delete = |soft: bool| {
        with(question("alice", "delete", "record-1"), "action", json!({ "soft": soft }))
    };
    vec![
        (question("alice", "read", "record-1"), true),
        (question("alice", "write", "record-1"), true),
        (question("bob", "read", "record-1"), true),
        (question("bob", "write", "record-1"), false),
        (archived("alice"), false),
        (with(archived("bob"), "subject", json!({ "role": "admin" })), true),
        (delete(true), true),
        (delete(false), false),
    ]
}

async fn az6_the_eight_decisions_of_the_certification_scenario(world: World) {
    fixture(&world, RULES).await;
    for (asked, permitted) in required() {
        assert_eq!(decision(&world, &asked).await, permitted, "{asked}");
        // Asked again, and with a context, it is the same.
        let mut again = asked.clone();
        again["context"] = json!({ "time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1" });
        assert_eq!(decision(&world, &again).await, permitted, "{again}");
    }
}

async fn az6_context_properties_and_members_that_nobody_knows_change_nothing(world: World) {
    fixture(&world, RULES).await;
    let more = json!({
        "subject": { "type": "user", "id": "alice",
            "properties": { "department": "Sales", "role": "manager" } },
        "action": { "name": "read", "properties": { "method": "GET" } },
        "resource": { "type": "record", "id": "record-1",
            "properties": { "status": "active", "owner": "bob" } },
        "foo": "bar", "futureField": { "nested": true },
    });
    assert!(decision(&world, &more).await);
    let nulls = with(question("alice", "write", "record-1"), "resource", json!({ "status": null }));
    assert!(decision(&world, &nulls).await, "null is absent");
}

async fn az6_what_is_missing_or_of_a_wrong_type_is_400(world: World) {
    fixture(&world, RULES).await;
    let good = question("alice", "read", "record-1");
    for member in ["subject", "action", "resource"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(member);
        assert_eq!(ask(&world, "gateway", &bad).await.status, 400, "without {member}");
        bad[member] = json!("text");
        assert_eq!(ask(&world, "gateway", &bad).await.status, 400, "{member} is a text");
    }
    for (member, part) in [
        ("subject", "type"),
        ("subject", "id"),
        ("action", "name"),
        ("resource", "type"),
        ("resource", "id"),
    ] {
        for wrong in [Value::Null, json!(7), json!("")] {
            let mut bad = good.clone();
            bad[member][part] = wrong;
            assert_eq!(ask(&world, "gateway", &bad).await.status, 400, "{bad}");
            bad[member].as_object_mut().unwrap().remove(part);
            assert_eq!(ask(&world, "gateway", &bad).await.status, 400, "{bad}");
        }
    }
    for (body, kind) in [
        ("", "application/json"),
        ("{", "application/json"),
        ("[]", "application/json"),
        (&*good.to_string(), "text/plain"),
    ] {
        let answer = post(&world, "gateway", "/access/v1/evaluation", body.into(), kind).await;
        assert_eq!(answer.status, 400, "{kind} {body}");
    }
}

async fn az6_a_batch_answers_in_order_and_item_by_item(world: World) {
    fixture(&world, RULES).await;
    let (items, expected): (Vec<Value>, Vec<bool>) = required().into_iter().unzip();
    let batch = json!({ "evaluations": items });
    let path = "/access/v1/evaluations";
    let answer = post(&world, "gateway", path, batch.to_string(), "application/json").await;
    // Defaults are wanted of every member that is not in each item.
    assert_eq!(answer.status, 200, "{}", answer.text);
    let told = |answer: &Answer| -> Vec<bool> {
        let items = answer.json["evaluations"].as_array().unwrap();
        items.iter().map(|item| item["decision"].as_bool().unwrap()).collect()
    };
    assert_eq!(told(&answer), expected);
    let defaults = json!({
        "subject": { "type": "user", "id": "alice" },
        "action": { "name": "write" },
        "evaluations": [
            { "resource": { "type": "record", "id": "record-1" } },
            { "resource": { "type": "record" } },
            { "resource": { "type": "record", "id": "record-2", "properties": { "status": "archived" } } },
        ],
    });
    let answer = post(&world, "gateway", path, defaults.to_string(), "application/json").await;
    assert_eq!(told(&answer), [true, false, false]);
    assert_eq!(answer.json["evaluations"][1]["context"]["error"]["status"], 400);
}

async fn only_a_gateway_that_an_administrator_flagged_asks_without_a_token(world: World) {
    fixture(&world, RULES).await;
    let asked = question("alice", "read", "record-1");
    let denied = ask(&world, "tickets", &asked).await;
    assert_eq!((denied.status, &denied.json["decision"]), (200, &json!(false)));
    assert_eq!(denied.json["context"]["reason"], "token_required");
    let event = world.events().await.remove(0);
    assert_eq!((event.kind, &*event.reason), (Kind::Decision, "token_required"));
    assert_eq!(event.client.unwrap().as_str(), "cl_tickets");
}

async fn what_the_schema_does_not_describe_is_denied(world: World) {
    fixture(&world, RULES).await;
    let described = question("alice", "read", "record-1");
    let mut cases = vec![question("alice", "print", "record-1")];
    for (member, part, value) in [
        ("subject", "type", json!("robot")),
        ("resource", "type", json!("user")),
        ("subject", "type", json!("no name")),
        ("subject", "properties", json!({ "role": 7 })),
    ] {
        let mut case = described.clone();
        case[member][part] = value;
        cases.push(case);
    }
    for case in cases {
        let answer = ask(&world, "gateway", &case).await;
        assert_eq!(answer.json["context"]["reason"], "access_not_described", "{case}");
    }
    world.put(&[("policy_set", "active", json!({ "by": "test", "delegation": [] }))]).await;
    assert!(!decision(&world, &described).await, "no policy, no permission");
}

async fn a_question_without_a_token_is_on_record_and_explained(world: World) {
    fixture(&world, RULES).await;
    let answer = ask(&world, "gateway", &archived("alice")).await;
    assert_eq!(answer.json["context"]["reason"], "access_forbidden");
    assert!(!answer.text.contains("archived-is-archived"), "which policy is for administrators");
    let event = world.events().await.remove(0);
    let id = answer.json["context"]["id"].as_str().unwrap();
    assert_eq!(event.decision.unwrap().to_string(), id);
    let told: Vec<(&str, &str)> =
        event.detail.iter().map(|(name, value)| (&**name, value.as_str())).collect();
    assert_eq!(
        told,
        [
            ("subject_named", "user alice"),
            ("resource_named", "record record-2"),
            ("policy", "archived-is-archived"),
        ]
    );
    assert!(event.subject.is_none(), "nobody proved to be alice");
    let explained = world.operator().get(&format!("/decisions/{id}")).await;
    assert_eq!(explained.status, 200, "{}", explained.text);
    assert!(explained.text.contains("without a token"), "{}", explained.text);
    // Which policy decided is shown as it was written then, whatever has become of the set.
    activate(&world, r#"@id("nobody") forbid (principal, action, resource);"#).await;
    let again = world.operator().get(&format!("/decisions/{id}")).await;
    assert_eq!(again.json["policies"], explained.json["policies"]);
    let policy = &again.json["policies"]["decided"][0];
    assert_eq!(
        (&policy["id"], &policy["file"]),
        (&json!("archived-is-archived"), &json!("records.cedar"))
    );
    assert_eq!(policy["line"], 9, "{policy}");
    assert!(policy["text"].as_str().unwrap().contains("unless { principal has role"), "{policy}");
}

async fn an_access_policy_that_errs_denies(world: World) {
    let errs = r#"@id("all") permit (principal, action, resource);
        @id("errs") forbid (principal, action, resource)
        when { 9223372036854775807 + (if principal == user::"alice" then 1 else 0) == 0 };"#;
    fixture(&world, errs).await;
    assert!(decision(&world, &question("bob", "read", "record-1")).await);
    let answer = ask(&world, "gateway", &question("alice", "read", "record-1")).await;
    assert_eq!(answer.json["context"]["reason"], "access_failed");
}

async fn a_shadow_policy_tells_what_it_would_turn(world: World) {
    let shadow = r#"@id("all") permit (principal, action, resource);
        @id("not-bob") @shadow forbid (principal == user::"bob", action, resource);"#;
    fixture(&world, shadow).await;
    assert!(decision(&world, &question("bob", "read", "record-1")).await);
    let event = world.events().await.remove(0);
    assert!(event.detail.contains(&("shadow_policy".into(), "not-bob".to_owned())));
}

async fn neither_family_sees_the_others_requests(world: World) {
    fixture(&world, RULES).await;
    let forbids = r#"@id("none") forbid (principal, action, resource);"#;
    let set = json!({
        "by": "test",
        "delegation": [{ "name": "a.cedar", "text": forbids }],
        "access": {
            "schema": { "name": "schema.cedarschema", "text": SCHEMA },
            "policies": [{ "name": "records.cedar", "text": RULES }],
        },
    });
    world.put(&[("policy_set", "active", set)]).await;
    assert!(decision(&world, &question("alice", "read", "record-1")).await);
    let support = world.agent("support");
    let tickets = crate::world::story::TICKETS;
    let refused = support.exchanges(&world.alice()).at(tickets).scope("tickets:read").send().await;
    refused.is_refused("actor_unauthorized");
}
