//! Revocation: by a token's holder (RFC 7009) and by an operator. It holds at once, everywhere, and
//! nothing comes back by another door.

mod doors;
mod race;
mod radius;

use serde_json::{Value, json};

use crate::world::{
    World, on_both,
    story::{self, BILLING, REFUNDS, TICKETS},
    wire::{Answer, claims},
};

on_both! {
    rv1_only_its_holder_gives_a_token_back
    rv2_the_answer_tells_nothing
    a_child_dies_with_its_parent_and_never_the_other_way
    its_own_holder_may_ask_again
    a_revoked_call_s_actor_may_not_exchange_its_source_again
    a_revoked_root_bars_its_user_token
    a_revoked_transaction_bars_its_user_token
    a_revoked_subject_must_log_in_again
    a_revoked_agent_needs_a_newer_user_token
    a_revoked_receiver_cannot_use_an_old_hand_over
    a_revoked_resource_is_closed_to_older_sources
    a_revoked_tool_stays_revoked_for_what_was_delegated
    a_revoked_issuer_s_users_must_log_in_again
    what_is_disabled_ends_at_once_and_only_what_was_not_revoked_comes_back
    a_disabled_tool_comes_back_unchanged
    a_slip_of_the_pen_revokes_nothing
    everything_survives_a_restart
    rv2_a_holder_that_gives_back_in_a_loop_is_slowed
    revocations_are_forgotten_when_nothing_could_come_back
}

async fn reads_tickets(world: &World, user_token: &str) -> Answer {
    let exchange = world.agent("support").exchanges(user_token).at(TICKETS);
    exchange.scope("tickets:read").send().await
}

async fn hands_over(world: &World, user_token: &str) -> String {
    let exchange = world.agent("support").exchanges(user_token).at(BILLING);
    exchange.tools(REFUNDS, json!({ "refunds.list": {} })).token().await
}

async fn takes_over(world: &World, hand_over: &str) -> Answer {
    world.agent("billing").takes_over(hand_over).at(REFUNDS).send().await
}

/// A token for tickets, a hand-over, and the call that it became: all of one user token.
async fn family(world: &World, user_token: &str) -> (String, String, String) {
    let ticket = reads_tickets(world, user_token).await.token();
    let hand_over = hands_over(world, user_token).await;
    let call = takes_over(world, &hand_over).await.token();
    (ticket, hand_over, call)
}

fn carol(world: &World) -> String {
    world.access_token(world.claims("carol").with("groups", json!(["support"])))
}

async fn rv2_a_holder_that_gives_back_in_a_loop_is_slowed(world: World) {
    let alice = world.alice();
    let support = world.agent("support");
    for _ in 0..20 {
        let token = reads_tickets(&world, &alice).await.token();
        assert_eq!(support.revokes(&token).send().await.status, 200);
    }
    let token = reads_tickets(&world, &alice).await.token();
    let slowed = support.revokes(&token).send().await;
    assert_eq!((slowed.status, slowed.header("retry-after")), (503, "1"));
    // RFC 7009 section 2.2.1: the token still lives, for whoever asks. Others are not slowed.
    assert!(world.server("tickets").accepts(&token).await);
    let hand_over = hands_over(&world, &alice).await;
    let call = takes_over(&world, &hand_over).await.token();
    assert_eq!(world.agent("billing").revokes(&call).send().await.status, 200);
    world.advance(1).await;
    assert_eq!(support.revokes(&token).send().await.status, 200);
    assert!(!world.server("tickets").accepts(&token).await);
}

async fn revocations_are_forgotten_when_nothing_could_come_back(world: World) {
    let token = reads_tickets(&world, &world.alice()).await.token();
    assert_eq!(world.agent("support").revokes(&token).send().await.status, 200);
    let remembered = || world.deputy.snapshot().revocations.len();
    world.advance(2 * 86_400 - 300).await;
    assert_eq!(remembered(), 1);
    world.advance(300).await;
    assert_eq!(remembered(), 0);
    assert!(!world.server("tickets").accepts(&token).await);
}

async fn rv1_only_its_holder_gives_a_token_back(world: World) {
    let (ticket, hand_over, call) = family(&world, &world.alice()).await;
    let (tickets, refunds) = (world.server("tickets"), world.server("refunds"));
    for stranger in ["billing", "tickets", "ledger"] {
        world.agent(stranger).revokes(&ticket).send().await;
    }
    for stranger in ["support", "refunds"] {
        world.agent(stranger).revokes(&call).send().await;
    }
    world.agent("billing").revokes(&hand_over).send().await;
    assert!(tickets.accepts(&ticket).await && refunds.accepts(&call).await);
    assert_eq!(takes_over(&world, &hand_over).await.status, 200);
    world.agent("support").revokes(&ticket).send().await;
    assert!(!tickets.accepts(&ticket).await && refunds.accepts(&call).await);
    world.agent("billing").revokes(&call).field("token_type_hint", "refresh_token").send().await;
    assert!(!refunds.accepts(&call).await);
}

