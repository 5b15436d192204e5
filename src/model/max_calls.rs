//! `max_calls`: how many calls the holder of a token and everybody below it may make at one
//! location. Here the limits and their law, that they only shrink; what is left of them, the store
//! counts.

use crate::base::id::DelegationId;

use super::token::OurClaims;

/// The limits on the calls of one entry, outermost first. Empty: calls are not counted.
///
/// Each is counted over the subtree of the delegation that set it, so a call is taken from all of
/// them. A delegation that only inherits sets none: what is below it is counted by those above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaxCalls(Vec<Limit>);

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The delegation that set it.
    pub delegation: DelegationId,
    /// How many calls, over its subtree: at least one.
    pub calls: u32,
}

/// More calls than the limit above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoreCalls;

impl MaxCalls {
    /// The most calls that can be asked for: who wants more does not want to be counted.
    pub const MOST: u32 = 1_000_000;

    /// Limits that were read from a token: strictly shrinking, or `None`.
    pub fn new(limits: Vec<Limit>) -> Option<MaxCalls> {
        let shrinking = limits.is_sorted_by(|outer, inner| outer.calls > inner.calls);
        let counted = limits.iter().all(|limit| (1..=Self::MOST).contains(&limit.calls));
        (shrinking && counted && limits.len() <= OurClaims::MAX_PATH).then_some(MaxCalls(limits))
    }

    /// The limits, outermost first.
    pub fn limits(&self) -> &[Limit] {
        &self.0
    }

    /// The narrowest limit: what the entry says as `max_calls`.
    pub fn narrowest(&self) -> Option<u32> {
        self.0.last().map(|limit| limit.calls)
    }

    /// What `delegation` has below these: the same where it asks for nothing or for as much, one
    /// limit more where it asks for fewer.
    pub fn narrowed(
        &self,
        delegation: DelegationId,
        asked: Option<u32>,
    ) -> Result<MaxCalls, MoreCalls> {
        match (asked, self.narrowest()) {
            (None, _) => Ok(self.clone()),
            (Some(calls), Some(held)) if calls > held => Err(MoreCalls),
            (Some(calls), Some(held)) if calls == held => Ok(self.clone()),
            (Some(calls), Some(_) | None) => {
                let mut limits = self.0.clone();
                limits.push(Limit { delegation, calls });
                MaxCalls::new(limits).ok_or(MoreCalls)
            }
        }
    }
}
