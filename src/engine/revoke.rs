//! Revocation by a token's holder (RFC 7009), and what an administrator's revocation bars.

use super::{authenticate::Authenticated, exchange::mint, snapshot::Snapshot, verify::Verified};
use crate::{
    base::{
        id::{ClientId, TransactionId},
        time::Timestamp,
    },
    model::{
        delegation::Source,
        event::{Event, Kind},
        revocation::{Bar, Target},
        token::OurClaims,
    },
};

/// What to commit.
#[derive(Debug)]
pub struct Intent {
    /// What ends.
    pub target: Target,
    /// What may not come back.
    pub bar: Option<Bar>,
    /// The record of it.
    pub event: Event,
}

/// What a holder's request revokes; nothing for a token that is not a live one of its own. The
/// caller answers 200 either way (RFC 7009 section 2.2).
pub fn by_holder(
    snapshot: &Snapshot,
    client: &Authenticated,
    token: Option<&Verified<OurClaims>>,
    now: Timestamp,
) -> Option<Intent> {
    let claims = token?.get();
    // RV-1: the token was issued to this client; anything else behaves as unknown.
    if claims.client != client.client().id || snapshot.is_live(claims, now).is_err() {
        return None;
    }
    let target = Target::Delegation(claims.id()?);
    let event = Event {
        client: Some(claims.client.clone()),
        chain: mint::hops(&snapshot.config.issuer, claims, Some(client.via())),
        subject: Some(claims.subject.clone()),
        resource: snapshot.resource_of(claims).map(|r| r.id.clone()),
        txn: Some(claims.txn),
        delegation: claims.id(),
        ..Event::new(Kind::Revocation, "by_holder", now, snapshot.revision)
    };
    // Its own holder may give a token back and ask for another: nothing is barred.
    Some(Intent { target, bar: None, event })
}

/// What an administrator's revocation of a delegation bars: its source, for its actor.
///
/// A root bars the foreign token for that agent; a child bars its parent's token for that actor.
pub fn bar_of(source: &Source, txn: TransactionId, holder: &ClientId) -> Option<Bar> {
    match source {
        Source::Foreign => Some(Bar::Root(txn)),
        Source::Delegation(parent) => Some(Bar::Child(*parent, holder.clone())),
        Source::Own => None,
    }
}
