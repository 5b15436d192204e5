//! Authority: what the new token may do and pass on, under every ceiling. Beyond any of them is an
//! error; nothing is ever trimmed silently.
//!
//! `wanted` works out what is asked for, with what is left out inherited or derived; `under` holds
//! each entry against the source, the agent's allowance, the edge and the resource's tools.

use std::{collections::BTreeMap, sync::Arc};

use super::{presenter::Standing, subject, target::Target};
use crate::{
    engine::{
        refusal::{Ceiling, DetailsFault, Refusal, ScopeFault, TargetFault},
        snapshot::{Config, Snapshot},
        verify::foreign,
    },
    model::{
        authority::{Authority, Entry, ToolName, Tools},
        ceiling::{Ceiling as Rules, CeilingEntry, Excess},
        client::{Client, Edge},
        constraint::{Arguments, ClaimFault, Never, SubjectClaims},
        issuer::{ForeignKind, ForeignScope, GrantRule, TrustedIssuer},
        max_calls::MaxCalls,
        resource::{Enforces, Resource, Tool},
        scope::Scope,
        token::{ForeignClaims, OurClaims},
        uri::Uri,
    },
    oauth::{details::RequestedEntry, token_request::Wanted},
};

/// What was granted: the token's authority, and its `scope` at its own audience.
#[derive(Debug)]
pub struct Granted {
    /// Everything it can do and pass on.
    pub authority: Authority,
    /// The scopes at the audience; empty for a hand-over.
    pub scope: Scope,
}

/// Where the authority comes from.
enum SourceOf<'a> {
    /// What the grant rules of an issuer yield for this token, and nothing else.
    Rules(Rules),
    /// What the presented token of ours holds.
    Parent(Authority, &'a OurClaims),
    /// The agent's own allowance, which is a ceiling anyway.
    Own,
}

/// What was asked for, with every claim of the subject looked up.
struct Asked<'a> {
    scope: Option<&'a Scope>,
    details: Option<Vec<RequestedEntry<Never>>>,
}

/// What every entry is judged by.
struct Ground<'a> {
    config: &'a Config,
    client: &'a Client,
    source: &'a SourceOf<'a>,
    claims: &'a SubjectClaims,
    target: &'a Target<'a>,
}

/// Works out the authority, or refuses.
pub fn judge(
    snapshot: &Snapshot,
    client: &Client,
    standing: &Standing<'_>,
    target: &Target<'_>,
    asked: &Wanted,
) -> Result<Granted, Refusal> {
    let config = &snapshot.config;
    let source = source(config, standing);
    let claims = subject::claims(config, standing);
    let asked = looked_up(asked, &claims)?;
    let entries = wanted(config, &source, standing, target, &asked)?;
    if entries.is_empty() {
        return Err(Refusal::Scope(ScopeFault::Empty));
    }
    let ground = Ground { config, client, source: &source, claims: &claims, target };
    for (location, entry) in &entries {
        under(&ground, location, entry)?;
    }
    let scope = match target {
        Target::Resource(resource) => {
            entries.get(&resource.uri).map(|e| e.scope.clone()).unwrap_or_default()
        }
        Target::Agent(..) => Scope::default(),
    };
    Ok(Granted { authority: Authority::new(entries), scope })
}

fn looked_up<'a>(asked: &'a Wanted, claims: &SubjectClaims) -> Result<Asked<'a>, Refusal> {
    let entries = asked.details.iter().flatten().cloned().map(|entry| entry.resolve(claims));
    let entries: Result<Vec<_>, ClaimFault> = entries.collect();
    let entries = entries.map_err(|fault| Refusal::Details(DetailsFault::Claim(fault)))?;
    Ok(Asked { scope: asked.scope.as_ref(), details: asked.details.is_some().then_some(entries) })
}

fn source<'a>(config: &Config, standing: &Standing<'a>) -> SourceOf<'a> {
    match standing {
        Standing::Root { claims, issuer, .. } => SourceOf::Rules(rules(issuer, claims)),
        Standing::Own => SourceOf::Own,
        Standing::Holder(claims) | Standing::Receiver(claims) => {
            SourceOf::Parent(held(config, claims, |_| true), claims)
        }
        // What was sent to a server is its ceiling only where it is addressed onward.
        Standing::Owner(claims) => {
            let onward = |location: &Uri| location.as_str() != &*claims.audience;
            SourceOf::Parent(held(config, claims, onward), claims)
        }
    }
}

/// The union of the rules that match this token. No rule, no authority.
fn rules(issuer: &TrustedIssuer, claims: &ForeignClaims) -> Rules {
    let matching = issuer.grant_rules.iter().filter(|rule| is_met(rule, claims));
    let gives: Vec<CeilingEntry> = matching.flat_map(|rule| rule.gives.iter().cloned()).collect();
    Rules::new(gives)
}

