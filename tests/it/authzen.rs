//! AuthZEN 1.0 with a token: the same decisions as introspection, one by one and in batches.

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{REFUNDS, TICKETS},
    wire::{Answer, exact},
};

on_both! {
    az1_a_permit_and_a_deny_are_both_200
    az1_what_cannot_be_read_is_400_and_a_stranger_401
    az1_the_request_id_comes_back
    az2_each_item_is_decided_once_in_its_place
    az2_a_short_circuit_decides_nothing_behind_its_end
    az4_discovery_names_both_endpoints
    cz3_a_subject_that_is_not_the_tokens_is_denied
    every_token_that_is_not_live_here_is_one_answer
    introspection_and_authzen_agree
    without_a_token_nothing_is_permitted
}

/// What a gateway sends about one call.
fn question(token: &str, location: &str, tool: &str, arguments: Value) -> Value {
    json!({
        "subject": { "type": "user", "id": "alice", "properties": { "token": token } },
        "action": { "name": tool },
        "resource": { "type": "mcp_server", "id": location },
        "context": { "arguments": arguments },
    })
}

async fn ask(world: &World, client: &str, question: &Value) -> Answer {
    let path = "/access/v1/evaluation";
    world.agent(client).sends(path).send_body(question.to_string(), "application/json").await
}

async fn ask_all(world: &World, client: &str, batch: &Value) -> Answer {
    let path = "/access/v1/evaluations";
    world.agent(client).sends(path).send_body(batch.to_string(), "application/json").await
}

async fn tickets(world: &World, scope: &str) -> String {
    world.agent("support").exchanges(&world.alice()).at(TICKETS).scope(scope).token().await
}

async fn order_a17(world: &World) -> String {
    let order = json!({ "refunds.list": { "order_id": exact("A-17") } });
    world.agent("support").exchanges(&world.alice()).at(REFUNDS).tools(REFUNDS, order).token().await
}

fn reasons(answer: &Answer) -> Vec<&str> {
    let items = answer.json["evaluations"].as_array().unwrap();
    items.iter().map(|item| item["context"]["reason"].as_str().unwrap_or("error")).collect()
}

async fn decisions(world: &World) -> usize {
    let events = world.events().await;
    events.iter().filter(|event| event.kind == deputy::model::event::Kind::Decision).count()
}

async fn az1_a_permit_and_a_deny_are_both_200(world: World) {
    let token = order_a17(&world).await;
    let asked = question(&token, REFUNDS, "refunds.list", json!({ "order_id": "A-17" }));
    let permit = ask(&world, "refunds", &asked).await;
    assert_eq!((permit.status, &permit.json["decision"]), (200, &json!(true)), "{permit:?}");
    assert_eq!(permit.json["context"]["reason"], "permitted");
    assert_eq!(permit.header("cache-control"), "no-store");
    let asked = question(&token, REFUNDS, "refunds.list", json!({ "order_id": "*" }));
    let deny = ask(&world, "refunds", &asked).await;
    assert_eq!((deny.status, &deny.json["decision"]), (200, &json!(false)));
    let context = &deny.json["context"];
    assert_eq!(
        (&context["reason"], &context["argument"]),
        (&json!("argument_not_permitted"), &json!("/order_id"))
    );
    let event = world.events().await.remove(0);
    assert_eq!(event.decision.unwrap().to_string(), context["id"].as_str().unwrap());
    assert_eq!(&*event.subject.unwrap().sub, "alice");
}

