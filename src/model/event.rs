//! Audit events: who, for whom, through which chain, what, and how it came out.

use std::{borrow::Cow, sync::Arc};

use crate::base::{
    id::{ClientId, DecisionId, DelegationId, ErrorId, ResourceId, TransactionId},
    time::Timestamp,
};

use super::{
    actor::{ActorChain, Provenance},
    client::AuthMethod,
    resource::Effect,
    subject::Subject,
};

/// One thing that happened and must be known later.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: Kind,
    /// How it came out.
    pub outcome: Outcome,
    /// The precise reason: a machine code, for operators only.
    pub reason: Cow<'static, str>,
    /// The client that asked, where one was authenticated (or claimed, for failures).
    pub client: Option<ClientId>,
    /// For whom. Personal.
    pub subject: Option<Subject>,
    /// Through whom, current actor first.
    pub chain: Vec<Hop>,
    /// At which resource.
    pub resource: Option<ResourceId>,
    /// Which tool, as the caller named it.
    pub tool: Option<Arc<str>>,
    /// What the tool does.
    pub effect: Option<Effect>,
    /// In which transaction.
    pub txn: Option<TransactionId>,
    /// Which delegation was made, used or ended.
    pub delegation: Option<DelegationId>,
    /// From which delegation.
    pub parent: Option<DelegationId>,
    /// Which decision.
    pub decision: Option<DecisionId>,
    /// What the caller was told to quote.
    pub error: Option<ErrorId>,
    /// The revision it was judged at.
    pub revision: u64,
    /// How much of the call's arguments stands in `detail`; `None` where there was no call, or its
    /// arguments could not be read.
    pub arguments: Option<Kept>,
    /// Free text and kept argument values. Personal.
    pub detail: Vec<(Arc<str>, String)>,
}

/// How much of a call's arguments an event keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kept {
    /// All: the call can be judged again.
    Whole,
    /// Some, or none.
    Partly,
}

impl Kept {
    /// Both.
    pub const ALL: [Kept; 2] = [Kept::Whole, Kept::Partly];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kept::Whole => "whole",
            Kept::Partly => "partly",
        }
    }
}

impl Event {
    /// The most details of one event; those behind it are not kept.
    pub const DETAILS_MAX: usize = 32;
    /// The longest detail, in characters; a longer one is cut.
    pub const DETAIL_MAX: usize = 4_096;

    /// An event that came out well, with nothing else filled in.
    pub fn new(
        kind: Kind,
        reason: impl Into<Cow<'static, str>>,
        at: Timestamp,
        revision: u64,
    ) -> Event {
        Event {
            at,
            kind,
            outcome: Outcome::Granted,
            reason: reason.into(),
            client: None,
            subject: None,
            chain: Vec::new(),
            resource: None,
            tool: None,
            effect: None,
            txn: None,
            delegation: None,
            parent: None,
            decision: None,
            error: None,
            revision,
            arguments: None,
            detail: Vec::new(),
        }
    }
}

/// One actor of a chain, with what proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The namespace.
    pub issuer: Arc<str>,
    /// The actor.
    pub sub: Arc<str>,
    /// Whether we saw it authenticate.
    pub provenance: Provenance,
    /// What proved it: the authentication method; for an asserted actor, the issuer that says so.
    pub via: Option<Cow<'static, str>>,
}

impl Hop {
    /// A chain, current actor first: the first ones proved themselves to us by `via`, and the rest
    /// stood in a token of `asserter`.
    pub fn all(chain: &ActorChain, via: &[AuthMethod], asserter: &str) -> Vec<Hop> {
        let hops = chain.known(via).map(|(actor, proof)| Hop {
            issuer: Arc::clone(&actor.issuer),
            sub: Arc::clone(&actor.sub),
            provenance: Provenance::by(proof),
            via: Some(match proof {
                Some(method) => method.as_str().into(),
                None => asserter.to_owned().into(),
            }),
        });
        hops.collect()
    }
}

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A token was issued, or an authenticated client was refused one.
    Exchange,
    /// A call was asked about.
    Decision,
    /// Something was revoked.
    Revocation,
    /// An administrator changed something.
    Configuration,
    /// An operator asked what would happen; nothing did.
    Inquiry,
    /// Requests that failed before authentication, summed up.
    Unauthenticated,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] = [
        Kind::Exchange,
        Kind::Decision,
        Kind::Revocation,
        Kind::Configuration,
        Kind::Inquiry,
        Kind::Unauthenticated,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Exchange => "exchange",
            Kind::Decision => "decision",
            Kind::Revocation => "revocation",
            Kind::Configuration => "configuration",
            Kind::Inquiry => "inquiry",
            Kind::Unauthenticated => "unauthenticated",
        }
    }
}

/// How a thing came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Granted, allowed or done.
    Granted,
    /// Refused or denied.
    Refused,
}

impl Outcome {
    /// Both outcomes.
    pub const ALL: [Outcome; 2] = [Outcome::Granted, Outcome::Refused];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Granted => "granted",
            Outcome::Refused => "refused",
        }
    }
}

/// Proof that an event was committed. Only the store makes one; no allow that must be on record is
/// answered without it.
#[derive(Debug, PartialEq, Eq)]
pub struct Committed(Option<DecisionId>);

impl Committed {
    /// For the store, after the commit and never before.
    pub const fn by_store() -> Committed {
        Committed(None)
    }

    /// For the store, where the same question was asked before: that decision is on record, and
    /// this one is not.
    pub const fn before_by_store(decision: DecisionId) -> Committed {
        Committed(Some(decision))
    }

    /// The decision on record, if it is an earlier one.
    pub const fn repeats(&self) -> Option<DecisionId> {
        self.0
    }
}