/// Whether a token fulfils a grant rule.
pub fn is_met(rule: &GrantRule, claims: &ForeignClaims) -> bool {
    let scope = match (&rule.foreign_scope, claims.kind) {
        (ForeignScope::Any, _) | (ForeignScope::Token(_), ForeignKind::IdToken) => true,
        (ForeignScope::Token(token), ForeignKind::AccessToken) => claims.scope.contains(token),
    };
    let matches =
        |(name, values): (&String, &Vec<_>)| foreign::matches(&claims.claims, name, values);
    rule.kind == claims.kind && scope && rule.claims.iter().all(matches)
}

/// What a token of ours holds, with the scopes of onward entries read from the tools they name.
fn held(config: &Config, claims: &OurClaims, keep: impl Fn(&Uri) -> bool) -> Authority {
    let entry = |location: &Uri, entry: &Entry| {
        let scope = match &entry.tools {
            Tools::Named(tools) if location.as_str() != &*claims.audience => config
                .resource_at(location)
                .map(|resource| scopes_of(resource, tools.keys()))
                .unwrap_or_default(),
            Tools::Named(_) | Tools::Undetailed => entry.scope.clone(),
        };
        (location.clone(), Entry { scope, ..entry.clone() })
    };
    let kept = claims.authority.iter().filter(|(location, _)| keep(location));
    Authority::new(kept.map(|(l, e)| entry(l, e)).collect())
}

/// The scopes of the named tools, all of them.
fn scopes_of<'a>(resource: &Resource, tools: impl Iterator<Item = &'a ToolName>) -> Scope {
    tools
        .filter_map(|name| resource.tools.get(name))
        .flat_map(|tool| tool.scopes.iter().cloned())
        .collect()
}

fn wanted(
    config: &Config,
    source: &SourceOf<'_>,
    standing: &Standing<'_>,
    target: &Target<'_>,
    asked: &Asked<'_>,
) -> Result<BTreeMap<Uri, Entry>, Refusal> {
    match target {
        Target::Resource(resource) => {
            let mut entries = onward(config, source, standing, resource, asked)?;
            entries.insert(resource.uri.clone(), at_target(source, resource, asked)?);
            Ok(entries)
        }
        Target::Agent(..) if asked.scope.is_some() => Err(Refusal::Scope(ScopeFault::OnHandOver)),
        Target::Agent(..) => match (&asked.details, source) {
            (Some(_), _) => named_entries(config, asked, |_| true),
            // A child inherits what it omits.
            (None, SourceOf::Parent(parent, _)) => {
                Ok(parent.iter().map(|(l, e)| (l.clone(), e.clone())).collect())
            }
            (None, SourceOf::Rules(_) | SourceOf::Own) => {
                Err(Refusal::Details(DetailsFault::Missing))
            }
        },
    }
}

/// The entry at the resource that a call token is for.
fn at_target(
    source: &SourceOf<'_>,
    resource: &Arc<Resource>,
    asked: &Asked<'_>,
) -> Result<Entry, Refusal> {
    let named = details_at(asked, &resource.uri);
    let inherited = match source {
        SourceOf::Parent(parent, _) => {
            Some(parent.at(&resource.uri).ok_or(Refusal::Target(TargetFault::NotCovered))?)
        }
        SourceOf::Rules(_) | SourceOf::Own => None,
    };
    let entry = match (asked.scope, named, inherited) {
        (_, Some(tools), _) => {
            let needs = known_scopes(resource, tools)?;
            let scope = match asked.scope {
                None => needs,
                Some(scope) => {
                    tools_fit_scope(resource, tools, scope)?;
                    scope.clone()
                }
            };
            uncounted(scope, Tools::Named(tools.clone()))
        }
        (Some(scope), None, Some(parent)) => narrowed_by_scope(resource, parent, scope),
        (Some(scope), None, None) => uncounted(scope.clone(), Tools::Undetailed),
        (None, None, Some(parent)) => parent.clone(),
        (None, None, None) => return Err(Refusal::Scope(ScopeFault::Missing)),
    };
    for token in entry.scope.iter() {
        if !resource.scopes.contains(token) {
            return Err(Refusal::Scope(ScopeFault::Unknown(token.clone())));
        }
    }
    let nothing = matches!(&entry.tools, Tools::Named(tools) if tools.is_empty());
    if entry.scope.is_empty() || nothing {
        return Err(Refusal::Scope(ScopeFault::Empty));
    }
    Ok(entry)
}

/// An entry as it is asked for; its limits are put on it by `max_calls`, which sees every entry.
fn uncounted(scope: Scope, tools: Tools) -> Entry {
    Entry { scope, tools, max_calls: MaxCalls::default() }
}

