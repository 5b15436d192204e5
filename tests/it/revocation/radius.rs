//! The blast radius: what a revocation is said to end is what it then ends.

use std::collections::BTreeSet;

use deputy::{
    service::admin::{Order, Radius},
    store::{DelegationFilter, Page},
};
use serde_json::{Value, json};

use super::{carol, family, reads_tickets};
use crate::world::{World, on_both, wire::claims};

on_both! {
    the_radius_is_what_the_revocation_then_ends
    the_radius_of_a_tool_is_every_token_that_reaches_it
    a_look_changes_nothing
}

async fn radius(world: &World, order: Value) -> Radius {
    let order = Order::parse(order.to_string().as_bytes()).unwrap();
    world.deputy.radius_of(&order).await.unwrap()
}

/// Every live delegation.
async fn live(world: &World) -> BTreeSet<String> {
    let page = Page { after: None, limit: Page::LIMIT_MAX };
    let found = world.deputy.delegations(DelegationFilter::default(), true, &page).await.unwrap();
    found.items.iter().map(|view| view.stored.id.to_string()).collect()
}

fn named(radius: &Radius) -> BTreeSet<String> {
    radius.shown.iter().map(|view| view.stored.id.to_string()).collect()
}

async fn the_radius_is_what_the_revocation_then_ends(world: World) {
    let issuer = world.issuer.url().clone();
    // From the smallest to the whole. User tokens are new each time: older ones may be barred.
    for pick in 0..6 {
        let (ticket, hand_over, _) = family(&world, &world.alice()).await;
        family(&world, &world.alice()).await;
        reads_tickets(&world, &carol(&world)).await;
        let order = match pick {
            0 => json!({ "delegation": claims(&hand_over)["jti"] }),
            1 => json!({ "transaction": claims(&ticket)["txn"] }),
            2 => json!({ "resource": "refunds" }),
            3 => json!({ "subject": { "iss": issuer, "sub": "carol" } }),
            4 => json!({ "agent": "cl_billing" }),
            _ => json!({ "issuer": issuer }),
        };
        let before = live(&world).await;
        let said = radius(&world, order.clone()).await;
        world.revoke(order.clone()).await;
        let after = live(&world).await;
        let ended: BTreeSet<String> = before.difference(&after).cloned().collect();
        assert!(!ended.is_empty() && said.complete, "{order}");
        assert_eq!(named(&said), ended, "{order}");
        assert_eq!(said.delegations, u64::try_from(ended.len()).unwrap());
        world.advance(1).await;
    }
}

async fn the_radius_of_a_tool_is_every_token_that_reaches_it(world: World) {
    let (ticket, hand_over, call) = family(&world, &world.alice()).await;
    let said = radius(&world, json!({ "tool": { "resource": "refunds", "name": "refunds.list" } }));
    let said = said.await;
    let id = |token: &str| claims(token)["jti"].as_str().unwrap().to_owned();
    assert_eq!(named(&said), BTreeSet::from([id(&hand_over), id(&call)]));
    let agents: Vec<&str> = said.agents.iter().map(String::as_str).collect();
    assert_eq!(agents, ["cl_billing", "cl_support"]);
    let said = radius(&world, json!({ "tool": { "resource": "tickets", "name": "tickets.get" } }));
    assert_eq!(named(&said.await), BTreeSet::from([id(&ticket)]));
}

async fn a_look_changes_nothing(world: World) {
    let (ticket, _, _) = family(&world, &world.alice()).await;
    let before = world.deputy.snapshot().revision;
    let said = radius(&world, json!({ "agent": "cl_support" })).await;
    assert_eq!((said.delegations, said.users.len()), (3, 1));
    assert_eq!(world.deputy.snapshot().revision, before);
    assert!(world.server("tickets").accepts(&ticket).await);
    for slip in [json!({ "agent": "cl_nobody" }), json!({ "delegation": "AAAAAAAAAAAAAAAAAAAAAA" })]
    {
        let order = Order::parse(slip.to_string().as_bytes()).unwrap();
        assert!(world.deputy.radius_of(&order).await.is_err(), "{slip}");
    }
}
