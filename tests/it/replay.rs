//! A draft of the policies, tried on what was decided: what it would have denied, what it would have
//! let pass, and what cannot be told.

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{REFUNDS, TICKETS},
    wire::{Answer, exact},
};

on_both! {
    what_would_be_denied_is_found_by_agent_and_tool
    what_would_be_allowed_is_found_and_what_others_deny_stays_denied
    a_value_that_was_not_kept_leaves_open_only_what_rests_on_it
    each_decision_is_made_again_by_the_registry_of_then
    a_replay_tells_what_the_draft_does_once_it_is_active
    only_the_newest_are_looked_at_and_none_that_is_too_old
    a_draft_that_does_not_validate_is_refused_with_its_place
}

/// Activates policies.
async fn policies(world: &World, text: &str) {
    let set = json!({ "delegation": [{ "name": "a.cedar", "text": text }] });
    world.put(&[("policy_set", "active", set)]).await;
}

fn draft(text: &str) -> Value {
    json!({ "policies": { "delegation": [{ "name": "draft.cedar", "text": text }] } })
}

async fn replays(world: &World, order: Value) -> Value {
    let answer = world.operator().post("/policies/replay", order).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json
}

/// Unchanged, newly allowed, newly denied, undecidable.
fn counts(told: &Value) -> [i64; 4] {
    ["unchanged", "newly_allowed", "newly_denied", "undecidable"]
        .map(|name| told[name].as_i64().unwrap())
}

fn group<'a>(told: &'a Value, tool: &str) -> &'a Value {
    told["groups"].as_array().unwrap().iter().find(|group| group["tool"] == tool).unwrap()
}

async fn token(world: &World, resource: &str, tools: Value) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(resource);
    exchange.tools(resource, tools).token().await
}

async fn asks(world: &World, token: &str, arguments: Value) -> Answer {
    world.server("refunds").asks(token, "refunds.issue", &arguments.to_string()).await
}

/// `refunds.issue` takes an amount and a note, of which the first is kept.
async fn amounts_are_kept(world: &World) {
    let schema = json!({ "type": "object", "properties": {
        "amount": { "type": "integer" }, "note": { "type": "string" },
    } });
    world.change("tool", "refunds.issue", "input_schema", schema).await;
    world.change("tool", "refunds.issue", "keep_arguments", json!(["amount"])).await;
}

const LIMIT: &str = r#"@id("limit") forbid (principal, action == Action::"refunds/refunds.issue", resource)
    when { context.arguments has amount && context.arguments.amount > 500 };"#;

