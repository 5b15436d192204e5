//! What becomes of a judgement: journalled, or committed before anybody hears of it. Every door
//! that asks about a call comes through here.

use super::{Deputy, Fault};
use crate::{
    base::{id::DecisionId, time::Timestamp},
    engine::{
        call::{self, Asked, Decided, Held, Judged},
        snapshot::Snapshot,
    },
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
    ) -> Result<Settled<'a>, Fault> {
        Ok(match call::judge(snapshot, asked, now) {
            Judged::Inactive => Settled::Inactive,
            Judged::Live(held) => Settled::Live(held),
            Judged::Decided(decided, event) => {
                self.store().writer().journal(*event);
                Settled::Decided(decided)
            }
            Judged::Tentative(tentative) => {
                let event = tentative.event().clone();
                let committed = self.store().writer().decide(event).await?;
                Settled::Decided(Box::new(tentative.settle(committed)))
            }
        })
    }

    /// A name for the next decision.
    pub(super) fn decision_id(&self) -> Result<DecisionId, Fault> {
        Ok(DecisionId::from_bytes(self.random().bytes()?))
    }
}
