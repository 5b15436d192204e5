//! What the delegation policies say about a token before it is made. They only forbid, or demand
//! something of it; whatever they say, nothing here widens.

use std::sync::Arc;

use super::target::Target;
use crate::{
    base::time::{Seconds, Timestamp},
    engine::{
        exchange::authority::covers,
        refusal::{PolicyFault, Refusal},
        snapshot::{Config, Snapshot},
    },
    model::{
        authority::{Entry, Tools},
        resource::{Enforces, Resource, Tool},
        token::OurClaims,
        uri::Uri,
    },
    policy::{Acting, Delegate, Demand, For, Outcome, Verdict},
};

/// What the policies left.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The longest life of the token.
    pub max_ttl: Option<Seconds>,
    /// The policies that are only watched and would have refused it.
    pub shadow: Vec<Arc<str>>,
}

/// Asks the policies about a token with these claims.
pub(super) fn judge(
    snapshot: &Snapshot,
    claims: &OurClaims,
    target: &Target<'_>,
    now: Timestamp,
) -> Result<Passed, Refusal> {
    let entries: Vec<(&Resource, &Entry)> = claims
        .authority
        .iter()
        .filter_map(|(location, entry)| Some((resource(&snapshot.config, location)?, entry)))
        .collect();
    let tools: Vec<(&Resource, &Tool)> = entries
        .iter()
        .flat_map(|(resource, entry)| covered(resource, entry).map(|tool| (*resource, tool)))
        .collect();
    let unasked = |(resource, tool): &&(&Resource, &Tool)| {
        resource.enforces == Enforces::Scope && snapshot.policies.concern(resource, tool)
    };
    if let Some((_, tool)) = tools.iter().find(unasked) {
        return Err(Refusal::Policy(PolicyFault::NeverAsked(tool.name.clone())));
    }
    let target = match target {
        Target::Resource(resource) => For::Resource(resource),
        Target::Agent(client, ..) => For::Agent(client),
    };
    let acting = acting(snapshot, claims, now);
    passed(snapshot.policies.delegate(&Delegate { acting, target, tools }))
}

/// Who acts for whom, as policies are told.
pub fn acting<'a>(snapshot: &'a Snapshot, claims: &'a OurClaims, now: Timestamp) -> Acting<'a> {
    let issuer = snapshot.config.issuer(&claims.subject.issuer).filter(|_| !claims.own);
    let alias = issuer.map_or("", |issuer| issuer.alias.as_str());
    Acting { claims, issuer: &snapshot.config.issuer, alias, now }
}

fn passed(verdict: Verdict) -> Result<Passed, Refusal> {
    let Verdict { outcome, decided, shadow, max_ttl } = verdict;
    let fault = match outcome {
        Outcome::Passes => return Ok(Passed { max_ttl, shadow }),
        Outcome::Demands(Demand::Dpop) => PolicyFault::NeedsProof(decided),
        Outcome::Demands(Demand::Acr(class)) => PolicyFault::NeedsAuthentication(class, decided),
        Outcome::Failed => PolicyFault::Failed(decided),
        Outcome::Forbidden
        | Outcome::NotRepresentable
        | Outcome::Demands(Demand::MaxDepth(_) | Demand::MaxTtl(_)) => {
            PolicyFault::Forbidden(decided)
        }
    };
    Err(Refusal::Policy(fault))
}

fn resource<'a>(config: &'a Config, location: &Uri) -> Option<&'a Resource> {
    config.resource_at(location).map(AsRef::as_ref)
}

/// The tools that an entry covers now.
fn covered<'a>(resource: &'a Resource, entry: &'a Entry) -> impl Iterator<Item = &'a Tool> {
    resource.tools.values().filter(move |tool| match &entry.tools {
        Tools::Named(named) => named.contains_key(&tool.name),
        Tools::Undetailed => covers(&entry.scope, tool),
    })
}
