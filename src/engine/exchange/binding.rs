//! Which key a new token is bound to (RFC 9449): the one that its current actor proved. A line that
//! is bound once stays bound, a bound token is continued only by the holder of its key, and a proof
//! that was sent is never ignored.

use super::{presenter::Standing, target::Target};
use crate::{
    engine::{
        dpop::{Holder, ProofFault},
        refusal::{Refusal, TargetFault},
    },
    model::{
        client::Client,
        resource::DpopUse,
        token::{KeyThumbprint, OurClaims},
    },
};

/// What speaks for or against a bound token.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// Who sent the request, proved by a key.
    pub holder: Option<&'a Holder>,
    /// What confirms the client, if it sent it.
    pub actor: Option<&'a OurClaims>,
}

/// The key that the new token is bound to; `None` for a bearer token.
pub fn judge(
    asked: Binding<'_>,
    standing: &Standing<'_>,
    target: Option<&Target<'_>>,
) -> Result<Option<KeyThumbprint>, Refusal> {
    let proved = asked.holder.map(Holder::key);
    let line = line(standing);
    let own_key = if is_continued(standing) { line } else { None };
    let actor_key = asked.actor.and_then(|actor| actor.bound.as_ref());
    for needed in own_key.into_iter().chain(actor_key) {
        match proved {
            None => return Err(Refusal::Proof(ProofFault::Missing)),
            Some(proved) if proved != needed => return Err(Refusal::Proof(ProofFault::Key)),
            Some(_) => {}
        }
    }
    if proved.is_none() && (line.is_some() || asked.client.dpop_bound) {
        return Err(Refusal::Proof(ProofFault::Missing));
    }
    if proved.is_some() && target.is_some_and(|target| !takes_bound(target)) {
        return Err(Refusal::Target(TargetFault::Bearer));
    }
    Ok(proved.cloned())
}

/// The key that the token before this one is bound to.
const fn line<'a>(standing: &Standing<'a>) -> Option<&'a KeyThumbprint> {
    match standing {
        Standing::Root { claims, .. } => claims.bound.as_ref(),
        Standing::Holder(claims) | Standing::Owner(claims) | Standing::Receiver(claims) => {
            claims.bound.as_ref()
        }
        Standing::Own => None,
    }
}

/// Whether the client presents a token that was made for itself, whose key it must hold. The
/// receiver of a hand-over and the owner of an audience never had the key of who made it (DP-8).
const fn is_continued(standing: &Standing<'_>) -> bool {
    match standing {
        Standing::Root { .. } | Standing::Holder(_) => true,
        Standing::Owner(_) | Standing::Receiver(_) | Standing::Own => false,
    }
}

/// A server that looks at no key would take a bound token from anybody.
fn takes_bound(target: &Target<'_>) -> bool {
    match target {
        Target::Agent(..) => true,
        Target::Resource(resource) => match resource.dpop {
            DpopUse::No => false,
            DpopUse::Itself | DpopUse::Deputy => true,
        },
    }
}
