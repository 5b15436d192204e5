//! Random histories: whatever was registered, changed, revoked, exchanged and asked in between,
//! every decision is made again as it was recorded. Seeds are fixed, so that a failure is the same
//! again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::world::{
    World,
    story::{BILLING, REFUNDS, TICKETS},
    wire::exact,
};

/// Steps of one history.
const STEPS: usize = 120;

/// Numbers that look random (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Tokens by the server they are for, and what was answered, by decision.
#[derive(Default)]
struct History {
    tokens: Vec<(&'static str, String)>,
    answers: BTreeMap<String, String>,
}

const TOOLS: [(&str, &str); 7] = [
    ("tickets", "tickets.get"),
    ("tickets", "tickets.update"),
    ("tickets", "tickets.delete"),
    ("refunds", "refunds.list"),
    ("refunds", "refunds.export"),
    ("refunds", "refunds.issue"),
    ("refunds", "refunds.nothing"),
];
const ARGUMENTS: [&str; 6] =
    ["{}", r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":1,"note":{"text":"x"}}"#, r#"{"id":"*"}"#, "[1]"];

/// Some of them are active, some of those only watched.
const POLICIES: [&str; 6] = [
    r#"@id("one") forbid (principal, action in Action::"effect-read", resource)
       when { context.arguments has id && context.arguments.id > 1 };"#,
    r#"@id("deep") forbid (principal, action in Action::"call", resource) when { context.depth > 1 };"#,
    r#"@id("bound") @require("dpop") forbid (principal, action in Action::"tickets/*", resource)
       when { context.arguments has note };"#,
    r#"@id("mfa") @require("acr:mfa") forbid (principal, action in Action::"effect-write", resource);"#,
    r#"@id("young") @require("max_ttl:15") forbid (principal, action in Action::"refunds/*", resource);"#,
    r#"@id("odd") forbid (principal, action in Action::"call", resource)
       when { context.local["Asia/Kathmandu"].minute < 20 };"#,
];

#[tokio::test]
async fn every_decision_of_a_random_history_is_explained_as_it_was_recorded() {
    let mut reasons = BTreeSet::new();
    for seed in [1, 2, 3, 5, 8] {
        reasons.extend(told_again(World::on_sqlite().await, seed).await);
    }
    reasons.extend(told_again(World::on_postgres().await, 4).await);
    for common in [
        "permitted",
        "tool_not_delegated",
        "argument_not_permitted",
        "tool_changed",
        "tool_revoked",
        "policy_forbids",
        "arguments_not_representable",
        "dpop_required",
    ] {
        assert!(reasons.contains(common), "never seen: {common} in {reasons:?}");
    }
    assert!(reasons.len() >= 8, "{reasons:?}");
}

/// Tells one history and has each of its decisions explained; the reasons that were met.
async fn told_again(world: World, seed: u64) -> BTreeSet<String> {
    let (mut dice, mut history) = (Dice(seed), History::default());
    for (_, tool) in &TOOLS[..6] {
        world.change("tool", tool, "keep_arguments", json!(["id", "note"])).await;
        let schema = json!({ "type": "object", "properties": {
            "id": { "type": "integer" },
            "note": { "type": "object", "properties": { "text": { "type": "string" } } },
        } });
        world.change("tool", tool, "input_schema", schema).await;
    }
    for _ in 0..STEPS {
        step(&world, &mut dice, &mut history).await;
    }
    let operator = world.operator();
    for (id, reason) in &history.answers {
        let told = operator.get(&format!("/decisions/{id}")).await;
        assert_eq!(told.json["recorded"]["reason"], **reason, "seed {seed}: {}", told.text);
        let agrees = &told.json["agrees"];
        // What could not be read was not kept.
        let expected = if reason == "arguments_malformed" { Value::Null } else { json!(true) };
        assert_eq!(*agrees, expected, "seed {seed}: {}", told.text);
    }
    history.answers.into_values().collect()
}

async fn step(world: &World, dice: &mut Dice, history: &mut History) {
    match dice.below(14) {
        12 | 13 => policies(world, dice).await,
        0 | 1 => exchange(world, dice, history).await,
        2 => hand_over(world, dice, history).await,
        3 => registry_change(world, dice).await,
        4 => revocation(world, dice).await,
        5 => world.advance(u32::try_from(dice.below(20)).unwrap()).await,
        _ => call(world, dice, history).await,
    }
}

fn details(dice: &mut Dice, resource: &str) -> Value {
    let mut tools = serde_json::Map::new();
    let here: Vec<_> = TOOLS[..6].iter().filter(|(at, _)| *at == resource).collect();
    for _ in 0..=dice.below(2) {
        let (_, tool) = **dice.one_of(&here);
        let limits = match dice.below(4) {
            0 => json!({}),
            1 => json!({ "id": exact(1) }),
            2 => json!({ "id": { "constraint_type": "one_of", "values": [1, 2] } }),
            _ => json!({ "id": exact(1), "note": { "constraint_type": "wildcard" } }),
        };
        tools.insert(tool.to_owned(), limits);
    }
    tools.into()
}

async fn exchange(world: &World, dice: &mut Dice, history: &mut History) {
    let (id, uri) = *dice.one_of(&[("tickets", TICKETS), ("refunds", REFUNDS)]);
    let asks = world.agent("support").exchanges(&world.alice()).at(uri);
    let asks = match dice.below(3) {
        0 => asks.scope(&format!("{id}:read")),
        _ => asks.tools(uri, details(dice, id)),
    };
    keep(history, id, &asks.send().await.json);
}

async fn hand_over(world: &World, dice: &mut Dice, history: &mut History) {
    let asks = world.agent("support").exchanges(&world.alice()).at(BILLING);
    let given = asks.tools(REFUNDS, json!({ "refunds.list": { "id": exact(1) } })).send().await;
    let Some(given) = given.json["access_token"].as_str() else { return };
    // Between the two, anything may happen.
    if dice.below(3) == 0 {
        registry_change(world, dice).await;
    }
    keep(
        history,
        "refunds",
        &world.agent("billing").takes_over(given).at(REFUNDS).send().await.json,
    );
}

fn keep(history: &mut History, resource: &'static str, answer: &Value) {
    if let Some(token) = answer["access_token"].as_str() {
        history.tokens.push((resource, token.to_owned()));
    }
}

async fn registry_change(world: &World, dice: &mut Dice) {
    let (resource, tool) = *dice.one_of(&TOOLS[..6]);
    let on = json!(dice.below(2) == 0);
    match dice.below(6) {
        0 | 1 => world.change("tool", tool, "enabled", on).await,
        2 => world.change("tool", tool, "description", json!(dice.below(9).to_string())).await,
        3 => {
            let effect = *dice.one_of(&["read", "write", "destructive", "egress"]);
            world.change("tool", tool, "effect", json!(effect)).await;
        }
        4 => world.change("tool", tool, "scopes", json!([format!("{resource}:read")])).await,
        _ => world.change("client", "cl_billing", "enabled", on).await,
    }
}

async fn policies(world: &World, dice: &mut Dice) {
    let mut text = String::new();
    for policy in POLICIES {
        match dice.below(6) {
            0 | 1 => text.push_str(policy),
            2 | 3 => text.extend(["@shadow ", policy]),
            _ => {}
        }
    }
    let set = json!({ "by": "test", "delegation": [{ "name": "dice.cedar", "text": text }] });
    world.put(&[("policy_set", "active", set)]).await;
}

async fn revocation(world: &World, dice: &mut Dice) {
    let (resource, tool) = *dice.one_of(&TOOLS[..6]);
    world.advance(1).await;
    let what = match dice.below(4) {
        0 | 1 => json!({ "tool": { "resource": resource, "name": tool } }),
        2 => json!({ "resource": resource }),
        _ => json!({ "agent": "cl_billing" }),
    };
    world.revoke(what).await;
    world.advance(1).await;
}

async fn call(world: &World, dice: &mut Dice, history: &mut History) {
    let newest = history.tokens.len().saturating_sub(6);
    if history.tokens.is_empty() {
        return;
    }
    let (resource, token) = dice.one_of(&history.tokens[newest..]).clone();
    let here: Vec<_> = TOOLS.iter().filter(|(at, _)| *at == resource).collect();
    let (_, tool) = **dice.one_of(&here);
    let answer =
        world.server(resource).asks(&token, tool, ARGUMENTS[dice.below(ARGUMENTS.len())]).await;
    let decision = &answer.json["decision"];
    if let Some(id) = decision["id"].as_str() {
        let reason = decision["reason"].as_str().unwrap().to_owned();
        history.answers.insert(id.to_owned(), reason);
    }
}
