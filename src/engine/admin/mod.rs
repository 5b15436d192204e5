//! Whether a document fits among the others: what it names exists, what must be unique is, what
//! was fixed at registration stays. The shape of a document is `registry`'s matter; nothing here
//! reads or writes JSON.
//!
//! Every check returns all problems it finds, each with its place in the document and its cure. A
//! document that could only ever lead to refusals is refused when it is written, where somebody
//! can still read why.

mod import;
pub mod pending;

#[cfg(test)]
mod tests;

use std::iter;

use super::snapshot::{Config, Snapshot};
use crate::{
    base::{
        id::{Alias, ClientId},
        text::pointer,
        time::Timestamp,
    },
    jose::{Algorithm, KeySet},
    model::{
        ceiling::{Ceiling, CeilingEntry},
        client::{Client, Edge},
        event::{Event, Kind},
        issuer::{KeySource, TrustedIssuer},
        resource::{Enforces, Resource},
        scope::{Scope, ScopeToken},
        uri::Uri,
    },
    registry::{Problem, operator::Operator, tool::ToolDraft},
};

pub use import::{AT_THIS_WRITE, Import, found, import, replace};

/// The most secrets of one client that work at the same time: the one in use, and the one that
/// replaces it.
pub const MAX_LIVE_SECRETS: usize = 2;

/// What is wrong with a client among the others.
pub fn client(config: &Config, client: &Client) -> Vec<Problem> {
    let mut problems = inline_keys(client);
    let Some(agent) = &client.agent else { return problems };
    problems.extend(agent_uri(config, &client.id, &agent.uri));
    problems.extend(ceiling(config, &agent.allowance, "/agent/allowance"));
    problems.extend(ceiling(config, &agent.own_allowance, "/agent/own_allowance"));
    problems
}

/// Keys with which nothing could ever be verified are refused where somebody can still read why.
fn inline_keys(client: &Client) -> Vec<Problem> {
    let Some(KeySource::Inline(text)) = client.assertions.as_ref().map(|rules| &rules.keys) else {
        return Vec::new();
    };
    match KeySet::parse_jwks(text.as_bytes(), &Algorithm::ALL) {
        Ok(keys) if keys.is_empty() => {
            let message = "has no key for signatures by an algorithm that is accepted";
            vec![problem("/jwks", message)]
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![problem("/jwks", error.to_string())],
    }
}

/// An agent's URI names that agent and nothing else: a token for it must be usable nowhere.
fn agent_uri(config: &Config, id: &ClientId, uri: &Uri) -> Vec<Problem> {
    let at = "/agent/uri";
    let mut problems = ours(config, uri, at);
    if let Some(resource) = config.resource_at(uri) {
        let message = format!(
            "is the URI of the resource `{}`: an agent needs one of its own, such as \
             `urn:agent:{id}`",
            resource.id
        );
        problems.push(problem(at, message));
    }
    if let Some(owner) = config.agent_uri_owner(uri).filter(|owner| *owner != id) {
        let message = format!("belongs to the client `{owner}`: give each agent one of its own");
        problems.push(problem(at, message));
    }
    problems
}

/// What is wrong with a resource among the others, and with its own tools.
pub fn resource(config: &Config, resource: &Resource) -> Vec<Problem> {
    let mut problems = ours(config, &resource.uri, "/resource");
    if config.client(&resource.owner).is_none() {
        let message = format!("`{}` is no client: create it first", resource.owner);
        problems.push(problem("/owner", message));
    }
    if let Some(agent) = config.agent_uri_owner(&resource.uri) {
        let message = format!("is the URI of the agent `{agent}`: a resource needs one of its own");
        problems.push(problem("/resource", message));
    }
    if let Some(other) = config.resource_at(&resource.uri).filter(|other| other.id != resource.id) {
        let message = format!("is the URI of the resource `{}` already: change one", other.id);
        problems.push(problem("/resource", message));
    }
    let tools = config.resource(&resource.id).into_iter().flat_map(|known| known.tools.values());
    for tool in tools.flat_map(|tool| iter::once(tool).chain(tool.pending.as_deref())) {
        for token in beyond(&tool.scopes, &resource.scopes) {
            let message = format!(
                "lacks `{token}`, which the tool `{}` needs: keep it, or change the tool first",
                tool.name
            );
            problems.push(problem("/scopes_supported", message));
        }
    }
    problems
}

/// What is wrong with a tool of `resource`; `at` points to the object that holds its `scopes`.
pub fn tool(resource: &Resource, draft: &ToolDraft, at: &str) -> Vec<Problem> {
    let here = pointer(at, "scopes");
    beyond(&draft.scopes, &resource.scopes)
        .map(|token| {
            let message = format!(
                "names `{token}`, which `{}` does not have: add it to its `scopes_supported` first",
                resource.id
            );
            problem(&here, message)
        })
        .collect()
}

/// What is wrong with a trusted issuer among the others.
pub fn issuer(config: &Config, issuer: &TrustedIssuer) -> Vec<Problem> {
    let mut problems = Vec::new();
    if *issuer.url == *config.issuer {
        let message = "is our own issuer: tokens of ours are accepted without it";
        problems.push(problem("/issuer", message));
    }
    if let Some(other) = config.issuer(&issuer.url).filter(|other| other.alias != issuer.alias) {
        let message = format!("is registered as `{}` already: change that one", other.alias);
        problems.push(problem("/issuer", message));
    }
    if let Some(known) = issuer_of(config, &issuer.alias) {
        problems.extend(unchanged(known, issuer));
    }
    let primary = config.issuers().find(|other| other.primary && other.alias != issuer.alias);
    if let Some(other) = primary.filter(|_| issuer.primary) {
        let message = format!(
            "must be false: `{}` is primary, and two issuers' subjects could not be told apart",
            other.alias
        );
        problems.push(problem("/primary", message));
    }
    for id in issuer.agents.keys() {
        problems.extend(known_agent(config, id, &pointer("/agents", id.as_str())));
    }
    for (index, rule) in issuer.grant_rules.iter().enumerate() {
        let at = format!("/grant_rules/{index}/gives");
        problems.extend(entries(config, &rule.gives, &at));
    }
    problems
}

/// The issuer with this alias.
pub fn issuer_of<'a>(config: &'a Config, alias: &Alias) -> Option<&'a TrustedIssuer> {
    config.issuers().map(AsRef::as_ref).find(|known| known.alias == *alias)
}

