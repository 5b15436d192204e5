//! Effects: what a judged request uses up. Things that may happen once, and calls taken from
//! budgets. Pure values; whether there is still something to use up, only the store can say.
//!
//! A verb lists the effects of its tentative answer. They are committed with the answer's event,
//! all or none, and without that commit there is no answer: see `store::writer`.

use crate::base::{
    id::{ClientId, DecisionId, DelegationId},
    secret::Fingerprint,
    time::Timestamp,
};

use super::uri::Uri;

/// Everything that one change uses up, all or none. Empty for most: then nothing is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// What may happen once.
    pub once: Vec<Once>,
    /// The budgets that one call is taken from: the token's own and those of its ancestors.
    pub spend: Vec<Spend>,
    /// The budgets that a new delegation brings into being.
    pub open: Vec<Budget>,
}

/// The kinds of things that may happen once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnceKind {
    /// The `jti` of a client assertion. RFC 7523 section 3.
    Assertion,
    /// The `jti` of a DPoP proof. RFC 9449 section 11.1.
    Proof,
    /// The `call_id` of one execution, which may be asked about again with the same question.
    Call,
}

/// One thing that may happen once. Its name is kept as a fingerprint only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    kind: OnceKind,
    key: Fingerprint,
    until: Timestamp,
    asked: Option<Asked>,
}

/// What was asked under a `call_id`, and how it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The fingerprint of the tool and its arguments.
    pub question: Fingerprint,
    /// The decision that allowed it.
    pub decision: DecisionId,
}

/// One call, to be taken from a budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spend {
    /// Whose budget.
    pub delegation: DelegationId,
    /// For calls at which location.
    pub location: Uri,
}

/// How many calls a delegation and all below it may make at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whose.
    pub delegation: DelegationId,
    /// Where.
    pub location: Uri,
    /// How many calls.
    pub max_calls: u32,
    /// The end of the delegation's life, after which nobody asks.
    pub until: Timestamp,
}

/// Why effects could not be had. Then nothing of the change was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It happened before; for a `call_id`: with another question.
    Replayed(OnceKind),
    /// This delegation's budget has no call left.
    Exhausted(DelegationId),
}

impl Effects {
    /// The most effects of one change: a call id, a proof and an assertion, with a budget for each
    /// link of the longest path; or a budget for each location of a token. The store takes no more.
    pub const MAX: usize = 24;

    /// Only this, once.
    pub fn once(once: Once) -> Effects {
        Effects { once: vec![once], ..Effects::default() }
    }

    /// Whether nothing is used up.
    pub const fn is_empty(&self) -> bool {
        self.once.is_empty() && self.spend.is_empty() && self.open.is_empty()
    }

    /// How many effects.
    pub const fn len(&self) -> usize {
        self.once.len().saturating_add(self.spend.len()).saturating_add(self.open.len())
    }

    /// What remains to be used up by a question that was answered before: an assertion proves its
    /// client anew each time, all else was used up then.
    #[must_use]
    pub fn of_repetition(self) -> Effects {
        let mut once = self.once;
        once.retain(|once| once.kind == OnceKind::Assertion);
        Effects { once, ..Effects::default() }
    }
}

impl OnceKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            OnceKind::Assertion => "client_assertion",
            OnceKind::Proof => "dpop_proof",
            OnceKind::Call => "call",
        }
    }
}

impl Once {
    /// The `jti` of an assertion of `client`, which is not accepted from `until` on, leeway
    /// included.
    pub fn assertion(client: &ClientId, jti: &str, until: Timestamp) -> Once {
        let key = fingerprint(&[client.as_str().as_bytes(), jti.as_bytes()]);
        Once { kind: OnceKind::Assertion, key, until, asked: None }
    }

    /// The `jti` of a proof by the key with this RFC 7638 thumbprint, which is not accepted from
    /// `until` on, leeway included.
    pub fn proof(thumbprint: &str, jti: &str, until: Timestamp) -> Once {
        let key = fingerprint(&[thumbprint.as_bytes(), jti.as_bytes()]);
        Once { kind: OnceKind::Proof, key, until, asked: None }
    }

    /// The `call_id` of a call by the token of `delegation`, whose life ends at `until`.
    pub fn call(delegation: DelegationId, call_id: &str, asked: Asked, until: Timestamp) -> Once {
        let key = fingerprint(&[delegation.as_bytes(), call_id.as_bytes()]);
        Once { kind: OnceKind::Call, key, until, asked: Some(asked) }
    }

    /// Which kind of thing.
    pub const fn kind(&self) -> OnceKind {
        self.kind
    }

    /// Its name among things of its kind.
    pub const fn key(&self) -> Fingerprint {
        self.key
    }

    /// Until when it must be remembered.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// What was asked; only for calls.
    pub const fn asked(&self) -> Option<Asked> {
        self.asked
    }
}

/// Over the parts with their lengths, so that no two lists of parts are one text.
pub fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut text = Vec::new();
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        text.extend_from_slice(&length.to_be_bytes());
        text.extend_from_slice(part);
    }
    Fingerprint::of(&text)
}
