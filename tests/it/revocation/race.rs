//! Revocations while sixteen tasks exchange as fast as they can.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::{World, on_both, story::TICKETS, wire::claims};

on_both! {
    nothing_outlives_the_revocation_of_its_transaction
    nothing_outlives_the_revocation_of_its_agent
    nothing_outlives_the_revocation_of_its_resource
}

/// How many exchange at once.
const TASKS: usize = 16;
/// How many tokens are out when the revocation begins.
const BEFORE: usize = 48;

async fn nothing_outlives_the_revocation_of_its_transaction(world: World) {
    race(world, |token| json!({ "transaction": claims(token)["txn"] })).await;
}

async fn nothing_outlives_the_revocation_of_its_agent(world: World) {
    race(world, |_| json!({ "agent": "cl_support" })).await;
}

async fn nothing_outlives_the_revocation_of_its_resource(world: World) {
    race(world, |_| json!({ "resource": "tickets" })).await;
}

#[derive(Default)]
struct State {
    minted: AtomicUsize,
    revoked: AtomicBool,
}

async fn race(world: World, order: impl Fn(&str) -> Value) {
    let (world, state) = (Arc::new(world), Arc::new(State::default()));
    let alice = world.alice();
    let exchange = world.agent("support").exchanges(&alice).at(TICKETS).scope("tickets:read");
    let first = exchange.token().await;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(exchanges(Arc::clone(&world), Arc::clone(&state), alice.clone()));
    }
    while state.minted.load(Ordering::SeqCst) < BEFORE {
        tokio::task::yield_now().await;
    }
    world.revoke(order(&first)).await;
    state.revoked.store(true, Ordering::SeqCst);
    let mut tokens = tasks.join_all().await.concat();
    tokens.push(first);
    assert!(tokens.len() > BEFORE);
    let tickets = world.server("tickets");
    for token in &tokens {
        assert!(!tickets.accepts(token).await, "minted before, alive after");
    }
}

/// Exchanges until one that was sent after the revocation had returned is answered.
async fn exchanges(world: Arc<World>, state: Arc<State>, alice: String) -> Vec<String> {
    let mut tokens = Vec::new();
    loop {
        let sent_after = state.revoked.load(Ordering::SeqCst);
        let exchange = world.agent("support").exchanges(&alice).at(TICKETS);
        let answer = exchange.scope("tickets:read").send().await;
        if answer.status == 200 {
            assert!(!sent_after, "a token was made after the revocation had returned");
            tokens.push(answer.token());
            state.minted.fetch_add(1, Ordering::SeqCst);
        } else if sent_after {
            answer.is_refused("invalid_request");
            return tokens;
        }
    }
}
