//! What operators do, one short function per use case: read the document, check it among the
//! others, write it together with its event, apply it here, answer. Nothing here knows HTTP, and
//! no secret is written anywhere but as a hash.

mod blast;
mod changes;
mod clients;
mod documents;
pub mod erase;
mod explain;
pub mod export;
mod keys;
mod operators;
mod policies;
mod records;
mod replay;
mod revocations;
mod simulate;
mod tools;

pub use self::{
    blast::Radius,
    changes::{Expected, Written},
    clients::{NewSecret, SecretSummary},
    documents::{DocumentPage, Kind, Sent, Stored, Whole},
    explain::{Again, Explained, Gone},
    keys::{KeyState, KeyView},
    operators::NewToken,
    policies::{ActivePolicies, PlacedFault, PolicyVersion},
    records::DelegationView,
    replay::{Counts, Example, Group, Replay},
    revocations::Order,
    simulate::Simulation,
    tools::{Imported, ToolChange},
};
use super::{Deputy, Fault};
use crate::{
    base::secret::{Fingerprint, Secret},
    model::policy::Fault as PolicyFault,
    registry::{Problem, operator::Operator},
    store,
};

/// Why an operator's request was not carried out. Operators may read everything in it.
#[derive(Debug)]
pub enum Refused {
    /// No such thing: what was looked for.
    Missing(String),
    /// It is there already.
    Exists(String),
    /// The version that the caller saw is not the current one.
    Stale {
        /// The current version.
        current: u64,
    },
    /// The state does not allow it: what is in the way, and the cure.
    Conflict(String),
    /// The document is refused, with every problem of it.
    Invalid(Vec<Problem>),
    /// The policy set is refused, with every fault of it.
    Faulty(Vec<PlacedFault>),
    /// A policy set does not go with the tools.
    Unfit {
        /// Which, and when.
        what: String,
        /// What to do about it.
        cure: String,
        /// Why.
        faults: Vec<PolicyFault>,
    },
    /// Ours.
    Fault(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Refused::Fault(fault)
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Refused::Fault(error.into())
    }
}

impl From<Vec<Problem>> for Refused {
    fn from(problems: Vec<Problem>) -> Self {
        Refused::Invalid(problems)
    }
}

impl Deputy {
    /// The operator that this admin token belongs to. Found by its fingerprint, so that no token
    /// is ever stored or compared byte by byte.
    pub fn operator(&self, token: &Secret<String>) -> Option<Operator> {
        let fingerprint = Fingerprint::of(token.expose().as_bytes());
        self.snapshot().config.operator(&fingerprint).cloned()
    }
}

/// Refuses a document that has problems.
fn refuse(problems: Vec<Problem>) -> Result<(), Refused> {
    if problems.is_empty() { Ok(()) } else { Err(Refused::Invalid(problems)) }
}

/// One problem with a document.
fn problem(field: &str, message: impl Into<String>) -> Vec<Problem> {
    vec![Problem { field: field.to_owned(), message: message.into() }]
}
