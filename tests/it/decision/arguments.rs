//! The arguments of a call, held against what a delegation names: strictly read, compared by value,
//! and nothing beside what is named.

use serde_json::{Value, json};

use super::{limited, reading};
use crate::world::{World, on_both, story::TICKETS, wire::exact};

on_both! {
    arguments_are_a_closed_world
    numbers_are_compared_by_value
    the_other_constraints_hold
    ra9_every_kind_decides_a_call
    arguments_are_read_strictly
}

async fn arguments_are_a_closed_world(world: World) {
    let nested =
        json!({ "/order/id": exact("A-17"), "/order/at/zip": exact("10115"), "n": exact(1) });
    let token = limited(&world, json!({ "tickets.get": nested })).await;
    let order = |order: Value| json!({ "order": order, "n": 1 });
    let full = json!({ "id": "A-17", "at": { "zip": "10115" } });
    let tickets = world.server("tickets");
    for (arguments, reason, argument) in [
        (order(full.clone()), "permitted", ""),
        (json!({ "order": full, "n": 1, "x": null }), "argument_unexpected", "/x"),
        (
            order(json!({ "id": "A-17", "at": { "zip": "10115", "x": 1 } })),
            "argument_unexpected",
            "/order/at/x",
        ),
        (order(json!({ "id": "A-17", "at": {} })), "argument_missing", "/order/at/zip"),
        (order(json!({ "id": "A-17" })), "argument_missing", "/order/at"),
        (
            order(json!({ "id": "A-18", "at": { "zip": "10115" } })),
            "argument_not_permitted",
            "/order/id",
        ),
        (
            order(json!({ "id": "A-17", "at": [{ "zip": "10115" }] })),
            "argument_not_permitted",
            "/order/at",
        ),
        (order(json!("A-17")), "argument_not_permitted", "/order"),
        (json!({ "order": full, "N": 1 }), "argument_unexpected", "/N"),
        (json!({ "order": full }), "argument_missing", "/n"),
        (json!({ "/order/id": "A-17", "n": 1 }), "argument_unexpected", "/~1order~1id"),
    ] {
        let answer = tickets.asks(&token, "tickets.get", &arguments.to_string()).await;
        let decision = &answer.json["decision"];
        assert_eq!(decision["reason"], reason, "{arguments}");
        assert_eq!(decision["argument"].as_str().unwrap_or_default(), argument, "{arguments}");
    }
    let none = world.agent("tickets").introspects(&token).at(TICKETS).field("tool", "tickets.get");
    assert_eq!(none.send().await.json["decision"]["reason"], "argument_missing", "none sent");
}

