//! Ceilings: the most that a grant rule, an allowance or an edge lets through.
//!
//! A ceiling never grants anything by itself; authority must fit under every ceiling on its way.

use super::{
    authority::{Entry, ToolName, Tools},
    constraint::{Arguments, ClaimFault, ClaimName, SubjectClaims},
    details::NamedTools,
    resource::{Resource, ResourceId, Tool},
    scope::{Scope, ScopeToken},
};

/// What one rule allows at one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CeilingEntry {
    /// The resource.
    pub resource: ResourceId,
    /// The scopes allowed there.
    pub scope: Scope,
    /// With tools named, only these and only so; without, any tool that the scopes cover.
    pub tools: Option<NamedTools<ClaimName>>,
}

/// A set of ceiling entries; each requested tool must fit under one of them. Empty allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ceiling(Vec<CeilingEntry>);

/// What part of an entry does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excess {
    /// A scope is not allowed.
    Scope(ScopeToken),
    /// A tool, or some of its arguments, is not allowed.
    Tool(ToolName),
    /// The ceiling speaks of a claim of the subject that cannot be looked up.
    Claim(ClaimFault),
    /// The request names no tools where the ceiling does.
    Undetailed,
}

impl Ceiling {
    /// A ceiling of the given entries.
    pub const fn new(entries: Vec<CeilingEntry>) -> Ceiling {
        Ceiling(entries)
    }

    /// The entries.
    pub fn entries(&self) -> &[CeilingEntry] {
        &self.0
    }

    /// Whether `entry`, wanted at `resource` for a subject with these claims, fits; the first
    /// excess otherwise.
    ///
    /// A tool fits where its own scopes are allowed: a rule for `read` never lets a tool through
    /// that another rule, for `write`, allows with certain arguments only.
    pub fn admits(
        &self,
        resource: &Resource,
        entry: &Entry,
        claims: &SubjectClaims,
    ) -> Result<(), Excess> {
        let here: Vec<&CeilingEntry> =
            self.0.iter().filter(|e| e.resource == resource.id).collect();
        for token in entry.scope.iter() {
            let mut allowing = here.iter().filter(|e| e.scope.contains(token)).peekable();
            if allowing.peek().is_none() {
                return Err(Excess::Scope(token.clone()));
            }
            if entry.tools == Tools::Undetailed && !allowing.any(|e| e.tools.is_none()) {
                return Err(Excess::Undetailed);
            }
        }
        match &entry.tools {
            Tools::Undetailed => Ok(()),
            Tools::Named(tools) => tools.iter().try_for_each(|(name, arguments)| {
                let tool = resource.tools.get(name).ok_or_else(|| Excess::Tool(name.clone()))?;
                admits_tool(&here, tool, arguments, claims)
            }),
        }
    }
}

/// Whether the rules without tools, taken together, allow the tool's scopes, or one rule names it.
fn admits_tool(
    here: &[&CeilingEntry],
    tool: &Tool,
    arguments: &Arguments,
    claims: &SubjectClaims,
) -> Result<(), Excess> {
    let covered = tool
        .scopes
        .iter()
        .all(|token| here.iter().any(|e| e.tools.is_none() && e.scope.contains(token)));
    // A tool without scopes would be covered by nothing at all; the registry refuses it.
    if covered && !tool.scopes.is_empty() {
        return Ok(());
    }
    let naming = here.iter().filter(|e| tool.scopes.is_subset(&e.scope));
    let mut unknown = None;
    for wider in naming.filter_map(|e| e.tools.as_ref()?.get(&tool.name)) {
        match wider.clone().resolve(claims) {
            Ok(wider) if arguments.is_narrower_than(&wider) => return Ok(()),
            Ok(_) => {}
            Err(fault) => unknown = Some(fault),
        }
    }
    Err(unknown.map_or_else(|| Excess::Tool(tool.name.clone()), Excess::Claim))
}
