//! The actor token: it may only confirm the client that authenticated, and never carries `act`.

use super::{TokenFault, Verified};
use crate::{
    base::time::Timestamp,
    engine::{authenticate::Authenticated, snapshot::Snapshot},
    model::token::{OurClaims, OurKind},
};

/// Accepts our own agent token of the authenticated client. Nothing else names an actor.
pub fn judge(
    snapshot: &Snapshot,
    client: &Authenticated,
    token: &Verified<OurClaims>,
    now: Timestamp,
) -> Result<(), TokenFault> {
    let claims = token.get();
    if claims.chain.current().is_some() {
        return Err(TokenFault::ActorHasActor);
    }
    if claims.kind != OurKind::Agent {
        return Err(TokenFault::Kind);
    }
    if claims.client != client.client().id {
        return Err(TokenFault::OtherClient);
    }
    snapshot.is_live(claims, now).map_err(|_| TokenFault::Expired)
}