async fn numbers_are_compared_by_value(world: World) {
    let token = limited(&world, json!({ "tickets.get": { "id": exact(4711) } })).await;
    let tickets = world.server("tickets");
    for same in ["4711", "4711.0", "4.711e3", "47110e-1", "4711.000", "4711E0"] {
        let arguments = format!(r#"{{"id":{same}}}"#);
        let answer = tickets.asks(&token, "tickets.get", &arguments).await;
        assert_eq!(answer.json["decision"]["reason"], "permitted", "{same}");
    }
    for other in [
        "4712",
        "-4711",
        "4711.1",
        "4711.0000000000001",
        "471.1",
        "\"4711\"",
        "[4711]",
        "true",
        "null",
        "{}",
        "47110000000000000000000000000001e-28",
        "1e308",
        "0",
    ] {
        let arguments = format!(r#"{{"id":{other}}}"#);
        let answer = tickets.asks(&token, "tickets.get", &arguments).await;
        assert_eq!(answer.json["decision"]["reason"], "argument_not_permitted", "{other}");
    }
}

async fn the_other_constraints_hold(world: World) {
    let limits = json!({
        "kind": { "constraint_type": "one_of", "values": ["open", 2, true] },
        "note": { "constraint_type": "wildcard" },
    });
    let token = limited(&world, json!({ "tickets.get": limits })).await;
    let tickets = world.server("tickets");
    for (arguments, reason) in [
        (json!({ "kind": "open", "note": "x" }), "permitted"),
        (json!({ "kind": 2.0, "note": { "any": [1] } }), "permitted"),
        (json!({ "kind": true, "note": null }), "permitted"),
        (json!({ "kind": "Open", "note": "x" }), "argument_not_permitted"),
        (json!({ "kind": ["open"], "note": "x" }), "argument_not_permitted"),
        (json!({ "kind": "2", "note": "x" }), "argument_not_permitted"),
        (json!({ "kind": 1, "note": "x" }), "argument_not_permitted"),
        (json!({ "kind": "open" }), "argument_missing"),
        (json!({ "note": "x" }), "argument_missing"),
        (json!({ "kind": "open", "note": "x", "more": 1 }), "argument_unexpected"),
    ] {
        let said = tickets.decides(&token, "tickets.get", arguments.clone()).await;
        assert_eq!(said, reason, "{arguments}");
    }
}

async fn ra9_every_kind_decides_a_call(world: World) {
    let said = json!({
        "amount": { "constraint_type": "range", "min": 0, "max": 50, "max_inclusive": false },
        "state": { "constraint_type": "not_one_of", "excluded": ["closed"] },
        "tags": { "constraint_type": "all", "constraints": [
            { "constraint_type": "contains", "required": ["eu"] },
            { "constraint_type": "subset", "allowed": ["eu", "vip"] },
        ] },
        "id": { "constraint_type": "any", "constraints": [
            { "constraint_type": "prefix", "prefix": "A-" }, { "constraint_type": "max_length", "max": 1 },
        ] },
        "file": { "constraint_type": "path", "root": "/tickets/4711" },
        "due": { "constraint_type": "time_window", "from": "2026-11-01T00:00:00Z" },
        "note": { "constraint_type": "optional", "of": { "constraint_type": "max_length", "max": 3 } },
        "force": { "constraint_type": "absent" },
    });
    let token = limited(&world, json!({ "tickets.get": said })).await;
    let good = json!({
        "amount": 49.99, "state": "open", "tags": ["vip", "eu"], "id": "A-17",
        "file": "/tickets/4711/a.txt", "due": "2026-11-01T01:00:00+01:00",
    });
    let tickets = world.server("tickets");
    let with = |name: &str, value: Value| {
        let mut call = good.clone();
        call[name] = value;
        call
    };
    assert_eq!(tickets.decides(&token, "tickets.get", good.clone()).await, "permitted");
    assert_eq!(
        tickets.decides(&token, "tickets.get", with("note", json!("abc"))).await,
        "permitted"
    );
    for (name, value, reason) in [
        ("amount", json!(50), "argument_not_permitted"),
        ("state", json!("closed"), "argument_not_permitted"),
        ("tags", json!(["vip"]), "argument_not_permitted"),
        ("tags", json!(["eu", "us"]), "argument_not_permitted"),
        ("id", json!("B-17"), "argument_not_permitted"),
        ("file", json!("/tickets/4711/../4712"), "argument_not_permitted"),
        ("due", json!("2026-11-01T00:30:00+01:00"), "argument_not_permitted"),
        ("note", json!("abcd"), "argument_not_permitted"),
        ("force", json!(false), "argument_unexpected"),
    ] {
        let answer =
            tickets.asks(&token, "tickets.get", &with(name, value.clone()).to_string()).await;
        let decision = &answer.json["decision"];
        assert_eq!(decision["reason"], reason, "{name} {value}");
        assert_eq!(decision["argument"], format!("/{name}"));
        assert!(!decision["message"].as_str().unwrap().contains("50"), "no limit is told");
    }
}

async fn arguments_are_read_strictly(world: World) {
    let named = limited(&world, json!({ "tickets.get": { "id": exact(4711) } })).await;
    let undetailed = reading(&world).await;
    let tickets = world.server("tickets");
    for arguments in [
        r#"{"id":4711,"id":4711}"#,
        r#"{"id":4711,"\u0069d":1}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        "[4711]",
        "[]",
        "null",
        "4711",
        r#""x""#,
        r#"{"id":4711} x"#,
        r#"{"id":4711}{}"#,
        r#"{"id":4711,}"#,
        r#"{"id":04711}"#,
        r#"{"id":+4711}"#,
        r#"{"id":NaN}"#,
        "{'id':4711}",
        r#"{"id":4711"#,
        r#"{"id":"\ud800"}"#,
        "\u{feff}{\"id\":4711}",
        "{\"id\":4711/**/}",
        " ",
    ] {
        for token in [&named, &undetailed] {
            let answer = tickets.asks(token, "tickets.get", arguments).await;
            let reason = &answer.json["decision"]["reason"];
            assert_eq!(*reason, "arguments_malformed", "{arguments}");
            assert_eq!(answer.json["active"], false);
        }
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(2_000), "}".repeat(2_000));
    let answer = tickets.asks(&undetailed, "tickets.get", &deep).await;
    assert_eq!(answer.json["decision"]["reason"], "arguments_malformed", "too deep");
}