fn details_at<'a>(
    asked: &'a Asked<'_>,
    location: &Uri,
) -> Option<&'a BTreeMap<ToolName, Arguments>> {
    asked.details.iter().flatten().find(|e| e.location == *location).map(|e| &e.tools)
}

/// Asking for fewer scopes of a detailed parent is asking for fewer of its tools.
fn narrowed_by_scope(resource: &Resource, parent: &Entry, scope: &Scope) -> Entry {
    let tools = match &parent.tools {
        Tools::Undetailed => Tools::Undetailed,
        Tools::Named(tools) => {
            let fits = |name: &ToolName| {
                resource.tools.get(name).is_some_and(|tool| tool.scopes.is_subset(scope))
            };
            let kept = tools.iter().filter(|(name, _)| fits(name));
            Tools::Named(kept.map(|(n, a)| (n.clone(), a.clone())).collect())
        }
    };
    Entry { scope: scope.clone(), tools, max_calls: parent.max_calls.clone() }
}

fn known_scopes(
    resource: &Resource,
    tools: &BTreeMap<ToolName, Arguments>,
) -> Result<Scope, Refusal> {
    for name in tools.keys() {
        enabled_tool(resource, name)?;
    }
    Ok(scopes_of(resource, tools.keys()))
}

fn enabled_tool<'a>(resource: &'a Resource, name: &ToolName) -> Result<&'a Tool, Refusal> {
    let unknown = || Refusal::Details(DetailsFault::UnknownTool(name.clone()));
    let tool = resource.tools.get(name).filter(|tool| tool.enabled).ok_or_else(unknown)?;
    // Nobody has looked at what the tool is now, so nobody gets it.
    if tool.pending.is_some() {
        return Err(Refusal::Details(DetailsFault::ToolChanged(name.clone())));
    }
    Ok(tool)
}

fn tools_fit_scope(
    resource: &Resource,
    tools: &BTreeMap<ToolName, Arguments>,
    scope: &Scope,
) -> Result<(), Refusal> {
    for name in tools.keys() {
        if !enabled_tool(resource, name)?.scopes.is_subset(scope) {
            return Err(Refusal::Scope(ScopeFault::ToolNeeds(name.clone())));
        }
    }
    Ok(())
}

/// Entries for other locations than the audience: named in the request, or kept by a holder that
/// narrows its own token without saying anything about details.
fn onward(
    config: &Config,
    source: &SourceOf<'_>,
    standing: &Standing<'_>,
    resource: &Resource,
    asked: &Asked<'_>,
) -> Result<BTreeMap<Uri, Entry>, Refusal> {
    match (standing, &asked.details, source) {
        (_, Some(_), _) => named_entries(config, asked, |location| *location != resource.uri),
        (Standing::Holder(_), None, SourceOf::Parent(parent, _)) => Ok(parent
            .iter()
            .filter(|(location, _)| **location != resource.uri)
            .map(|(l, e)| (l.clone(), e.clone()))
            .collect()),
        (_, None, _) => Ok(BTreeMap::new()),
    }
}

/// The entries that the request names, with the scopes of their tools.
fn named_entries(
    config: &Config,
    asked: &Asked<'_>,
    keep: impl Fn(&Uri) -> bool,
) -> Result<BTreeMap<Uri, Entry>, Refusal> {
    let mut entries = BTreeMap::new();
    for entry in asked.details.iter().flatten().filter(|e| keep(&e.location)) {
        let resource = enabled_resource(config, &entry.location)?;
        let scope = known_scopes(resource, &entry.tools)?;
        let tools = Tools::Named(entry.tools.clone());
        entries.insert(entry.location.clone(), uncounted(scope, tools));
    }
    Ok(entries)
}

fn enabled_resource<'a>(config: &'a Config, at: &Uri) -> Result<&'a Arc<Resource>, Refusal> {
    let unknown = || Refusal::Details(DetailsFault::UnknownLocation(at.clone()));
    config.resource_at(at).filter(|r| r.enabled).ok_or_else(unknown)
}

/// Holds one entry against every ceiling.
fn under(ground: &Ground<'_>, location: &Uri, entry: &Entry) -> Result<(), Refusal> {
    let client = ground.client;
    let resource = enabled_resource(ground.config, location)?;
    kept_by_resource(resource, entry)?;
    match ground.source {
        SourceOf::Rules(rules) => admits(ground, rules, resource, entry, Ceiling::GrantRules)?,
        SourceOf::Parent(parent, claims) => within_parent(resource, parent, claims, entry)?,
        SourceOf::Own => {}
    }
    let agent = client.agent.as_ref().ok_or(Refusal::GrantNotAllowed)?;
    let allowance = match ground.source {
        SourceOf::Own => &agent.own_allowance,
        SourceOf::Parent(_, claims) if claims.own && claims.client == client.id => {
            &agent.own_allowance
        }
        SourceOf::Parent(..) | SourceOf::Rules(_) => &agent.allowance,
    };
    if !allowance.entries().iter().any(|e| e.resource == resource.id) {
        return Err(Refusal::NotAllowedHere);
    }
    admits(ground, allowance, resource, entry, Ceiling::Allowance)?;
    match edge(ground, location)? {
        Some(edge) => over_edge(ground, edge, resource, entry),
        None => Ok(()),
    }
}

