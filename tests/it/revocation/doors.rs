//! What was revoked does not come back through another door: not by a hand-over, not onward, not by
//! the same user token again. A newer user token is another matter.

use serde_json::json;

use crate::world::{
    World, on_both,
    story::{BILLING, LEDGER, REFUNDS},
    wire::{Answer, entry, exact},
};

on_both! {
    a_revoked_resource_does_not_come_back
    a_revoked_tool_does_not_come_back
}

/// Every way in which an old user token could reach `refunds.list`, or the ledger onward.
async fn every_door(world: &World, alice: &str) -> Vec<Answer> {
    let refunds = json!({ "refunds.list": { "order_id": exact("A-17") } });
    let ledger = json!([
        entry(REFUNDS, json!({ "refunds.list": {} })),
        entry(LEDGER, json!({ "ledger.get": {} })),
    ]);
    let support = world.agent("support");
    vec![
        support.exchanges(alice).at(REFUNDS).scope("refunds:read").send().await,
        support.exchanges(alice).at(REFUNDS).tools(REFUNDS, refunds.clone()).send().await,
        support.exchanges(alice).at(BILLING).tools(REFUNDS, refunds).send().await,
        support.exchanges(alice).at(REFUNDS).details(ledger).send().await,
    ]
}

async fn holds(world: World, what: serde_json::Value) {
    let alice = world.alice();
    for answer in every_door(&world, &alice).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    world.revoke(what).await;
    for answer in every_door(&world, &alice).await {
        answer.is_refused("invalid_request");
    }
    world.advance(2).await;
    for answer in every_door(&world, &world.alice()).await {
        assert_eq!(answer.status, 200, "a newer user token: {}", answer.text);
    }
}

async fn a_revoked_resource_does_not_come_back(world: World) {
    holds(world, json!({ "resource": "refunds" })).await;
}

async fn a_revoked_tool_does_not_come_back(world: World) {
    holds(world, json!({ "tool": { "resource": "refunds", "name": "refunds.list" } })).await;
}
