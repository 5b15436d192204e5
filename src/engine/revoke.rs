//! Revocation by a token's holder (RFC 7009); what an administrator's revocation bars, and what it
//! would end.

use super::{
    authenticate::Authenticated, exchange::authority::covers, snapshot::Snapshot, verify::Verified,
};
use crate::{
    base::{
        id::{ClientId, TransactionId},
        time::Timestamp,
    },
    model::{
        authority::{ToolName, Tools},
        delegation::Source,
        event::{Event, Kind},
        resource::Resource,
        revocation::{Bar, Revocation, Revocations, Target},
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
        chain: claims.hops(),
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

/// A revocation that is only tried out: what it would end, by the rules that a real one ends by.
#[derive(Debug)]
pub struct Rehearsal {
    target: Target,
    alone: Revocations,
}

impl Rehearsal {
    /// A revocation of `target`, alone and later than everything that was judged.
    pub fn of(target: Target, now: Timestamp) -> Rehearsal {
        let mut alone = Revocations::default();
        let revocation =
            Revocation { revision: u64::MAX, target: target.clone(), bar: None, at: now };
        alone.apply(&revocation);
        Rehearsal { target, alone }
    }

    /// Whether it would end this token, or, for a tool, calls of that tool under it.
    pub fn ends(&self, snapshot: &Snapshot, claims: &OurClaims) -> bool {
        match &self.target {
            Target::Tool(id, name) => {
                let resource = snapshot.config.resource(id);
                resource.is_some_and(|resource| reaches(claims, resource, name))
            }
            Target::Delegation(_)
            | Target::Transaction(_)
            | Target::Subject(_)
            | Target::Agent(_)
            | Target::Resource(_)
            | Target::Issuer(_)
            | Target::Everything => {
                self.alone.ends(claims, snapshot.resource_of(claims).map(|r| &r.id))
            }
        }
    }
}

/// Whether a token's authority covers a tool, here or onward.
fn reaches(claims: &OurClaims, resource: &Resource, name: &ToolName) -> bool {
    let Some(entry) = claims.authority.at(&resource.uri) else { return false };
    match &entry.tools {
        Tools::Named(tools) => tools.contains_key(name),
        Tools::Undetailed => {
            resource.tools.get(name).is_some_and(|tool| covers(&entry.scope, tool))
        }
    }
}
