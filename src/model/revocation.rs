//! Revocations: numbered records that end delegations and bar their sources.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::base::{
    id::{ClientId, DelegationId, ResourceId, TransactionId},
    time::Timestamp,
};

use super::{authority::ToolName, subject::Subject, token::OurClaims};

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One delegation and its subtree.
    Delegation(DelegationId),
    /// Everything grown from one foreign token through one root agent.
    Transaction(TransactionId),
    /// Everything for one user.
    Subject(Subject),
    /// Everything that one agent stands in.
    Agent(ClientId),
    /// Everything for one resource.
    Resource(ResourceId),
    /// Every delegation that names or covers one tool.
    Tool(ResourceId, ToolName),
    /// Everything for the users of one issuer.
    Issuer(Arc<str>),
    /// Everything that was ever issued. Foreign tokens stay what they are.
    Everything,
}

impl Target {
    /// The word for its kind, in rows and API.
    pub const fn kind(&self) -> &'static str {
        match self {
            Target::Delegation(_) => "delegation",
            Target::Transaction(_) => "transaction",
            Target::Subject(_) => "subject",
            Target::Agent(_) => "agent",
            Target::Resource(_) => "resource",
            Target::Tool(..) => "tool",
            Target::Issuer(_) => "issuer",
            Target::Everything => "everything",
        }
    }
}

/// A source that may not be exchanged again by an actor ("no way back").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bar {
    /// The foreign token of this transaction, for the transaction's root agent.
    Root(TransactionId),
    /// This delegation's token, for this actor.
    Child(DelegationId, ClientId),
}

/// One revocation as it was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Revocation {
    /// Its number: the revision that it made. Delegations judged at a smaller one are ended.
    pub revision: u64,
    /// What it ends.
    pub target: Target,
    /// What it bars besides.
    pub bar: Option<Bar>,
    /// When it was made; compared only against foreign tokens.
    pub at: Timestamp,
}

/// A cut-off: ends what was judged earlier, and refuses foreign tokens that are not newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Delegations judged at a smaller revision are ended.
    pub revision: u64,
    /// Foreign tokens not issued later are refused.
    pub at: Timestamp,
}

impl CutOff {
    /// What both end: a wall clock that was set back lets no older foreign token in again.
    fn joined(self, other: CutOff) -> CutOff {
        CutOff { revision: self.revision.max(other.revision), at: self.at.max(other.at) }
    }
}

/// The live revocations, indexed for the read path. Every source of revocation is consulted; none
/// masks another. What is not a cut-off stands with the moment it was made, and is forgotten by it.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    delegations: HashMap<DelegationId, Timestamp>,
    transactions: HashMap<TransactionId, Timestamp>,
    bars: HashMap<Bar, Timestamp>,
    subjects: HashMap<Subject, CutOff>,
    agents: HashMap<ClientId, CutOff>,
    resources: HashMap<ResourceId, CutOff>,
    tools: HashMap<(ResourceId, ToolName), CutOff>,
    issuers: HashMap<Arc<str>, CutOff>,
    everything: Option<CutOff>,
}

impl Revocations {
    /// Takes one more revocation in. Order does not matter; cut-offs only ever move later.
    pub fn apply(&mut self, revocation: &Revocation) {
        let at = revocation.at;
        let cut = CutOff { revision: revocation.revision, at };
        match &revocation.target {
            Target::Delegation(id) => {
                last(self.delegations.entry(*id), at);
            }
            Target::Transaction(txn) => {
                last(self.transactions.entry(*txn), at);
            }
            Target::Subject(subject) => later(self.subjects.entry(subject.clone()), cut),
            Target::Agent(id) => later(self.agents.entry(id.clone()), cut),
            Target::Resource(id) => later(self.resources.entry(id.clone()), cut),
            Target::Tool(id, tool) => later(self.tools.entry((id.clone(), tool.clone())), cut),
            Target::Issuer(url) => later(self.issuers.entry(Arc::clone(url)), cut),
            Target::Everything => self.everything = latest(self.everything, Some(cut)),
        }
        if let Some(bar) = &revocation.bar {
            last(self.bars.entry(bar.clone()), at);
        }
    }