async fn rv2_the_answer_tells_nothing(world: World) {
    let ticket = reads_tickets(&world, &world.alice()).await.token();
    let support = world.agent("support");
    let mut seen = Vec::new();
    for request in [
        support.revokes("garbage"),
        support.revokes(&world.alice()),
        world.agent("billing").revokes(&ticket),
        support.revokes(&ticket),
        support.revokes(&ticket),
    ] {
        let answer = request.send().await;
        let mut headers = answer.headers.clone();
        for differs in ["date", "x-request-id"] {
            headers.remove(differs);
        }
        seen.push((answer.status, answer.text, headers));
    }
    assert_eq!((seen[0].0, seen[0].1.as_str()), (200, ""));
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    support.posts("revoke").send().await.is_refused("invalid_request");
    support.revokes(&ticket).basic(None).send().await.is_refused("invalid_client");
}

async fn a_child_dies_with_its_parent_and_never_the_other_way(world: World) {
    let (ticket, hand_over, call) = family(&world, &world.alice()).await;
    let refunds = world.server("refunds");
    let sibling = takes_over(&world, &hand_over).await.token();
    world.agent("billing").revokes(&call).send().await;
    assert!(!refunds.accepts(&call).await && refunds.accepts(&sibling).await);
    assert_eq!(takes_over(&world, &hand_over).await.status, 200);
    world.agent("support").revokes(&hand_over).send().await;
    assert!(!refunds.accepts(&sibling).await);
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    assert!(world.server("tickets").accepts(&ticket).await);
}

async fn its_own_holder_may_ask_again(world: World) {
    let alice = world.alice();
    let ticket = reads_tickets(&world, &alice).await.token();
    world.agent("support").revokes(&ticket).send().await;
    let again = reads_tickets(&world, &alice).await.token();
    assert!(world.server("tickets").accepts(&again).await);
    world
        .agent("support")
        .exchanges(&ticket)
        .at(TICKETS)
        .send()
        .await
        .is_refused("invalid_request");
}

