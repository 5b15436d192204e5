//! What an administrator decides about a change of a tool that its server made. Which change waits,
//! and what the decision does, is the engine's matter.

use super::form::{self, Read};
use crate::base::secret::Fingerprint;

/// A decision about one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeOrder {
    /// The digest of the tool as it was found: what was looked at is what is decided.
    pub digest: Fingerprint,
    /// What becomes of it.
    pub settlement: Settlement,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is in force, for what is delegated from now on.
    Accept,
    /// It is in force and harmless: older authority over the tool stays.
    AcceptWithOlder,
    /// The tool stays as it was accepted, turned off.
    Reject,
}

impl Settlement {
    /// Every one.
    pub const ALL: [Settlement; 3] =
        [Settlement::Accept, Settlement::AcceptWithOlder, Settlement::Reject];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Settlement::Accept => "accept",
            Settlement::AcceptWithOlder => "accept_with_older",
            Settlement::Reject => "reject",
        }
    }

    /// The reason of its audit event.
    pub const fn event(self) -> &'static str {
        match self {
            Settlement::Accept => "tool.accepted",
            Settlement::AcceptWithOlder => "tool.accepted_with_older",
            Settlement::Reject => "tool.rejected",
        }
    }
}

/// Reads `{digest, settlement}`.
pub fn parse(text: &str) -> Read<ChangeOrder> {
    form::document(text, |form| {
        let words = Settlement::ALL.map(|settlement| (settlement.as_str(), settlement));
        let digest = form.required("digest", |value, at| {
            let digest = form::string(value, at).map(Fingerprint::parse)?;
            digest
                .ok_or_else(|| form::problem(at, "must be the digest of a change as it is listed"))
        });
        let settlement = form.required("settlement", form::word(&words));
        Some(ChangeOrder { digest: digest?, settlement: settlement? })
    })
}
