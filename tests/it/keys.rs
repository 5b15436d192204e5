//! Our signing keys change while tokens live.

use deputy::{
    base::secret::Fingerprint,
    registry::operator::{Operator, Role},
};

use crate::world::{World, on_both, story::TICKETS, wire::header};

on_both! {
    jw9_a_rotation_fails_no_honest_request
}

fn operator() -> Operator {
    Operator { name: "test".to_owned(), token_hash: Fingerprint::of(b"x"), role: Role::Admin }
}

async fn published(world: &World) -> usize {
    world.get("/oauth2/jwks").await.json["keys"].as_array().unwrap().len()
}

async fn ticket(world: &World) -> String {
    let exchange = world.agent("support").exchanges(&world.alice()).at(TICKETS);
    exchange.scope("tickets:read").token().await
}

async fn jw9_a_rotation_fails_no_honest_request(world: World) {
    let old = ticket(&world).await;
    world.deputy.rotate_signing_key(&operator()).await.unwrap();
    assert_eq!(published(&world).await, 2);
    assert!(world.deputy.rotate_signing_key(&operator()).await.is_err(), "one at a time");
    assert!(world.server("tickets").accepts(&old).await);
    assert_eq!(header(&ticket(&world).await)["kid"], header(&old)["kid"], "published, not signing");

    world.advance(599).await;
    let last = ticket(&world).await;
    world.advance(1).await;
    let new = ticket(&world).await;
    assert_eq!(header(&last)["kid"], header(&old)["kid"]);
    assert_ne!(header(&new)["kid"], header(&old)["kid"]);
    assert!(world.server("tickets").accepts(&last).await);
    assert!(world.server("tickets").accepts(&new).await);

    world.advance(960).await;
    assert_eq!(published(&world).await, 1, "the old key left when its last token was dead");
    let world = world.restart().await;
    assert_eq!(published(&world).await, 1);
    assert_eq!(header(&ticket(&world).await)["kid"], header(&new)["kid"]);
}