async fn what_would_be_denied_is_found_by_agent_and_tool(world: World) {
    amounts_are_kept(&world).await;
    let refunds = token(&world, REFUNDS, json!({ "refunds.issue": {} })).await;
    for amount in [100, 600, 700, 800, 900] {
        asks(&world, &refunds, json!({ "amount": amount })).await;
    }
    let tickets = token(&world, TICKETS, json!({ "tickets.get": {} })).await;
    world.server("tickets").asks(&tickets, "tickets.get", "{}").await;
    let told = replays(&world, draft(LIMIT)).await;
    assert_eq!(counts(&told), [2, 0, 4, 0], "{told}");
    assert_eq!((&told["decisions"], &told["complete"]), (&json!(6), &json!(true)));
    // What changes most comes first.
    let first = &told["groups"][0];
    assert_eq!((&first["agent"], &first["tool"]), (&json!("cl_support"), &json!("refunds.issue")));
    assert_eq!(counts(first), [1, 0, 4, 0]);
    assert_eq!(counts(group(&told, "tickets.get")), [1, 0, 0, 0]);
    let examples = first["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 3);
    for example in examples {
        assert_eq!(example["policies"], json!(["limit"]));
        let came = (&example["before"], &example["after"]);
        assert_eq!(came, (&json!("permitted"), &json!("policy_forbids")));
        // Each can be looked into.
        let path = format!("/decisions/{}", example["decision"].as_str().unwrap());
        assert_eq!(world.operator().get(&path).await.status, 200);
    }
    // In shadow it changes nothing, and nothing was activated.
    let shadow = LIMIT.replace("forbid", "@shadow forbid");
    assert_eq!(counts(&replays(&world, draft(&shadow)).await), [6, 0, 0, 0]);
    assert_eq!(world.operator().get("/policies").await.json["version"], 0);
}

async fn what_would_be_allowed_is_found_and_what_others_deny_stays_denied(world: World) {
    amounts_are_kept(&world).await;
    policies(&world, LIMIT).await;
    let range = json!({ "constraint_type": "range", "max": 5_000 });
    let token = token(&world, REFUNDS, json!({ "refunds.issue": { "amount": range } })).await;
    let forbidden = asks(&world, &token, json!({ "amount": 501 })).await;
    assert_eq!(forbidden.json["decision"]["reason"], "policy_forbids");
    let beyond = asks(&world, &token, json!({ "amount": 5_001 })).await;
    assert_eq!(beyond.json["decision"]["reason"], "argument_not_permitted");
    let told = replays(&world, draft("")).await;
    assert_eq!(
        counts(&told),
        [1, 1, 0, 0],
        "no policy lets through what was not delegated: {told}"
    );
    let example = &group(&told, "refunds.issue")["examples"][0];
    assert_eq!(example["decision"], forbidden.json["decision"]["id"]);
    assert_eq!(example["after"], "permitted");
    let higher = LIMIT.replace("500", "501");
    assert_eq!(counts(&replays(&world, draft(&higher)).await), [1, 1, 0, 0]);
    // The same draft as what is active changes nothing.
    assert_eq!(counts(&replays(&world, draft(LIMIT)).await), [2, 0, 0, 0]);
}

async fn a_value_that_was_not_kept_leaves_open_only_what_rests_on_it(world: World) {
    amounts_are_kept(&world).await;
    let given = json!({ "refunds.issue": { "amount": exact(600), "note": exact("x") } });
    let token = token(&world, REFUNDS, given).await;
    let asked = asks(&world, &token, json!({ "amount": 600, "note": "x" })).await;
    assert_eq!(asked.json["decision"]["allow"], true);
    // The amount was kept, though not all of the arguments were.
    assert_eq!(counts(&replays(&world, draft(LIMIT)).await), [0, 0, 1, 0]);
    let note = r#"@id("note") forbid (principal, action == Action::"refunds/refunds.issue", resource)
        when { context.arguments has note && context.arguments.note == "y" };"#;
    let told = replays(&world, draft(note)).await;
    assert_eq!(counts(&told), [0, 0, 0, 1], "{told}");
    assert_eq!(told["undecidable_because"], json!({ "argument_values_not_kept": 1 }));
    // What looks at no argument needs none.
    let alone = r#"@id("alone") forbid (principal, action in Action::"effect-destructive", resource)
        when { principal == Subject::"alice" };"#;
    assert_eq!(counts(&replays(&world, draft(alone)).await), [0, 0, 1, 0]);
}

async fn each_decision_is_made_again_by_the_registry_of_then(world: World) {
    amounts_are_kept(&world).await;
    let token = token(&world, REFUNDS, json!({ "refunds.issue": {} })).await;
    asks(&world, &token, json!({ "amount": 600 })).await;
    // Of then: the tool was destructive, and its amounts were whole numbers.
    world.change("tool", "refunds.issue", "effect", json!("write")).await;
    world.revoke(json!({ "agent": "cl_support" })).await;
    let destructive = r#"@id("d") forbid (principal, action in Action::"call", resource)
        when { context.effect == "destructive" };"#;
    assert_eq!(counts(&replays(&world, draft(destructive)).await), [0, 0, 1, 0]);
    let schema = json!({ "type": "object", "properties": { "amount": { "type": "string" } } });
    world.change("tool", "refunds.issue", "input_schema", schema).await;
    let texts = LIMIT.replace("> 500", "== \"x\"");
    let told = replays(&world, draft(&texts)).await;
    let why = json!({ "draft_does_not_validate_against_the_tools_of_then": 1 });
    assert_eq!((counts(&told), &told["undecidable_because"]), ([0, 0, 0, 1], &why));
}

/// A walk from every one of [`SETS`] to every one.
const WALK: [usize; 26] =
    [0, 0, 1, 0, 2, 0, 3, 0, 4, 1, 1, 2, 1, 3, 1, 4, 2, 2, 3, 2, 4, 3, 3, 4, 4, 0];

/// They forbid, watch, demand, look at texts, and err.
const SETS: [&str; 5] = [
    "",
    LIMIT,
    r#"@id("texts") forbid (principal, action in Action::"refunds/*", resource)
       unless { context.arguments has note && context.arguments.note like "*x*" };"#,
    r#"@id("bound") @require("dpop") forbid (principal, action in Action::"effect-read", resource);
       @id("small") @shadow forbid (principal, action in Action::"call", resource);"#,
    r#"@id("overflow") forbid (principal, action == Action::"refunds/refunds.issue", resource)
       when { context.arguments has amount && context.arguments.amount * 9000000000 > 0 };"#,
];

async fn a_replay_tells_what_the_draft_does_once_it_is_active(world: World) {
    amounts_are_kept(&world).await;
    world.change("tool", "refunds.issue", "keep_arguments", json!(["amount", "note"])).await;
    let range = json!({ "amount": { "constraint_type": "range", "max": 5_000 } });
    let limited = token(&world, REFUNDS, json!({ "refunds.issue": range })).await;
    let issue = token(&world, REFUNDS, json!({ "refunds.issue": {} })).await;
    let list = token(&world, REFUNDS, json!({ "refunds.list": {} })).await;
    let mut calls = vec![(&list, "refunds.list", json!({})), (&list, "refunds.issue", json!({}))];
    for arguments in [
        json!({}),
        json!({ "amount": 500 }),
        json!({ "amount": 5_001 }),
        json!({ "amount": "many" }),
        json!({ "amount": 7_000_000_000_i64, "note": "x" }),
        json!({ "amount": 1, "note": null }),
    ] {
        calls.push((&issue, "refunds.issue", arguments.clone()));
        calls.push((&limited, "refunds.issue", arguments));
    }
    let decided = async || {
        let mut allowed = Vec::new();
        for (token, tool, arguments) in &calls {
            let answer = world.server("refunds").asks(token, tool, &arguments.to_string()).await;
            allowed.push(answer.json["decision"]["allow"] == true);
        }
        allowed
    };
    let mut differed = [0; 2];
    let mut before = decided().await;
    for draft in WALK.map(|at| SETS[at]).into_iter().skip(1) {
        let mut order = self::draft(draft);
        order["limit"] = json!(calls.len());
        let told = replays(&world, order).await;
        policies(&world, draft).await;
        let after = decided().await;
        let came = |was: bool, is: bool| {
            let pairs = before.iter().zip(&after);
            i64::try_from(pairs.filter(|pair| *pair == (&was, &is)).count()).unwrap()
        };
        let unchanged = came(true, true) + came(false, false);
        let expected = [unchanged, came(false, true), came(true, false), 0];
        assert_eq!(counts(&told), expected, "→ {draft}\n{told}");
        differed[0] += came(false, true);
        differed[1] += came(true, false);
        before = after;
    }
    assert!(differed.iter().all(|n| *n > 20), "it is held to something: {differed:?}");
}

async fn only_the_newest_are_looked_at_and_none_that_is_too_old(world: World) {
    amounts_are_kept(&world).await;
    let token = token(&world, REFUNDS, json!({ "refunds.issue": {} })).await;
    let begin = world.deputy.now().epoch_s();
    for amount in [600, 700, 800] {
        asks(&world, &token, json!({ "amount": amount })).await;
        world.advance(10).await;
    }
    let with = |name: &str, value: i64| {
        let mut order = draft(LIMIT);
        order[name] = json!(value);
        order
    };
    let told = replays(&world, with("limit", 2)).await;
    assert_eq!((counts(&told), &told["complete"]), ([0, 0, 2, 0], &json!(false)));
    assert_eq!(told["oldest"], begin + 10);
    let told = replays(&world, with("since", begin + 20)).await;
    assert_eq!((counts(&told), &told["complete"]), ([0, 0, 1, 0], &json!(true)));
    // What is no longer kept is said to be.
    world.advance(9 * 86_400 - 30).await;
    let told = replays(&world, draft(LIMIT)).await;
    assert_eq!(counts(&told), [0, 0, 0, 3], "{told}");
}

async fn a_draft_that_does_not_validate_is_refused_with_its_place(world: World) {
    let misspelt = LIMIT.replace("context.arguments ", "context.argumants ");
    let refused = world.operator().post("/policies/replay", draft(&misspelt)).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let fault = &refused.json["errors"][0];
    assert_eq!(fault["field"], "/policies/delegation/0/text", "{fault}");
    assert_eq!((&fault["file"], &fault["line"]), (&json!("draft.cedar"), &json!(2)));
    for wrong in [json!({}), json!({ "policies": {}, "limit": 0 }), json!({ "policies": [] })] {
        assert_eq!(world.operator().post("/policies/replay", wrong).await.status, 400);
    }
    let auditor = world.auditor().await;
    assert_eq!(auditor.post("/policies/replay", draft("")).await.status, 200);
}
