//! Revocation: whatever is ended is dead for every server before the call returns, and nothing
//! comes back by another door.

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{BILLING, REFUNDS, TICKETS},
    wire::claims,
};

on_both! {
    rv1_a_holder_gives_its_own_token_back
    rv2_every_token_is_answered_alike
    revoking_a_delegation_ends_its_subtree_and_bars_its_source
    revoking_a_child_leaves_its_parent_and_bars_the_actor
    a_user_s_cut_off_asks_for_a_new_login
    an_agent_s_cut_off_ends_what_it_stands_in
    a_resource_s_cut_off_ends_older_hand_overs_too
    revoking_a_tool_denies_its_calls
    what_is_disabled_ends_live_tokens
    a_restart_keeps_every_revocation
    no_token_escapes_a_revocation_that_it_races
}

/// Alice's token, a hand-over of refunds and the billing agent's call token.
async fn line(world: &World) -> (String, String, String) {
    let alice = world.alice();
    let hand_over = world.agent("support").exchanges(&alice).at(BILLING);
    let hand_over = hand_over.tools(REFUNDS, json!({ "refunds.list": {} })).token().await;
    let call = world.agent("billing").takes_over(&hand_over).at(REFUNDS).token().await;
    assert!(world.server("refunds").accepts(&call).await);
    (alice, hand_over, call)
}

async fn ticket_token(world: &World, alice: &str) -> String {
    world.agent("support").exchanges(alice).at(TICKETS).scope("tickets:read").token().await
}

async fn rv1_a_holder_gives_its_own_token_back(world: World) {
    let alice = world.alice();
    let token = ticket_token(&world, &alice).await;
    for stranger in ["billing", "tickets"] {
        world.agent(stranger).revokes(&token).send().await;
        assert!(world.server("tickets").accepts(&token).await, "{stranger} is not its holder");
    }
    assert_eq!(world.agent("support").revokes(&token).send().await.status, 200);
    assert!(!world.server("tickets").accepts(&token).await);
    let again = ticket_token(&world, &alice).await;
    assert!(world.server("tickets").accepts(&again).await, "it may ask for another");
}

async fn rv2_every_token_is_answered_alike(world: World) {
    let token = ticket_token(&world, &world.alice()).await;
    for (who, token) in [
        ("billing", token.as_str()),
        ("support", "garbage"),
        ("support", &world.alice()),
        ("support", &token),
        ("support", &token),
    ] {
        let answer = world.agent(who).revokes(token).send().await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    }
    let unproved = world.agent("support").revokes(&token).basic(Some(("cl_support", "wrong")));
    unproved.send().await.is_refused("invalid_client");
    world.agent("support").posts("revoke").send().await.is_refused("invalid_request");
}

