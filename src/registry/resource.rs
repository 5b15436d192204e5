//! `resource`: a protected server. Its tools are documents of their own.

use std::collections::BTreeMap;

use super::form::{self, Form, Read};
use crate::{
    base::{
        id::ClientId,
        json::{Object, Value},
        time::Seconds,
    },
    model::{
        resource::{DpopUse, Enforces, Resource, ResourceId},
        scope::{Scope, ScopeToken},
        signing::SigningAlgorithm,
        uri::Uri,
    },
};

const ENFORCES: [(&str, Enforces); 2] = [("call", Enforces::Call), ("scope", Enforces::Scope)];

/// Reads a resource; its tools are empty.
pub fn parse(text: &str) -> Read<Resource> {
    form::document(text, |form| {
        let id = form.required("id", form::parsed(ResourceId::parse));
        let uri = form.required("resource", form::parsed(Uri::parse));
        let owner = form.required("owner", form::parsed(ClientId::parse));
        let name = form.required("name", form::label);
        let enforces = form.or("enforces", Enforces::Call, form::word(&ENFORCES));
        let verifies_offline = form.or("verifies_offline", false, form::flag);
        let uses = DpopUse::ALL.map(|dpop| (dpop.as_str(), dpop));
        let dpop = form.or("dpop", DpopUse::No, form::word(&uses));
        let ttl = ttl(form, verifies_offline.unwrap_or(false));
        let signing = SigningAlgorithm::default();
        let token_signing = form.or("token_signing_alg", signing, form::signing_algorithm);
        let step_up_hints = form.or("step_up_hints", false, form::flag);
        let scopes = form.or("scopes_supported", Scope::default(), scopes(0));
        let enabled = form.or("enabled", true, form::flag);
        Some(Resource {
            id: id?,
            uri: uri?,
            owner: owner?,
            name: name?,
            enforces: enforces?,
            verifies_offline: verifies_offline?,
            dpop: dpop?,
            ttl: ttl?,
            token_signing: token_signing?,
            step_up_hints: step_up_hints?,
            scopes: scopes?,
            tools: BTreeMap::new(),
            enabled: enabled?,
        })
    })
}

/// A server that verifies offline learns of a revocation only when the token ends.
fn ttl(form: &mut Form<'_>, verifies_offline: bool) -> Option<Seconds> {
    let default = if verifies_offline { Resource::OFFLINE_TTL } else { Resource::DEFAULT_TTL };
    let read = form::number(1..=Resource::MAX_TTL.get());
    let seconds = form.or("token_ttl_s", default.get(), read)?;
    if verifies_offline && seconds > Resource::OFFLINE_TTL.get() {
        let most = Resource::OFFLINE_TTL.get();
        form.problem(
            "token_ttl_s",
            format!("must be at most {most} where `verifies_offline` is true"),
        );
    }
    u32::try_from(seconds).ok().map(Seconds::new)
}

/// Reads an array of scope tokens, at least so many.
pub(super) fn scopes(least: usize) -> impl Fn(&Value, &str) -> Read<Scope> {
    move |value, at| {
        let texts =
            form::list(least..=Scope::MAX_TOKENS, |v, at| form::string(v, at).map(str::to_owned))(
                value, at,
            )?;
        Scope::of(texts.iter().map(String::as_str)).map_err(|e| form::problem(at, e.to_string()))
    }
}

/// Writes a resource without its tools.
pub fn write(resource: &Resource) -> String {
    let enforces = match resource.enforces {
        Enforces::Call => "call",
        Enforces::Scope => "scope",
    };
    let mut document = Object::new();
    document.insert("id", resource.id.as_str());
    document.insert("resource", resource.uri.as_str());
    document.insert("owner", resource.owner.as_str());
    document.insert("name", resource.name.as_str());
    document.insert("enforces", enforces);
    document.insert("verifies_offline", resource.verifies_offline);
    document.insert("dpop", resource.dpop.as_str());
    document.insert("token_ttl_s", resource.ttl.get());
    document.insert("token_signing_alg", resource.token_signing.as_str());
    document.insert("step_up_hints", resource.step_up_hints);
    document
        .insert("scopes_supported", form::texts(resource.scopes.iter().map(ScopeToken::as_str)));
    document.insert("enabled", resource.enabled);
    document.to_json()
}
