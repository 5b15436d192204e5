//! Whether a call would be allowed: told as the real exchanges and the real decision would tell it,
//! with nothing left behind but that it was asked.

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{BILLING, REFUNDS},
    wire::exact,
};

on_both! {
    a_call_through_two_agents_is_simulated_as_it_would_be_decided
    every_ceiling_is_asked_and_the_one_that_refuses_is_named
    who_must_prove_a_key_is_supposed_to
    only_what_the_users_claims_are_worth_is_granted
    nothing_is_issued_and_that_it_was_asked_is_on_record
    a_question_that_makes_no_sense_is_refused_with_its_place
    only_an_administrator_asks
}

/// Alice through support and billing: may refunds be listed for this order?
fn question() -> Value {
    json!({
        "subject": {
            "issuer": "corp", "sub": "alice",
            "claims": { "groups": ["support"], "scope": "assist" },
        },
        "agents": ["cl_support", "cl_billing"],
        "resource": "refunds",
        "tool": "refunds.list",
        "arguments": { "order_id": "A-17" },
    })
}

async fn asked(world: &World, question: Value) -> Value {
    let answer = world.operator().post("/simulations", question).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json
}

async fn a_call_through_two_agents_is_simulated_as_it_would_be_decided(world: World) {
    let told = asked(&world, question()).await;
    assert_eq!((&told["allowed"], &told["reason"]), (&json!(true), &json!("permitted")), "{told}");
    let exchanges = told["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), 2);
    assert_eq!(exchanges[0]["target"], BILLING);
    assert_eq!(exchanges[1]["target"], REFUNDS);
    assert_eq!(exchanges[1]["scope"], "refunds:read");
    let exactly = json!({ "refunds.list": { "order_id": exact("A-17") } });
    assert_eq!(exchanges[1]["authorization_details"][0]["tools"], exactly);
    // With other details than the call, the decision denies, and says what would be enough.
    let mut narrow = question();
    narrow["authorization_details"] = json!([{
        "type": "mcp_tool_call", "locations": [REFUNDS],
        "tools": { "refunds.list": { "order_id": exact("B-1") } },
    }]);
    let told = asked(&world, narrow).await;
    assert_eq!(told["allowed"], false);
    assert_eq!(told["reason"], "argument_not_permitted");
    assert_eq!(told["smallest_grant"][0]["tools"], exactly);
    // The real thing says the same.
    let hand_over = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, exactly).token().await;
    let token = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    let arguments = json!({ "order_id": "A-17" });
    assert_eq!(
        world.server("refunds").decides(&token, "refunds.list", arguments).await,
        "permitted"
    );
}

async fn every_ceiling_is_asked_and_the_one_that_refuses_is_named(world: World) {
    let because = |told: &Value| {
        let last = told["exchanges"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&told["allowed"], &last["outcome"]), (&json!(false), &json!("refused")));
        assert!(told.get("steps").is_none(), "there is no token to decide about");
        (last["client"].as_str().unwrap().to_owned(), last["because"].as_str().unwrap().to_owned())
    };
    let mut beyond = question();
    beyond["tool"] = json!("refunds.export");
    let told = because(&asked(&world, beyond).await);
    assert_eq!(told, ("cl_support".to_owned(), "details_beyond_edge".to_owned()));
    let mut no_edge = question();
    no_edge["agents"] = json!(["cl_billing", "cl_support"]);
    assert_eq!(because(&asked(&world, no_edge).await).0, "cl_billing");
    let mut unknown = question();
    unknown["tool"] = json!("refunds.nothing");
    assert!(because(&asked(&world, unknown).await).1.contains("unknown"));
    world.change("client", "cl_billing", "enabled", json!(false)).await;
    let (_, reason) = because(&asked(&world, question()).await);
    assert_eq!(reason, "target_unknown");
}

async fn who_must_prove_a_key_is_supposed_to(world: World) {
    world.change("client", "cl_support", "dpop_bound_access_tokens", json!(true)).await;
    // A server that looks at no key gets no bound token, and so none at all.
    let told = asked(&world, question()).await;
    assert_eq!(told["exchanges"][0]["outcome"], "granted", "{told}");
    assert_eq!(told["exchanges"][1]["because"], "target_bearer_only", "{told}");
    for who_checks in ["itself", "deputy"] {
        world.change("resource", "refunds", "dpop", json!(who_checks)).await;
        let told = asked(&world, question()).await;
        assert_eq!(
            (&told["allowed"], &told["reason"]),
            (&json!(true), &json!("permitted")),
            "{told}"
        );
    }
}

async fn only_what_the_users_claims_are_worth_is_granted(world: World) {
    let mut stranger = question();
    stranger["subject"]["claims"] = json!({ "groups": ["sales"], "scope": "assist" });
    let told = asked(&world, stranger).await;
    assert_eq!(told["allowed"], false);
    assert_eq!(told["grant_rules_met"][0], false);
    assert_eq!(told["exchanges"][0]["outcome"], "refused");
    assert_eq!(asked(&world, question()).await["grant_rules_met"][0], true);
}

async fn nothing_is_issued_and_that_it_was_asked_is_on_record(world: World) {
    let count = async || world.operator().get("/delegations").await.json["items"].clone();
    let before = count().await;
    asked(&world, question()).await;
    assert_eq!(count().await, before);
    let events = world.events().await;
    let inquiry = &events[0];
    assert_eq!((inquiry.kind.as_str(), &*inquiry.reason), ("inquiry", "call.simulated"));
    assert_eq!(&*inquiry.subject.as_ref().unwrap().sub, "alice");
    assert_eq!(inquiry.outcome.as_str(), "granted");
    let mut stranger = question();
    stranger["subject"]["claims"] = json!({ "groups": ["sales"], "scope": "assist" });
    asked(&world, stranger).await;
    assert_eq!(world.events().await[0].outcome.as_str(), "refused", "what came out of it");
    assert!(inquiry.detail.iter().any(|(name, by)| &**name == "operator" && by == "bootstrap"));
}

async fn a_question_that_makes_no_sense_is_refused_with_its_place(world: World) {
    for (member, value, place) in [
        ("agents", json!([]), "/agents"),
        ("agents", json!(["cl_tickets"]), "/agents/0"),
        ("agents", json!(["cl_support", "cl_nobody"]), "/agents/1"),
        ("resource", json!("https://refunds.example/mcp"), "/resource"),
        ("resource", json!("nothing"), "/resource"),
        ("tool", json!(""), "/tool"),
        ("arguments", json!([]), "/arguments"),
        ("authorization_details", json!([{ "type": "x" }]), "/authorization_details/0/type"),
        ("subject", json!({ "issuer": "nobody", "sub": "alice" }), "/subject/issuer"),
        ("surprise", json!(1), "/surprise"),
    ] {
        let mut question = question();
        question[member] = value;
        let answer = world.operator().post("/simulations", question).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.json["errors"][0]["field"], place, "{}", answer.text);
    }
}

async fn only_an_administrator_asks(world: World) {
    let refused = world.auditor().await.post("/simulations", question()).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}