/// Nothing is promised that the server will not keep: a resource that looks only at scopes gets no
/// limits on tools.
fn kept_by_resource(resource: &Resource, entry: &Entry) -> Result<(), Refusal> {
    match (&resource.enforces, &entry.tools) {
        (Enforces::Scope, Tools::Named(_)) => {
            Err(Refusal::Details(DetailsFault::ScopeResource(resource.uri.clone())))
        }
        (Enforces::Call, Tools::Named(tools)) => {
            tools.keys().try_for_each(|name| enabled_tool(resource, name).map(|_| ()))
        }
        (Enforces::Call | Enforces::Scope, Tools::Undetailed) => Ok(()),
    }
}

fn admits(
    ground: &Ground<'_>,
    rules: &Rules,
    resource: &Resource,
    entry: &Entry,
    ceiling: Ceiling,
) -> Result<(), Refusal> {
    rules.admits(resource, entry, ground.claims).map_err(|excess| match excess {
        Excess::Scope(token) => Refusal::Scope(ScopeFault::Beyond(token, ceiling)),
        Excess::Tool(tool) => Refusal::Details(DetailsFault::Beyond(tool, ceiling)),
        Excess::Claim(fault) => Refusal::Details(DetailsFault::Claim(fault)),
        Excess::Undetailed => Refusal::Scope(ScopeFault::NameTools(ceiling)),
    })
}

fn within_parent(
    resource: &Resource,
    parent: &Authority,
    claims: &OurClaims,
    entry: &Entry,
) -> Result<(), Refusal> {
    let beyond = || Refusal::Details(DetailsFault::LocationBeyond(resource.uri.clone()));
    let wider = parent.at(&resource.uri).ok_or_else(beyond)?;
    if let Some(token) = entry.scope.iter().find(|t| !wider.scope.contains(t)) {
        return Err(Refusal::Scope(ScopeFault::Beyond(token.clone(), Ceiling::Source)));
    }
    let Tools::Named(tools) = &entry.tools else {
        return match wider.tools {
            Tools::Undetailed => Ok(()),
            Tools::Named(_) => Err(Refusal::Scope(ScopeFault::NameTools(Ceiling::Source))),
        };
    };
    for (name, arguments) in tools {
        let tool = enabled_tool(resource, name)?;
        // The parent's authority was over the tool as it was then.
        if !tool.is_what_it_was(claims.root_revision) {
            return Err(Refusal::Details(DetailsFault::ToolChanged(name.clone())));
        }
        let fits = match &wider.tools {
            Tools::Undetailed => covers(&wider.scope, tool),
            Tools::Named(held) => held.get(name).is_some_and(|w| arguments.is_narrower_than(w)),
        };
        if !fits {
            return Err(Refusal::Details(DetailsFault::Beyond(name.clone(), Ceiling::Source)));
        }
    }
    Ok(())
}

/// Whether scopes alone cover a tool: all of its scopes, and an effect that need not be named.
pub fn covers(scope: &Scope, tool: &Tool) -> bool {
    tool.effect.is_covered_by_scopes() && tool.scopes.is_subset(scope)
}

/// The edge that an entry must pass: to the receiver of a hand-over, or, for an onward entry, to
/// the owner of the audience.
fn edge<'a>(ground: &Ground<'a>, location: &Uri) -> Result<Option<&'a Edge>, Refusal> {
    match ground.target {
        Target::Agent(_, _, edge) => Ok(Some(edge)),
        Target::Resource(resource) if resource.uri == *location => Ok(None),
        Target::Resource(resource) => {
            let edge = ground.config.edge(&ground.client.id, &resource.owner);
            edge.map(Some).ok_or(Refusal::NoEdge)
        }
    }
}

fn over_edge(
    ground: &Ground<'_>,
    edge: &Edge,
    resource: &Resource,
    entry: &Entry,
) -> Result<(), Refusal> {
    if let Tools::Named(tools) = &entry.tools {
        for name in tools.keys() {
            if !edge.effects.contains(&enabled_tool(resource, name)?.effect) {
                let beyond = DetailsFault::Beyond(name.clone(), Ceiling::Edge);
                return Err(Refusal::Details(beyond));
            }
        }
    }
    match &edge.ceiling {
        Some(ceiling) => admits(ground, ceiling, resource, entry, Ceiling::Edge),
        None => Ok(()),
    }
}