async fn revoking_a_delegation_ends_its_subtree_and_bars_its_source(world: World) {
    let (alice, hand_over, call) = line(&world).await;
    world.revoke(json!({ "delegation": claims(&hand_over)["jti"] })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    let again = world.agent("billing").takes_over(&hand_over).at(REFUNDS);
    again.send().await.is_refused("invalid_request");
    let root = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    root.send().await.is_refused("invalid_request");
    let fresh = ticket_token(&world, &world.alice()).await;
    assert!(
        world.server("tickets").accepts(&fresh).await,
        "another token of hers is another matter"
    );
}

async fn revoking_a_child_leaves_its_parent_and_bars_the_actor(world: World) {
    let (alice, hand_over, call) = line(&world).await;
    world.revoke(json!({ "delegation": claims(&call)["jti"] })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    let again = world.agent("billing").takes_over(&hand_over).at(REFUNDS);
    again.send().await.is_refused("invalid_request");
    let sibling = ticket_token(&world, &alice).await;
    assert!(world.server("tickets").accepts(&sibling).await, "the parent's holder goes on");
}

async fn a_user_s_cut_off_asks_for_a_new_login(world: World) {
    let (alice, hand_over, call) = line(&world).await;
    world.revoke(json!({ "subject": { "iss": world.issuer.url(), "sub": "alice" } })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    for stale in [&alice, &world.alice()] {
        let again = world.agent("support").exchanges(stale).at(TICKETS).scope("tickets:read");
        again.send().await.is_refused("invalid_request");
    }
    let again = world.agent("billing").takes_over(&hand_over).at(REFUNDS);
    again.send().await.is_refused("invalid_request");
    world.advance(1).await;
    let fresh = ticket_token(&world, &world.alice()).await;
    assert!(world.server("tickets").accepts(&fresh).await, "she logged in again");
}

async fn an_agent_s_cut_off_ends_what_it_stands_in(world: World) {
    let (alice, hand_over, call) = line(&world).await;
    let ticket = ticket_token(&world, &alice).await;
    world.revoke(json!({ "agent": "cl_billing" })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    let again = world.agent("billing").takes_over(&hand_over).at(REFUNDS);
    again.send().await.is_refused("invalid_request");
    assert!(
        world.server("tickets").accepts(&ticket).await,
        "where it does not stand, life goes on"
    );
    world.revoke(json!({ "agent": "cl_support" })).await;
    assert!(!world.server("tickets").accepts(&ticket).await);
}

async fn a_resource_s_cut_off_ends_older_hand_overs_too(world: World) {
    let (alice, hand_over, call) = line(&world).await;
    world.revoke(json!({ "resource": "refunds" })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    let again = world.agent("billing").takes_over(&hand_over).at(REFUNDS);
    again.send().await.is_refused("invalid_request");
    let ticket = ticket_token(&world, &alice).await;
    assert!(world.server("tickets").accepts(&ticket).await);
}

async fn revoking_a_tool_denies_its_calls(world: World) {
    let (_, _, call) = line(&world).await;
    world.revoke(json!({ "tool": { "resource": "refunds", "name": "refunds.list" } })).await;
    let reason = world.server("refunds").decides(&call, "refunds.list", json!({})).await;
    assert_eq!(reason, "tool_revoked");
    world.advance(1).await;
    let (_, _, fresh) = line(&world).await;
    let reason = world.server("refunds").decides(&fresh, "refunds.list", json!({})).await;
    assert_eq!(reason, "permitted", "a newer user token is another matter");
}

async fn what_is_disabled_ends_live_tokens(world: World) {
    for (kind, id) in [
        ("client", "cl_billing"),
        ("client", "cl_support"),
        ("resource", "refunds"),
        ("issuer", "corp"),
    ] {
        let (_, hand_over, call) = line(&world).await;
        world.change(kind, id, "enabled", json!(false)).await;
        assert!(!world.server("refunds").accepts(&call).await, "{id}");
        let again = world.agent("billing").takes_over(&hand_over).at(REFUNDS).send().await;
        assert!(matches!(again.status, 400 | 401), "{id}: {again:?}");
        world.change(kind, id, "enabled", json!(true)).await;
    }
}

async fn a_restart_keeps_every_revocation(world: World) {
    let (alice, hand_over, call) = line(&world).await;
    let other = world.alice();
    let ticket = ticket_token(&world, &other).await;
    world.revoke(json!({ "delegation": claims(&hand_over)["jti"] })).await;
    let world = world.restart().await;
    assert!(!world.server("refunds").accepts(&call).await);
    assert!(world.server("tickets").accepts(&ticket).await, "and every token that was live");
    let again = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    again.send().await.is_refused("invalid_request");
}

async fn no_token_escapes_a_revocation_that_it_races(world: World) {
    let alice = world.alice();
    let first = ticket_token(&world, &alice).await;
    let transaction: Value = claims(&first)["txn"].clone();
    let exchange = || {
        let exchange = world.agent("support").exchanges(&alice).at(TICKETS);
        exchange.scope("tickets:read").send()
    };
    let race = async {
        let (one, two, three, four, five) =
            tokio::join!(exchange(), exchange(), exchange(), exchange(), exchange());
        [one, two, three, four, five]
    };
    let (answers, ()) = tokio::join!(race, world.revoke(json!({ "transaction": transaction })));
    for answer in answers {
        if answer.status == 200 {
            assert!(!world.server("tickets").accepts(&answer.token()).await);
        } else {
            answer.is_refused("invalid_request");
        }
    }
    exchange().await.is_refused("invalid_request");
}
