//! Ceilings: the most that a grant rule, an allowance or an edge lets through.
//!
//! A ceiling never grants anything by itself; authority must fit under every ceiling on its way.

use std::collections::BTreeMap;

use super::{
    authority::{Entry, ToolName, Tools},
    constraint::Arguments,
    resource::ResourceId,
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
    pub tools: Option<BTreeMap<ToolName, Arguments>>,
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

    /// Whether `entry`, wanted at `resource`, fits; the first excess otherwise.
    pub fn admits(&self, resource: &ResourceId, entry: &Entry) -> Result<(), Excess> {
        let here: Vec<&CeilingEntry> = self.0.iter().filter(|e| e.resource == *resource).collect();
        for token in entry.scope.iter() {
            let allows = |e: &&CeilingEntry| {
                e.scope.contains(token) && (e.tools.is_none() || entry.tools != Tools::Undetailed)
            };
            if !here.iter().any(|e| e.scope.contains(token)) {
                return Err(Excess::Scope(token.clone()));
            }
            if !here.iter().any(allows) {
                return Err(Excess::Undetailed);
            }
        }
        match &entry.tools {
            Tools::Undetailed => Ok(()),
            Tools::Named(tools) => {
                let unfit = tools
                    .iter()
                    .find(|(name, arguments)| !here.iter().any(|e| e.admits_tool(name, arguments)));
                unfit.map_or(Ok(()), |(name, _)| Err(Excess::Tool(name.clone())))
            }
        }
    }
}

impl CeilingEntry {
    fn admits_tool(&self, name: &ToolName, arguments: &Arguments) -> bool {
        match &self.tools {
            None => true,
            Some(tools) => tools.get(name).is_some_and(|wider| arguments.is_narrower_than(wider)),
        }
    }
}