async fn az1_what_cannot_be_read_is_400_and_a_stranger_401(world: World) {
    let token = order_a17(&world).await;
    let good = question(&token, REFUNDS, "refunds.list", json!({ "order_id": "A-17" }));
    let sends = || world.agent("refunds").sends("/access/v1/evaluation");
    for (body, content_type) in [
        (good.to_string(), "text/plain"),
        (good.to_string(), "application/x-www-form-urlencoded"),
        (String::new(), "application/json"),
        ("{".to_owned(), "application/json"),
        ("{}".to_owned(), "application/json"),
        (good.to_string().replace(r#""id":"alice""#, r#""id":7"#), "application/json"),
        (good.to_string().replace(r#""action""#, r#""actions""#), "application/json"),
        (good.to_string().replacen('{', r#"{"action":{"name":"x"},"#, 1), "application/json"),
        ("[".repeat(100), "application/json"),
    ] {
        let answer = sends().send_body(body.clone(), content_type).await;
        assert_eq!(answer.status, 400, "{body} as {content_type}: {answer:?}");
        assert!(answer.json.is_string(), "an error is a message: {}", answer.text);
        assert!(!answer.text.contains("eyJ"), "no token comes back: {}", answer.text);
    }
    let huge = sends().send_body("x".repeat(64 * 1024 + 1), "application/json").await;
    assert_eq!(huge.status, 413);
    let utf8 = "application/json; charset=utf-8";
    assert_eq!(sends().send_body(good.to_string(), utf8).await.status, 200);
    for basic in [None, Some(("cl_refunds", "wrong")), Some(("cl_nobody", "wrong"))] {
        for body in [good.to_string(), "{".to_owned()] {
            let answer = sends().basic(basic).send_body(body, "application/json").await;
            assert_eq!(answer.status, 401, "before the body is looked at");
            assert!(answer.json.is_string());
            assert!(!answer.text.contains("client_assertion"), "no place for one: {}", answer.text);
            assert!(basic.is_some() || answer.text.contains("HTTP Basic"), "{}", answer.text);
            assert!(answer.header("www-authenticate").starts_with("Basic "));
        }
    }
    assert_eq!(world.get("/access/v1/evaluation").await.status, 405);
}

async fn az1_the_request_id_comes_back(world: World) {
    let sends = |id: &str| {
        let request = world.agent("refunds").sends("/access/v1/evaluation");
        request.header("x-request-id", id).send_body("{}", "application/json")
    };
    assert_eq!(sends("bfe9eb29-ab87").await.header("x-request-id"), "bfe9eb29-ab87");
    let long = "x".repeat(129);
    let replaced = sends(&long).await;
    assert_eq!(replaced.header("x-request-id").len(), 16, "a log line has a bound");
}

async fn az2_each_item_is_decided_once_in_its_place(world: World) {
    let token = tickets(&world, "tickets:read tickets:write").await;
    let mut batch = question(&token, TICKETS, "tickets.get", json!({ "id": 1 }));
    batch["evaluations"] = json!([
        {},
        { "action": { "name": "tickets.update" } },
        { "action": { "name": "tickets.delete" } },
        { "action": {} },
        "not an object",
        { "resource": { "type": "mcp_server", "id": REFUNDS } },
        { "context": {} },
    ]);
    let before = decisions(&world).await;
    let answer = ask_all(&world, "tickets", &batch).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = [
        "permitted",
        "permitted",
        "scope_missing",
        "error",
        "error",
        "token_inactive",
        "permitted",
    ];
    assert_eq!(reasons(&answer), expected);
    for item in answer.json["evaluations"].as_array().unwrap() {
        assert_eq!(item["decision"], item["context"]["reason"] == "permitted", "{item}");
    }
    assert_eq!(answer.json["evaluations"][3]["context"]["error"]["status"], 400);
    assert_eq!(decisions(&world).await - before, 4, "one event for each decision");
    let empty = json!({ "evaluations": [] });
    assert_eq!(ask_all(&world, "tickets", &empty).await.status, 400);
    batch["evaluations"] = json!([]);
    assert_eq!(ask_all(&world, "tickets", &batch).await.json["decision"], true, "as one");
    batch["evaluations"] = json!(vec![json!({}); 65]);
    assert_eq!(ask_all(&world, "tickets", &batch).await.status, 400, "64 at most");
}

async fn az2_a_short_circuit_decides_nothing_behind_its_end(world: World) {
    let token = tickets(&world, "tickets:write").await;
    let get = json!({ "action": { "name": "tickets.get" } });
    let update = json!({ "action": { "name": "tickets.update" } });
    for (semantic, items, expected) in [
        ("execute_all", json!([get, update, get]), vec![false, true, false]),
        ("deny_on_first_deny", json!([update, get, update]), vec![true, false]),
        ("permit_on_first_permit", json!([get, update, get]), vec![false, true]),
        ("permit_on_first_permit", json!([get, get]), vec![false, false]),
    ] {
        let mut batch = question(&token, TICKETS, "tickets.get", json!({}));
        batch["evaluations"] = items;
        batch["options"] = json!({ "evaluations_semantic": semantic });
        let before = decisions(&world).await;
        let answer = ask_all(&world, "tickets", &batch).await;
        let items = answer.json["evaluations"].as_array().unwrap();
        let told: Vec<bool> = items.iter().map(|i| i["decision"].as_bool().unwrap()).collect();
        assert_eq!(told, expected, "{semantic}");
        assert_eq!(decisions(&world).await - before, expected.len(), "{semantic}");
    }
}

async fn az4_discovery_names_both_endpoints(world: World) {
    let found = world.get("/.well-known/authzen-configuration").await;
    assert_eq!(found.status, 200);
    let expected = json!({
        "policy_decision_point": "https://deputy.example",
        "access_evaluation_endpoint": "https://deputy.example/access/v1/evaluation",
        "access_evaluations_endpoint": "https://deputy.example/access/v1/evaluations",
    });
    assert_eq!(found.json, expected, "and nothing that is not built");
}

async fn cz3_a_subject_that_is_not_the_tokens_is_denied(world: World) {
    let token = tickets(&world, "tickets:read").await;
    let mut asked = question(&token, TICKETS, "tickets.get", json!({}));
    asked["subject"]["type"] = json!("identity");
    assert_eq!(
        ask(&world, "tickets", &asked).await.json["decision"],
        true,
        "a type is only a word"
    );
    asked["subject"]["id"] = json!("bob");
    let denied = ask(&world, "tickets", &asked).await;
    assert_eq!(denied.json["decision"], false);
    assert_eq!(denied.json["context"]["reason"], "subject_mismatch");
    assert!(!denied.text.contains("alice"), "nor is the right one told");
    let event = world.events().await.remove(0);
    assert_eq!((&*event.reason, &*event.subject.unwrap().sub), ("subject_mismatch", "alice"));
}

async fn every_token_that_is_not_live_here_is_one_answer(world: World) {
    let live = tickets(&world, "tickets:read").await;
    let revoked = tickets(&world, "tickets:read").await;
    world.agent("support").revokes(&revoked).send().await;
    let mut seen = std::collections::BTreeSet::new();
    let user = world.alice();
    for token in ["x", &live[..live.len() - 1], &revoked, &user] {
        let asked = question(token, TICKETS, "tickets.get", json!({}));
        seen.insert(ask(&world, "tickets", &asked).await.text);
    }
    let metadata = "https://deputy.example/resources/tickets/oauth-protected-resource";
    let expected = json!({ "decision": false, "context": {
        "reason": "token_inactive", "mcp": { "status": 401 },
        "challenge": format!("Bearer error=\"invalid_token\", resource_metadata=\"{metadata}\""),
    }});
    assert_eq!(seen.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(seen.first().unwrap()).unwrap(), expected);
    let asked = question(&live, TICKETS, "tickets.get", json!({}));
    let stranger = ask(&world, "refunds", &asked).await;
    assert_eq!(stranger.json["context"]["reason"], "token_inactive");
    assert!(!stranger.text.contains("resource_metadata"), "it is not the asker's resource");
}

async fn introspection_and_authzen_agree(world: World) {
    let token = order_a17(&world).await;
    for (tool, arguments) in [
        ("refunds.list", json!({ "order_id": "A-17" })),
        ("refunds.list", json!({ "order_id": "B" })),
        ("refunds.list", json!({})),
        ("refunds.list", json!([])),
        ("refunds.export", json!({})),
        ("nothing", json!({})),
    ] {
        let asked = question(&token, REFUNDS, tool, arguments.clone());
        let by_authzen = ask(&world, "refunds", &asked).await;
        let asked = world.server("refunds").asks(&token, tool, &arguments.to_string()).await;
        let mut expected = asked.json["decision"].clone();
        assert_eq!(by_authzen.json["decision"], expected["allow"]);
        expected.as_object_mut().unwrap().remove("allow");
        let mut told = by_authzen.json["context"].clone();
        for answer in [&mut expected, &mut told] {
            answer["id"] = json!("its own");
            answer["mcp"] = json!("with its own id");
        }
        assert_eq!(told, expected);
    }
}

async fn without_a_token_nothing_is_permitted(world: World) {
    let mut asked = question("x", TICKETS, "tickets.get", json!({}));
    asked["subject"]["properties"] = json!({});
    let denied = ask(&world, "tickets", &asked).await;
    assert_eq!((denied.status, &denied.json["decision"]), (200, &json!(false)));
    assert_eq!(denied.json["context"]["reason"], "token_required");
}
