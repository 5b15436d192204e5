//! Resources and their tools.

use std::{collections::BTreeMap, fmt};

pub use crate::base::id::ResourceId;
use crate::base::{
    id::ClientId,
    json::Value,
    secret::Fingerprint,
    time::{Seconds, Timestamp},
};

use super::{authority::ToolName, scope::Scope, signing::SigningAlgorithm, uri::Uri};

/// A protected server, named on the wire by its canonical URI (RFC 8707).
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The short name.
    pub id: ResourceId,
    /// The canonical URI: `aud` of every token for this resource.
    pub uri: Uri,
    /// The client that may introspect tokens for it.
    pub owner: ClientId,
    /// A name for people.
    pub name: String,
    /// What the server promises to do with our answers.
    pub enforces: Enforces,
    /// Whether it also accepts tokens without asking; then they live at most 60 s.
    pub verifies_offline: bool,
    /// Who checks that a bound token is used by the holder of its key.
    pub dpop: DpopUse,
    /// The longest life of a call token for it.
    pub ttl: Seconds,
    /// What its call tokens are signed with.
    pub token_signing: SigningAlgorithm,
    /// Whether denials may tell which scope would cure them, beyond `read` tools.
    pub step_up_hints: bool,
    /// Its scopes.
    pub scopes: Scope,
    /// Its tools.
    pub tools: BTreeMap<ToolName, Tool>,
    /// A disabled resource is no target and introspects nothing.
    pub enabled: bool,
}

/// What a resource enforces (design: nothing is promised that the server will not keep).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforces {
    /// It asks about every call, with tool and arguments.
    Call,
    /// It only looks at scopes: no constraint is ever minted for it.
    Scope,
}

/// Who checks the DPoP proofs that are sent to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpopUse {
    /// Nobody: no bound token is made for it.
    No,
    /// The server itself, by the `cnf` that it is told (RFC 9449 section 7).
    Itself,
    /// We do, when it asks about a call: it sends the proof along.
    Deputy,
}

impl DpopUse {
    /// Every choice.
    pub const ALL: [DpopUse; 3] = [DpopUse::No, DpopUse::Itself, DpopUse::Deputy];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DpopUse::No => "no",
            DpopUse::Itself => "itself",
            DpopUse::Deputy => "deputy",
        }
    }
}

/// What a call does to the world: an administrator's word, never a server's annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Changes something for good; must be named to be granted.
    Destructive,
    /// Carries data out; must be named to be granted.
    Egress,
}

impl Effect {
    /// Every effect, mildest first.
    pub const ALL: [Effect; 4] = [Effect::Read, Effect::Write, Effect::Destructive, Effect::Egress];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::Destructive => "destructive",
            Effect::Egress => "egress",
        }
    }

    /// Whether scopes alone may cover such a tool; the others must be named.
    pub const fn is_covered_by_scopes(self) -> bool {
        matches!(self, Effect::Read | Effect::Write)
    }

    /// Whether an allowed call is committed before it is answered (design section 9).
    pub const fn is_committed_first(self) -> bool {
        !matches!(self, Effect::Read)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An operation of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: ToolName,
    /// What it says about itself; shown to people, never decided on.
    pub description: String,
    /// The scopes that a token must hold, all of them. Never empty.
    pub scopes: Scope,
    /// What a call does.
    pub effect: Effect,
    /// The JSON Schema of its arguments, as the server published it.
    pub input_schema: Value,
    /// What else its server says about it.
    pub about: About,
    /// Over everything that its server says about it: what the administrator looked at.
    pub digest: Fingerprint,
    /// Argument pointers whose values may be kept in the audit log.
    pub keep_arguments: Vec<String>,
    /// A disabled tool permits nothing.
    pub enabled: bool,
    /// The revision at which its meaning (digest, scopes, effect) last changed. A delegation
    /// whose root is older does not cover the tool: it was another tool then.
    pub changed_at: u64,
    /// When that was.
    pub changed_on: Timestamp,
    /// What its server says it is now, found on `changed_on`, with the scopes and the effect that
    /// it would have. While that is not accepted nobody knows what a call would do.
    pub pending: Option<Box<Tool>>,
}

/// What a server says about a tool beside its description and the schema of its arguments: pinned
/// and shown to people, never decided on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// A name for people.
    pub title: Option<String>,
    /// The JSON Schema of its results.
    pub output_schema: Option<Value>,
    /// Hints, such as `readOnlyHint`: a server's own word about itself.
    pub annotations: Option<Value>,
}

impl Tool {
    /// Whether it is still the tool over which authority was given at this revision of the root:
    /// it did not change since, and no change waits to be accepted.
    pub fn is_what_it_was(&self, root_revision: u64) -> bool {
        self.pending.is_none() && self.changed_at <= root_revision
    }
}

impl Resource {
    /// The longest life of a token for a server that also verifies offline.
    pub const OFFLINE_TTL: Seconds = Seconds::new(60);
    /// The life of a call token unless the resource says otherwise.
    pub const DEFAULT_TTL: Seconds = Seconds::new(120);
    /// The longest life of any token.
    pub const MAX_TTL: Seconds = Seconds::new(900);
}
