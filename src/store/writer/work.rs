//! Sorting what came in: what can share a commit, and who is answered when it is made.

use std::collections::BTreeMap;

use crate::model::{
    delegation::Receipt,
    event::{Committed, Event},
};

use super::{
    super::{
        chain::Chain,
        commit::{Draft, Sent},
        error::Error,
        rows::number,
    },
    Change, Configure, Decided, Delegated, Mint, Reply, Revoke, SweepUntil, Swept, answer,
};

/// A batch, sorted. Order does not matter: all of it was asked for at the same time.
#[derive(Default)]
pub(super) struct Sorted {
    /// One for each revision that delegations were judged at; decisions go with the first.
    pub appends: Vec<Work>,
    pub revokes: Vec<Revoke>,
    pub configures: Vec<Configure>,
    pub sweeps: Vec<(SweepUntil, Reply<Swept>)>,
    pub flushes: Vec<Reply<()>>,
    pub closing: Vec<Reply<()>>,
}

/// What shares one commit: delegations judged at one revision, decisions, journalled events.
#[derive(Default)]
pub(super) struct Work {
    pub mints: Vec<Mint>,
    pub decided: Vec<Decided>,
    pub journal: Vec<Event>,
    /// How often it was tried again because the chain stood elsewhere.
    pub resyncs: usize,
}

impl Sorted {
    /// Sorts and empties `batch`.
    pub fn of(batch: &mut Vec<Change>) -> Sorted {
        let mut sorted = Sorted::default();
        let mut mints: BTreeMap<u64, Vec<Mint>> = BTreeMap::new();
        let mut decided = Vec::new();
        for change in batch.drain(..) {
            match change {
                Change::Delegate(mint) => {
                    mints.entry(mint.delegation.claims.revision).or_default().push(*mint);
                }
                Change::Decide(one) => decided.push(*one),
                Change::Revoke(revoke) => sorted.revokes.push(*revoke),
                Change::Configure(configure) => sorted.configures.push(*configure),
                Change::Sweep { until, reply } => sorted.sweeps.push((until, reply)),
                Change::Flush { reply } => sorted.flushes.push(reply),
                Change::Close { reply } => sorted.closing.push(reply),
            }
        }
        // The newest revision first: it is the one that is likely to stand.
        let works = mints.into_values().rev().map(|mints| Work { mints, ..Work::default() });
        sorted.appends = works.collect();
        match sorted.appends.first_mut() {
            Some(first) => first.decided = decided,
            None if decided.is_empty() => {}
            None => sorted.appends.push(Work { decided, ..Work::default() }),
        }
        sorted
    }
}

impl Work {
    /// How many changes and events.
    pub fn len(&self) -> usize {
        let changes = self.mints.len().saturating_add(self.decided.len());
        changes.saturating_add(self.journal.len())
    }

    /// The revision its delegations were judged at; without any, one that never is.
    pub fn revision(&self) -> i64 {
        self.mints.first().map_or(-1, |mint| number(mint.delegation.claims.revision))
    }

    /// The commit, and the chain up to the first link that depends on the revision.
    pub fn draft(&self, mut draft: Draft<'_>) -> Result<(Sent, Chain), Error> {
        draft.journal(self.journal.iter())?;
        for decided in &self.decided {
            draft.event(&decided.event)?;
        }
        let free = draft.chain().clone();
        for mint in &self.mints {
            draft.delegation(&mint.delegation, &mint.event)?;
        }
        Ok((draft.finish()?, free))
    }

    /// Each change and event on its own.
    pub fn part(self) -> Vec<Work> {
        let mints = self.mints.into_iter().map(|m| Work { mints: vec![m], ..Work::default() });
        let decided =
            self.decided.into_iter().map(|d| Work { decided: vec![d], ..Work::default() });
        let journal =
            self.journal.into_iter().map(|e| Work { journal: vec![e], ..Work::default() });
        mints.chain(decided).chain(journal).collect()
    }

    /// Tells everybody that it is committed, or that the delegations are not because the revision
    /// is `moved` now.
    pub fn done(self, moved: Option<&Result<u64, Error>>) {
        for decided in self.decided {
            answer(decided.reply, Ok(Committed::by_store()));
        }
        for mint in self.mints {
            let delegated = match moved {
                None => mint.delegation.claims.id().map(Receipt::committed).map_or(
                    Err(Error::Corrupt { table: "delegation", what: "it has no id" }),
                    |receipt| Ok(Delegated::Recorded(receipt)),
                ),
                Some(Ok(revision)) => Ok(Delegated::Moved { revision: *revision }),
                Some(Err(error)) => Err(error.clone()),
            };
            answer(mint.reply, delegated);
        }
    }

    /// Tells everybody that it failed; what was only journalled comes back.
    pub fn fail(self, error: &Error) -> Vec<Event> {
        for decided in self.decided {
            answer(decided.reply, Err(error.clone()));
        }
        for mint in self.mints {
            answer(mint.reply, Err(error.clone()));
        }
        self.journal
    }
}