/// Subjects are written with the alias and the primary mark: changing either, or the issuer behind
/// them, would turn one person into another.
fn unchanged(known: &TrustedIssuer, issuer: &TrustedIssuer) -> Vec<Problem> {
    let fixed = |what: &str| {
        format!("is fixed at registration and is {what}: register another issuer under a new alias")
    };
    let mut problems = Vec::new();
    if known.url != issuer.url {
        problems.push(problem("/issuer", fixed(&format!("`{}`", known.url))));
    }
    if known.primary != issuer.primary {
        problems.push(problem("/primary", fixed(&format!("`{}`", known.primary))));
    }
    problems
}

/// What is wrong with an edge.
pub fn edge(config: &Config, edge: &Edge) -> Vec<Problem> {
    let mut problems = Vec::new();
    if edge.from == edge.to {
        let message = "is the same client as `from`: an edge joins two";
        problems.push(problem("/to", message));
    }
    if config.client(&edge.from).is_none() {
        let message = format!("`{}` is no client: create it first", edge.from);
        problems.push(problem("/from", message));
    }
    problems.extend(known_agent(config, &edge.to, "/to"));
    if let Some(limit) = &edge.ceiling {
        problems.extend(ceiling(config, limit, "/ceiling"));
    }
    problems
}

fn known_agent(config: &Config, id: &ClientId, at: &str) -> Option<Problem> {
    match config.client(id) {
        None => Some(problem(at, format!("`{id}` is no client: create it first"))),
        Some(client) if client.agent.is_none() => {
            Some(problem(at, format!("`{id}` is no agent: give the client an `agent` first")))
        }
        Some(_) => None,
    }
}

fn ceiling(config: &Config, ceiling: &Ceiling, at: &str) -> Vec<Problem> {
    entries(config, ceiling.entries(), at)
}

fn entries(config: &Config, entries: &[CeilingEntry], at: &str) -> Vec<Problem> {
    let indexed = entries.iter().enumerate();
    indexed.flat_map(|(index, e)| entry(config, e, &format!("{at}/{index}"))).collect()
}

fn entry(config: &Config, entry: &CeilingEntry, at: &str) -> Vec<Problem> {
    let Some(resource) = config.resource(&entry.resource) else {
        let message = format!("`{}` is no resource: create it first", entry.resource);
        return vec![problem(&pointer(at, "resource"), message)];
    };
    let mut problems: Vec<Problem> = beyond(&entry.scope, &resource.scopes)
        .map(|token| {
            let message = format!(
                "names `{token}`, which `{}` does not have: add it to its `scopes_supported`, or \
                 leave it out",
                resource.id
            );
            problem(&pointer(at, "scope"), message)
        })
        .collect();
    let named = entry.tools.iter().flat_map(|tools| tools.keys());
    let tools_at = pointer(at, "tools");
    if entry.tools.is_some() && resource.enforces == Enforces::Scope {
        // Design section 6: nothing is promised that the server will not keep.
        let message = format!(
            "`{}` enforces scopes only: leave `tools` out, or let it ask about every call",
            resource.id
        );
        problems.push(problem(&tools_at, message));
    }
    for name in named.filter(|name| !resource.tools.contains_key(*name)) {
        let message = format!("is no tool of `{}`: import its tools first", resource.id);
        problems.push(problem(&pointer(&tools_at, name.as_str()), message));
    }
    problems
}

/// A token whose audience is our issuer is an agent's own credential, never for a server.
fn ours(config: &Config, uri: &Uri, at: &str) -> Vec<Problem> {
    if *uri.as_str() == *config.issuer {
        return vec![problem(at, "is our own issuer: choose the server's own URI")];
    }
    Vec::new()
}

fn beyond<'a>(inner: &'a Scope, outer: &'a Scope) -> impl Iterator<Item = &'a str> {
    inner.iter().filter(|token| !outer.contains(token)).map(ScopeToken::as_str)
}

fn problem(at: &str, message: impl Into<String>) -> Problem {
    Problem { field: at.to_owned(), message: message.into() }
}

/// The event of a configuration change, with nothing filled in but who, when and what.
pub fn event(
    snapshot: &Snapshot,
    operator: &Operator,
    reason: &'static str,
    now: Timestamp,
) -> Event {
    let detail = vec![("operator".into(), operator.name.to_string())];
    Event { detail, ..Event::new(Kind::Configuration, reason, now, snapshot.revision) }
}