    /// Forgets what was made at `until` or earlier, because nothing that it ends or bars would be
    /// accepted any more. Returns whether there was any.
    pub fn forget(&mut self, until: Timestamp) -> bool {
        let before = self.len();
        self.delegations.retain(|_, at| until < *at);
        self.transactions.retain(|_, at| until < *at);
        self.bars.retain(|_, at| until < *at);
        self.subjects.retain(|_, cut| until < cut.at);
        self.agents.retain(|_, cut| until < cut.at);
        self.resources.retain(|_, cut| until < cut.at);
        self.tools.retain(|_, cut| until < cut.at);
        self.issuers.retain(|_, cut| until < cut.at);
        self.everything = self.everything.filter(|cut| until < cut.at);
        self.len() < before
    }

    /// How much there is to remember.
    pub fn len(&self) -> usize {
        [
            self.delegations.len(),
            self.transactions.len(),
            self.bars.len(),
            self.subjects.len(),
            self.agents.len(),
            self.resources.len(),
            self.tools.len(),
            self.issuers.len(),
            usize::from(self.everything.is_some()),
        ]
        .iter()
        .fold(0, |sum, len| sum.saturating_add(*len))
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a token of ours is ended, by any of its links.
    pub fn ends(&self, claims: &OurClaims, resource: Option<&ResourceId>) -> bool {
        let older = |cut: Option<&CutOff>| cut.is_some_and(|cut| claims.revision < cut.revision);
        claims.path.iter().any(|id| self.delegations.contains_key(id))
            || self.transactions.contains_key(&claims.txn)
            || older(self.everything.as_ref())
            || older(self.subjects.get(&claims.subject))
            || older(self.issuers.get(&claims.subject.issuer))
            || older(self.agents.get(&claims.client))
            || self.ends_an_actor(claims)
            || resource.is_some_and(|id| older(self.resources.get(id)))
    }

    fn ends_an_actor(&self, claims: &OurClaims) -> bool {
        // A plain loop over the cut agents: there are few, and actors are texts, not ids.
        !self.agents.is_empty()
            && self.agents.iter().any(|(id, cut)| {
                claims.revision < cut.revision
                    && (claims.chain.hops().iter().any(|hop| *hop.sub == *id.as_str())
                        || (claims.own && *claims.subject.sub == *id.as_str()))
            })
    }

    /// Whether this transaction, or its root, was revoked.
    pub fn bars_root(&self, txn: TransactionId) -> bool {
        self.transactions.contains_key(&txn) || self.bars.contains_key(&Bar::Root(txn))
    }

    /// Whether this actor may not exchange this delegation's token again.
    pub fn bars_child(&self, parent: DelegationId, actor: &ClientId) -> bool {
        self.bars.contains_key(&Bar::Child(parent, actor.clone()))
    }

    /// The cut-off of a user or of the user's issuer, both joined.
    pub fn subject_cut(&self, subject: &Subject) -> Option<CutOff> {
        let of_issuer = self.issuers.get(&subject.issuer).copied();
        latest(self.subjects.get(subject).copied(), of_issuer)
    }

    /// The cut-off of an agent.
    pub fn agent_cut(&self, id: &ClientId) -> Option<CutOff> {
        self.agents.get(id).copied()
    }

    /// The cut-off of a resource.
    pub fn resource_cut(&self, id: &ResourceId) -> Option<CutOff> {
        self.resources.get(id).copied()
    }

    /// The cut-off of a tool.
    pub fn tool_cut(&self, id: &ResourceId, tool: &ToolName) -> Option<CutOff> {
        self.tools.get(&(id.clone(), tool.clone())).copied()
    }
}

fn last<K>(entry: Entry<'_, K, Timestamp>, at: Timestamp) {
    let kept = entry.or_insert(at);
    *kept = at.max(*kept);
}

fn later<K>(entry: Entry<'_, K, CutOff>, cut: CutOff) {
    let kept = entry.or_insert(cut);
    *kept = kept.joined(cut);
}

fn latest(a: Option<CutOff>, b: Option<CutOff>) -> Option<CutOff> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.joined(b)),
        (a, b) => a.or(b),
    }
}
