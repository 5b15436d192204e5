//! What becomes of a judgement: journalled, or committed before anybody hears of it. Every door
//! that asks about a call comes through here.

use super::{Deputy, Failure, Fault};
use crate::{
    base::{id::DecisionId, time::Timestamp},
    engine::{
        call::{self, Asked, Decided, Held, Judged, Tentative},
        snapshot::Snapshot,
    },
    store,
};

/// A judgement that stands and may be told.
#[derive(Debug)]
pub enum Settled<'a> {
    /// Nothing that this caller may know.
    Inactive,
    /// A live token; no call was named.
    Live(Held<'a>),
    /// A decision, on record as far as it must be.
    Decided(Box<Decided<'a>>),
}

impl Deputy {
    /// Judges what is asked and puts it on record.
    pub(super) async fn decide<'a>(
        &self,
        snapshot: &'a Snapshot,
        asked: &Asked<'a>,
        now: Timestamp,
    ) -> Result<Settled<'a>, Failure> {
        Ok(match call::judge(snapshot, asked, now) {
            Judged::Inactive => Settled::Inactive,
            Judged::Live(held) => Settled::Live(held),
            Judged::Decided(decided, event) => {
                self.store().writer().journal(*event);
                Settled::Decided(decided)
            }
            Judged::Tentative(tentative) => {
                // In a box of its own, as are other seldom steps of a call: what a request holds
                // while it waits is copied more than once.
                Settled::Decided(Box::new(Box::pin(self.commit_decision(*tentative)).await?))
            }
        })
    }

    /// Commits an allow with all that it uses up. Where that is used up already, it is a denial.
    async fn commit_decision<'a>(&self, allow: Tentative<'a>) -> Result<Decided<'a>, Failure> {
        let (event, effects) = (allow.event().clone(), allow.effects().clone());
        match self.store().writer().decide(event, effects).await? {
            store::Decided::Recorded(committed) => Ok(allow.settle(&committed)),
            store::Decided::Refused(conflict) => match allow.refuse(conflict) {
                Ok((denial, event)) => {
                    self.store().writer().journal(event);
                    Ok(denial)
                }
                Err(refusal) => Err(Failure::Refused(refusal, self.error_id()?)),
            },
        }
    }

    /// A name for the next decision. It begins with the moment that the event will bear, not with a
    /// later one: from there on the decision is looked for.
    pub(super) fn decision_id(&self, now: Timestamp) -> Result<DecisionId, Fault> {
        Ok(DecisionId::at(now, self.random().bytes()?))
    }
}
