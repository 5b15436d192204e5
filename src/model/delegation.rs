//! The record of one issued token: a node in a tree of delegations.

use std::sync::Arc;

use crate::base::id::{ClientId, DelegationId};

use super::{subject::Subject, token::OurClaims};

/// A delegation that is about to be recorded, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct Delegation {
    /// Everything its token says.
    pub claims: OurClaims,
    /// What it grew from.
    pub source: Source,
    /// The claims exactly as they are signed into the token.
    pub record: Arc<str>,
}

/// What a delegation grew from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A foreign token: this is a root.
    Foreign,
    /// The agent itself, by `client_credentials`: this is a root.
    Own,
    /// Another delegation.
    Delegation(DelegationId),
}

impl Delegation {
    /// The originating user.
    pub fn subject(&self) -> &Subject {
        &self.claims.subject
    }

    /// The client that holds the token.
    pub fn holder(&self) -> &ClientId {
        &self.claims.client
    }

    /// The parent's id; `None` for a root.
    pub fn parent(&self) -> Option<DelegationId> {
        match self.source {
            Source::Foreign | Source::Own => None,
            Source::Delegation(id) => Some(id),
        }
    }
}

/// Proof that a delegation and its event were committed. Only the store makes one; nothing is
/// handed out without it.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt(DelegationId);

impl Receipt {
    /// For the store, after the commit and never before.
    pub const fn committed(id: DelegationId) -> Receipt {
        Receipt(id)
    }

    /// What was committed.
    pub const fn delegation(&self) -> DelegationId {
        self.0
    }
}
