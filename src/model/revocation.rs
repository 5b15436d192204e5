//! Revocations: numbered records that end delegations and bar their sources.

use std::{hash::Hash, sync::Arc};

use rpds::HashTrieMapSync;

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
///
/// Each revocation makes a snapshot of its own while answers still rest on the last one: a clone
/// shares what did not change, so that the hundred-thousandth revocation costs what the first does.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    delegations: HashTrieMapSync<DelegationId, Timestamp>,
    transactions: HashTrieMapSync<TransactionId, Timestamp>,
    bars: HashTrieMapSync<Bar, Timestamp>,
    subjects: HashTrieMapSync<Subject, CutOff>,
    agents: HashTrieMapSync<ClientId, CutOff>,
    resources: HashTrieMapSync<ResourceId, CutOff>,
    tools: HashTrieMapSync<(ResourceId, ToolName), CutOff>,
    issuers: HashTrieMapSync<Arc<str>, CutOff>,
    everything: Option<CutOff>,
}

impl Revocations {
    /// Takes one more revocation in. Order does not matter; cut-offs only ever move later.
    pub fn apply(&mut self, revocation: &Revocation) {
        let at = revocation.at;
        let cut = CutOff { revision: revocation.revision, at };
        match &revocation.target {
            Target::Delegation(id) => last(&mut self.delegations, *id, at),
            Target::Transaction(txn) => last(&mut self.transactions, *txn, at),
            Target::Subject(subject) => later(&mut self.subjects, subject.clone(), cut),
            Target::Agent(id) => later(&mut self.agents, id.clone(), cut),
            Target::Resource(id) => later(&mut self.resources, id.clone(), cut),
            Target::Tool(id, tool) => later(&mut self.tools, (id.clone(), tool.clone()), cut),
            Target::Issuer(url) => later(&mut self.issuers, Arc::clone(url), cut),
            Target::Everything => self.everything = latest(self.everything, Some(cut)),
        }
        if let Some(bar) = &revocation.bar {
            last(&mut self.bars, bar.clone(), at);
        }
    }

    /// Forgets what was made at `until` or earlier, because nothing that it ends or bars would be
    /// accepted any more. Returns whether there was any.
    pub fn forget(&mut self, until: Timestamp) -> bool {
        let before = self.len();
        keep(&mut self.delegations, |at| until < *at);
        keep(&mut self.transactions, |at| until < *at);
        keep(&mut self.bars, |at| until < *at);
        keep(&mut self.subjects, |cut| until < cut.at);
        keep(&mut self.agents, |cut| until < cut.at);
        keep(&mut self.resources, |cut| until < cut.at);
        keep(&mut self.tools, |cut| until < cut.at);
        keep(&mut self.issuers, |cut| until < cut.at);
        self.everything = self.everything.filter(|cut| until < cut.at);
        self.len() < before
    }

    /// How much there is to remember.
    pub fn len(&self) -> usize {
        [
            self.delegations.size(),
            self.transactions.size(),
            self.bars.size(),
            self.subjects.size(),
            self.agents.size(),
            self.resources.size(),
            self.tools.size(),
            self.issuers.size(),
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
        claims.path.iter().any(|id| of(&self.delegations, id).is_some())
            || of(&self.transactions, &claims.txn).is_some()
            || older(self.everything.as_ref())
            || older(of(&self.subjects, &claims.subject))
            || older(of(&self.issuers, &claims.subject.issuer))
            || older(of(&self.agents, &claims.client))
            || self.ends_an_actor(claims)
            || resource.is_some_and(|id| older(of(&self.resources, id)))
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
        of(&self.transactions, &txn).is_some() || of(&self.bars, &Bar::Root(txn)).is_some()
    }

    /// Whether this actor may not exchange this delegation's token again.
    pub fn bars_child(&self, parent: DelegationId, actor: &ClientId) -> bool {
        of(&self.bars, &Bar::Child(parent, actor.clone())).is_some()
    }

    /// The cut-off of a user or of the user's issuer, both joined.
    pub fn subject_cut(&self, subject: &Subject) -> Option<CutOff> {
        let of_issuer = of(&self.issuers, &subject.issuer).copied();
        latest(of(&self.subjects, subject).copied(), of_issuer)
    }

    /// The cut-off of an agent.
    pub fn agent_cut(&self, id: &ClientId) -> Option<CutOff> {
        of(&self.agents, id).copied()
    }

    /// The cut-off of a resource.
    pub fn resource_cut(&self, id: &ResourceId) -> Option<CutOff> {
        of(&self.resources, id).copied()
    }

    /// The cut-off of a tool.
    pub fn tool_cut(&self, id: &ResourceId, tool: &ToolName) -> Option<CutOff> {
        of(&self.tools, &(id.clone(), tool.clone())).copied()
    }
}

/// What stands at a key. Most often nothing stands at any, and then nothing is hashed.
fn of<'m, K: Eq + Hash, V>(map: &'m HashTrieMapSync<K, V>, key: &K) -> Option<&'m V> {
    if map.is_empty() { None } else { map.get(key) }
}

fn last<K: Eq + Hash>(map: &mut HashTrieMapSync<K, Timestamp>, key: K, at: Timestamp) {
    let at = map.get(&key).map_or(at, |known| at.max(*known));
    map.insert_mut(key, at);
}

fn later<K: Eq + Hash>(map: &mut HashTrieMapSync<K, CutOff>, key: K, cut: CutOff) {
    let cut = map.get(&key).map_or(cut, |known| known.joined(cut));
    map.insert_mut(key, cut);
}

/// Forgets all but these. Most often nothing goes, and nothing is made anew.
fn keep<K: Clone + Eq + Hash, V: Copy>(
    map: &mut HashTrieMapSync<K, V>,
    stays: impl Fn(&V) -> bool,
) {
    let gone: Vec<K> =
        map.iter().filter(|(_, value)| !stays(value)).map(|(key, _)| key.clone()).collect();
    for key in &gone {
        map.remove_mut(key);
    }
}

fn latest(a: Option<CutOff>, b: Option<CutOff>) -> Option<CutOff> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.joined(b)),
        (a, b) => a.or(b),
    }
}
