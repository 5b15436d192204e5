//! L2. Policies in Cedar: the only place that knows Cedar.
//!
//! An administrator writes whole *policy sets*. One set is active; it is compiled when it is
//! written and whenever a resource or a tool changes, never while a request waits. What does not
//! validate strictly against the registered tools is refused, with its line and column.
//!
//! Two families never see each other's requests. *Delegation policies* may only forbid, because the
//! ceilings allow nothing by themselves: `delegate` is judged when a token is made, `call` at every
//! call. *Access policies* answer AuthZEN requests without a token, with Cedar's own default deny.
//!
//! Cedar alone fails open: a `forbid` whose evaluation errs is skipped. Here it denies.

mod access;
mod action;
mod compile;
mod judge;
mod local;
mod reads;
mod shape;
mod slice;
mod text;
mod words;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

pub use access::{AccessOutcome, Answer, Named, Question};
pub use judge::{Acting, Call, Delegate, For, Outcome, Verdict};

use self::{access::Access, slice::Slice};
use crate::{
    base::time::Seconds,
    model::{
        authority::ToolName,
        policy::Fault,
        resource::{Resource, ResourceId, Tool},
    },
};

/// A policy set, compiled against the tools of now.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    version: u64,
    rules: Vec<Rule>,
    warnings: Vec<Fault>,
    calls: HashMap<ResourceId, HashMap<ToolName, Arc<Slice>>>,
    delegate: Option<Arc<Slice>>,
    access: Option<Arc<Access>>,
}

/// One policy, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id: the annotation `@id`.
    pub id: Arc<str>,
    /// Which family it belongs to.
    pub family: Family,
    /// The name of the text it stands in.
    pub file: Arc<str>,
    /// The line it begins at, from 1.
    pub line: u32,
    /// The policy as it is written.
    pub text: Arc<str>,
    /// Whether it is only watched: the annotation `@shadow`.
    pub shadow: bool,
    /// What it demands instead of forbidding: the annotation `@require`.
    pub demand: Option<Demand>,
}

/// The two families of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Judges what is delegated and every call. Only forbids.
    Delegation,
    /// Judges AuthZEN requests without a token.
    Access,
}

impl Family {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Family::Delegation => "delegation",
            Family::Access => "access",
        }
    }
}

/// What a policy may demand instead of forbidding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// That the token is bound to a key.
    Dpop,
    /// That the person was authenticated like this.
    Acr(Arc<str>),
    /// That the token lives no longer than this.
    MaxTtl(Seconds),
    /// That no more agents act than this.
    MaxDepth(i64),
}

impl Demand {
    /// Reads the text of `@require`.
    pub fn parse(text: &str) -> Option<Demand> {
        if text == "dpop" {
            return Some(Demand::Dpop);
        }
        let (what, value) = text.split_once(':')?;
        let number = |most: u32| {
            let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            value.parse().ok().filter(|n: &u32| plain && (1..=most).contains(n))
        };
        match what {
            // RFC 9470 section 3: `acr_values` is a list that is separated by spaces.
            "acr" => {
                let one = !value.is_empty() && value.len() <= 256;
                let legal = value.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
                (one && legal).then(|| Demand::Acr(value.into()))
            }
            "max_ttl" => Some(Demand::MaxTtl(Seconds::new(number(900)?))),
            "max_depth" => Some(Demand::MaxDepth(i64::from(number(8)?))),
            _ => None,
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Demand::Dpop => f.write_str("dpop"),
            Demand::Acr(class) => write!(f, "acr:{class}"),
            Demand::MaxTtl(ttl) => write!(f, "max_ttl:{}", ttl.get()),
            Demand::MaxDepth(depth) => write!(f, "max_depth:{depth}"),
        }
    }
}

impl Policies {
    /// The version of the document; 0 where there is none.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The policies in the order in which they are written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The policy of this id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| *rule.id == *id)
    }

    /// What is not wrong and yet surely not meant: a policy that can never apply, say.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Whether any policy that is enforced concerns calls of the tool. A server that does not ask
    /// about calls cannot be given such a tool.
    pub fn concern(&self, resource: &Resource, tool: &Tool) -> bool {
        self.of(resource, tool).is_some_and(Slice::is_enforced)
    }

    /// Whether what is decided about calls of the tool rests on their arguments.
    pub fn read_arguments(&self, resource: &Resource, tool: &Tool) -> bool {
        self.of(resource, tool).is_some_and(Slice::reads_arguments)
    }

    /// The arguments of the tool, by their outermost names, that what is decided about its calls
    /// rests on; `None` where it may rest on any.
    pub fn arguments_read(&self, resource: &Resource, tool: &Tool) -> Option<BTreeSet<String>> {
        self.of(resource, tool).map_or_else(|| Some(BTreeSet::new()), Slice::arguments_read)
    }

    /// What the policies can be told of no more under `next`, the same ones compiled against other
    /// tools: an argument that had a type and has none makes a policy look away.
    pub fn blinded_by(&self, next: &Policies) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (resource, tools) in &next.calls {
            for (tool, slice) in tools {
                let before = self.calls.get(resource).and_then(|tools| tools.get(tool));
                let Some(before) = before else { continue };
                let gone = |name: &&String| {
                    before.members.contains_key(*name) && !slice.members.contains_key(*name)
                };
                for (id, reads) in slice.enforced.reads.iter().chain(&slice.shadow.reads) {
                    let Some(rule) = self.rule(id) else { continue };
                    faults.extend(reads.arguments.named.iter().filter(gone).map(|name| Fault {
                        file: rule.file.to_string(),
                        line: rule.line,
                        column: 1,
                        message: format!(
                            "`{id}` looks at the argument `{name}` of `{resource}/{tool}`, which \
                             would have none of a known type any more"
                        ),
                    }));
                }
            }
        }
        faults.sort_by_cached_key(|fault| (fault.file.clone(), fault.line, fault.message.clone()));
        faults.dedup();
        faults
    }

    /// What is said about a question without a token.
    pub fn access(&self, question: &Question<'_>) -> Answer {
        let nothing = Answer {
            outcome: AccessOutcome::NotDescribed,
            decided: Vec::new(),
            shadow: Vec::new(),
        };
        self.access.as_ref().map_or(nothing, |access| access.ask(question))
    }

    fn of(&self, resource: &Resource, tool: &Tool) -> Option<&Slice> {
        self.calls.get(&resource.id)?.get(&tool.name).map(AsRef::as_ref)
    }
}
