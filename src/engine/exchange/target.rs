//! The target: exactly one registered, enabled resource (a call token) or agent (a hand-over).

use std::sync::Arc;

use super::presenter::Standing;
use crate::{
    engine::{
        refusal::{Refusal, TargetFault},
        snapshot::{Config, Snapshot},
    },
    model::{
        authority::Authority,
        client::{Client, Edge},
        resource::Resource,
        uri::Uri,
    },
    oauth::{token_request::Wanted, token_type::TokenType},
};

/// What the new token is for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A call token for this resource.
    Resource(&'a Arc<Resource>),
    /// A hand-over to this agent, over this edge.
    Agent(&'a Arc<Client>, &'a Uri, &'a Edge),
}

impl<'a> Target<'a> {
    /// The edge that the new token carries authority over: to the receiver of a hand-over, or,
    /// where there are onward entries, to the owner of the audience.
    pub fn crossed(
        &self,
        config: &'a Config,
        client: &Client,
        authority: &Authority,
    ) -> Option<&'a Edge> {
        match self {
            Target::Agent(_, _, edge) => Some(edge),
            Target::Resource(resource) => {
                let is_onward = authority.iter().any(|(location, _)| *location != resource.uri);
                is_onward.then(|| config.edge(&client.id, &resource.owner)).flatten()
            }
        }
    }
}

/// Finds the target, or refuses.
pub fn judge<'a>(
    snapshot: &'a Snapshot,
    wanted: &Wanted,
    client: &Client,
    standing: &Standing<'_>,
) -> Result<Target<'a>, Refusal> {
    let target = named(snapshot, wanted, client)?;
    let fits = match (standing, &target) {
        // Narrowing for oneself: same server, chain kept, life not renewed.
        (Standing::Holder(claims), Target::Resource(resource)) => {
            claims.audience.as_ref() == resource.uri.as_str()
        }
        // An agent's own authority is not handed over: there is no user to hand over for.
        (Standing::Holder(_) | Standing::Own, Target::Agent(..)) => false,
        // What came to a server is never exchanged for the same server again.
        (Standing::Owner(claims), Target::Resource(resource)) => {
            claims.audience.as_ref() != resource.uri.as_str()
        }
        (Standing::Owner(_), Target::Agent(..))
        | (Standing::Root { .. } | Standing::Receiver(_), _)
        | (Standing::Own, Target::Resource(_)) => true,
    };
    if fits { Ok(target) } else { Err(Refusal::Target(TargetFault::NotCovered)) }
}

fn named<'a>(
    snapshot: &'a Snapshot,
    wanted: &Wanted,
    client: &Client,
) -> Result<Target<'a>, Refusal> {
    let raw = match wanted.targets.as_slice() {
        [] => return Err(Refusal::Target(TargetFault::Missing)),
        [only] => only,
        _ => return Err(Refusal::Target(TargetFault::Several)),
    };
    let unknown = Refusal::Target(TargetFault::Unknown);
    let uri = Uri::parse(raw).map_err(|_| unknown.clone())?;
    if let Some(resource) = snapshot.config.resource_at(&uri).filter(|r| r.enabled) {
        return match wanted.token_type {
            None | Some(TokenType::AccessToken) => Ok(Target::Resource(resource)),
            Some(TokenType::IdToken | TokenType::Jwt) => Err(Refusal::RequestedType),
        };
    }
    let receiver = snapshot.config.agent_at(&uri).ok_or(unknown)?;
    let agent = receiver.agent.as_ref().ok_or(Refusal::Target(TargetFault::Unknown))?;
    if matches!(wanted.token_type, Some(TokenType::AccessToken | TokenType::IdToken)) {
        return Err(Refusal::RequestedType);
    }
    let edge = snapshot.config.edge(&client.id, &receiver.id).ok_or(Refusal::NoEdge)?;
    Ok(Target::Agent(receiver, &agent.uri, edge))
}
