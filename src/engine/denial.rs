//! What may be told about a denial beside its reason. An injected agent would go and ask for what
//! it is told, so the default is: nothing.

use super::{
    authenticate::Authenticated, call::Decided, snapshot::Config, verify::profiles::DPOP_PROOF,
};
use crate::{
    base::id::ResourceId,
    model::{call::Reason, resource::Effect, uri::Uri},
    oauth::decision::{Hint, insufficient_scope, invalid_dpop_proof, invalid_token},
};

/// That a proof would cure it, which is no secret. Which scope would: told for `read` tools or where
/// the resource opts in, and only inside the agent's allowance.
pub fn hint(config: &Config, decided: &Decided<'_>) -> Option<Hint> {
    let (held, decision) = (decided.held(), decided.decision());
    let resource = held.resource;
    match decision.reason {
        Reason::ScopeMissing => {}
        Reason::DpopProofMissing | Reason::DpopProofInvalid | Reason::DpopProofUsed => {
            let algs: Vec<&str> = DPOP_PROOF.algs.iter().map(|alg| alg.name()).collect();
            let metadata = resource_metadata_url(config, &resource.id);
            let challenge = invalid_dpop_proof(&algs.join(" "), &metadata);
            return Some(Hint { required_scope: None, challenge });
        }
        _ => return None,
    }
    let tool = decision.tool.as_ref().and_then(|name| resource.tools.get(name))?;
    let safe = tool.effect == Effect::Read || resource.step_up_hints;
    let agent = config.client(&held.claims.client)?.agent.as_ref()?;
    let allowance = if held.claims.own { &agent.own_allowance } else { &agent.allowance };
    let within = allowance
        .entries()
        .iter()
        .any(|entry| entry.resource == resource.id && tool.scopes.is_subset(&entry.scope));
    (safe && within).then(|| {
        let required_scope = tool.scopes.to_string();
        let metadata = resource_metadata_url(config, &resource.id);
        let challenge = insufficient_scope(&required_scope, &metadata);
        Hint { required_scope: Some(required_scope), challenge }
    })
}

/// What a server's own 401 says of a token that is not live for it. Where a client may get another
/// is told only of a resource of the caller's own.
pub fn invalid(config: &Config, caller: &Authenticated, resource: &str) -> String {
    let resource = Uri::parse(resource).ok().and_then(|uri| config.resource_at(&uri));
    let own = resource.filter(|resource| resource.owner == caller.client().id);
    invalid_token(own.map(|own| resource_metadata_url(config, &own.id)).as_deref())
}

/// Where the protected resource metadata of a resource is published. PR-2.
pub fn resource_metadata_url(config: &Config, id: &ResourceId) -> String {
    format!("{}/resources/{id}/oauth-protected-resource", config.public_url)
}