async fn a_revoked_call_s_actor_may_not_exchange_its_source_again(world: World) {
    let alice = world.alice();
    let (ticket, hand_over, call) = family(&world, &alice).await;
    world.revoke(json!({ "delegation": claims(&call)["jti"] })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    assert!(world.server("tickets").accepts(&ticket).await);
    let another = hands_over(&world, &alice).await;
    assert_eq!(takes_over(&world, &another).await.status, 200, "another source");
}

async fn a_revoked_root_bars_its_user_token(world: World) {
    let alice = world.alice();
    let (ticket, hand_over, call) = family(&world, &alice).await;
    world.revoke(json!({ "delegation": claims(&hand_over)["jti"] })).await;
    assert!(!world.server("refunds").accepts(&call).await, "the subtree");
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    reads_tickets(&world, &alice).await.is_refused("invalid_request");
    assert!(world.server("tickets").accepts(&ticket).await, "no part of the subtree");
    assert_eq!(reads_tickets(&world, &world.alice()).await.status, 200, "another user token");
}

async fn a_revoked_transaction_bars_its_user_token(world: World) {
    let (alice, other) = (world.alice(), world.alice());
    let (ticket, hand_over, call) = family(&world, &alice).await;
    let others = reads_tickets(&world, &other).await.token();
    world.revoke(json!({ "transaction": claims(&ticket)["txn"] })).await;
    let tickets = world.server("tickets");
    assert!(!tickets.accepts(&ticket).await && !world.server("refunds").accepts(&call).await);
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    reads_tickets(&world, &alice).await.is_refused("invalid_request");
    assert!(tickets.accepts(&others).await, "another transaction of hers");
    assert_eq!(reads_tickets(&world, &other).await.status, 200);
}

async fn must_log_in_again(world: World, order: Value) {
    let (alice, carols) = (world.alice(), carol(&world));
    let (ticket, hand_over, call) = family(&world, &alice).await;
    let carols = reads_tickets(&world, &carols).await.token();
    let subject_only = order.get("subject").is_some();
    world.revoke(order).await;
    let tickets = world.server("tickets");
    assert!(!tickets.accepts(&ticket).await && !world.server("refunds").accepts(&call).await);
    assert_eq!(tickets.accepts(&carols).await, subject_only);
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    reads_tickets(&world, &alice).await.is_refused("invalid_request");
    reads_tickets(&world, &world.alice()).await.is_refused("invalid_request");
    let cut = world.deputy.now().epoch_s();
    world.advance(1).await;
    let old_login = world.access_token(world.claims("alice").with("auth_time", cut));
    reads_tickets(&world, &old_login).await.is_refused("invalid_request");
    let new_login = world.access_token(world.claims("alice").with("auth_time", cut + 1));
    let token = reads_tickets(&world, &new_login).await.token();
    assert!(tickets.accepts(&token).await, "a new login later than the cut");
    assert_eq!(reads_tickets(&world, &world.alice()).await.status, 200, "by iat");
}

async fn a_revoked_subject_must_log_in_again(world: World) {
    let order = json!({ "subject": { "iss": world.issuer.url(), "sub": "alice" } });
    must_log_in_again(world, order).await;
}

async fn a_revoked_issuer_s_users_must_log_in_again(world: World) {
    let order = json!({ "issuer": world.issuer.url() });
    must_log_in_again(world, order).await;
}

async fn a_revoked_agent_needs_a_newer_user_token(world: World) {
    let alice = world.alice();
    let (ticket, hand_over, call) = family(&world, &alice).await;
    let own = world.agent("support").asks_for_itself().token().await;
    world.revoke(json!({ "agent": "cl_support" })).await;
    assert!(!world.server("tickets").accepts(&ticket).await);
    assert!(!world.server("refunds").accepts(&call).await, "it stands in this chain");
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    reads_tickets(&world, &alice).await.is_refused("invalid_request");
    world.advance(1).await;
    let newer = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    let newer = newer.scope("tickets:read");
    newer.clone().actor(&own).send().await.is_refused("invalid_request");
    assert_eq!(newer.send().await.status, 200);
}

async fn a_revoked_receiver_cannot_use_an_old_hand_over(world: World) {
    let alice = world.alice();
    let (ticket, hand_over, call) = family(&world, &alice).await;
    world.revoke(json!({ "agent": "cl_billing" })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    assert!(world.server("tickets").accepts(&ticket).await, "it does not stand in this one");
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
}

/// Billing may pass on what it was handed, so that an old source can travel.
async fn with_an_auditor(world: &World) -> (String, String) {
    let allowance = json!([{ "resource": "refunds", "scope": "refunds:read" }]);
    world.put_client(story::agent("auditor", AUDITOR, &allowance)).await;
    let edge = json!({
        "from": "cl_billing", "to": "cl_auditor", "ceiling": allowance, "effects": ["read"],
    });
    world.put(&[("edge", "cl_billing>cl_auditor", edge)]).await;
    let alice = world.alice();
    let hand_over = hands_over(world, &alice).await;
    (alice, hand_over)
}

const AUDITOR: &str = "urn:agent:auditor";

async fn a_revoked_resource_is_closed_to_older_sources(world: World) {
    let (alice, hand_over) = with_an_auditor(&world).await;
    let call = takes_over(&world, &hand_over).await.token();
    let ticket = reads_tickets(&world, &alice).await.token();
    world.revoke(json!({ "resource": "refunds" })).await;
    assert!(!world.server("refunds").accepts(&call).await);
    assert!(world.server("tickets").accepts(&ticket).await);
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    let again = world.agent("billing").takes_over(&hand_over).at(AUDITOR).token().await;
    let last = world.agent("auditor").takes_over(&again).at(REFUNDS);
    last.send().await.is_refused("invalid_request");
    assert_eq!(reads_tickets(&world, &alice).await.status, 200);
    world.advance(1).await;
    let newer = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let newer = newer.scope("refunds:read").token().await;
    assert!(world.server("refunds").accepts(&newer).await);
}

async fn a_revoked_tool_stays_revoked_for_what_was_delegated(world: World) {
    let (_, hand_over) = with_an_auditor(&world).await;
    let call = takes_over(&world, &hand_over).await.token();
    let refunds = world.server("refunds");
    world.revoke(json!({ "tool": { "resource": "refunds", "name": "refunds.list" } })).await;
    assert_eq!(refunds.decides(&call, "refunds.list", json!({})).await, "tool_revoked");
    let again = world.agent("billing").takes_over(&hand_over).at(AUDITOR).token().await;
    let auditor = world.agent("auditor").takes_over(&again).at(REFUNDS).token().await;
    for older in [takes_over(&world, &hand_over).await.token(), auditor] {
        assert_eq!(refunds.decides(&older, "refunds.list", json!({})).await, "tool_revoked");
    }
    // Authority over a tool is given anew, from a newer user token.
    world.advance(1).await;
    let anew = world.agent("support").exchanges(&world.alice()).at(REFUNDS);
    let anew = anew.scope("refunds:read").token().await;
    assert_eq!(refunds.decides(&anew, "refunds.list", json!({})).await, "permitted");
}

async fn what_is_disabled_ends_at_once_and_only_what_was_not_revoked_comes_back(world: World) {
    let refunds = world.server("refunds");
    for (kind, id) in [
        ("client", "cl_support"),
        ("client", "cl_billing"),
        ("resource", "refunds"),
        ("issuer", "corp"),
    ] {
        let alice = world.alice();
        let (_, _, kept) = family(&world, &alice).await;
        let (_, _, revoked) = family(&world, &world.alice()).await;
        world.change(kind, id, "enabled", json!(false)).await;
        assert!(!refunds.accepts(&kept).await && !refunds.accepts(&revoked).await, "{id}");
        world.revoke(json!({ "transaction": claims(&revoked)["txn"] })).await;
        world.change(kind, id, "enabled", json!(true)).await;
        assert!(refunds.accepts(&kept).await, "{id}: nothing was revoked");
        assert!(!refunds.accepts(&revoked).await, "{id}: this was");
    }
}

async fn a_disabled_tool_comes_back_unchanged(world: World) {
    world.change("tool", "tickets.get", "changed_at", json!(1)).await;
    let ticket = reads_tickets(&world, &world.alice()).await.token();
    let tickets = world.server("tickets");
    for (enabled, reason) in [(false, "tool_disabled"), (true, "permitted")] {
        world.change("tool", "tickets.get", "enabled", json!(enabled)).await;
        assert_eq!(tickets.decides(&ticket, "tickets.get", json!({})).await, reason);
    }
}

async fn a_slip_of_the_pen_revokes_nothing(world: World) {
    let ticket = reads_tickets(&world, &world.alice()).await.token();
    for order in [
        json!({}),
        json!([]),
        json!({ "agent": "cl_nobody" }),
        json!({ "agent": "cl_support", "resource": "tickets" }),
        json!({ "resource": TICKETS }),
        json!({ "issuer": "https://nobody.example" }),
        json!({ "subject": "alice" }),
        json!({ "subject": { "iss": "corp", "sub": "alice" } }),
        json!({ "tool": { "resource": "tickets", "name": "tickets.none" } }),
        json!({ "delegation": "AAAAAAAAAAAAAAAAAAAAAA" }),
        json!({ "transaction": "x" }),
        json!({ "everything": false }),
        json!({ "everything": "yes" }),
    ] {
        assert!(world.try_revoke(order.clone()).await.is_err(), "{order}");
    }
    assert!(world.server("tickets").accepts(&ticket).await);
}

async fn everything_survives_a_restart(world: World) {
    let (alice, barred) = (world.alice(), world.alice());
    let (kept, _, _) = family(&world, &alice).await;
    let (ticket, hand_over, call) = family(&world, &barred).await;
    let carols = carol(&world);
    let cut = reads_tickets(&world, &carols).await.token();
    let own = reads_tickets(&world, &alice).await.token();
    world.agent("support").revokes(&own).send().await;
    world.revoke(json!({ "delegation": claims(&call)["jti"] })).await;
    world.revoke(json!({ "subject": { "iss": world.issuer.url(), "sub": "carol" } })).await;
    let world = world.restart().await;
    let tickets = world.server("tickets");
    assert!(tickets.accepts(&kept).await && tickets.accepts(&ticket).await);
    assert!(!tickets.accepts(&own).await && !tickets.accepts(&cut).await);
    assert!(!world.server("refunds").accepts(&call).await);
    takes_over(&world, &hand_over).await.is_refused("invalid_request");
    reads_tickets(&world, &carols).await.is_refused("invalid_request");
    world.revoke(json!({ "transaction": claims(&ticket)["txn"] })).await;
    world.revoke(json!({ "resource": "refunds" })).await;
    let world = world.restart().await;
    assert!(!world.server("tickets").accepts(&ticket).await);
    reads_tickets(&world, &barred).await.is_refused("invalid_request");
    let refunds = world.agent("support").exchanges(&alice).at(REFUNDS).scope("refunds:read");
    refunds.send().await.is_refused("invalid_request");
    assert!(world.server("tickets").accepts(&kept).await);
}
