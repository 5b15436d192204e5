//! Sorting what came in: what can share a commit, and who is answered when it is made.

use std::collections::BTreeMap;

use crate::{
    base::id::DecisionId,
    model::{
        delegation::Receipt,
        effect::{Conflict, OnceKind},
        event::{Committed, Event},
        subject::Subject,
    },
};

use super::{
    super::{
        chain::Chain,
        commit::{Draft, Sent},
        effects::{Admission, Door, Found},
        error::Error,
        rows::number,
    },
    Change, Configure, Decide, Decided, Delegated, Erased, Mint, NewCheckpoint, Reply, Revoke,
    SweepUntil, Swept, answer,
};

/// A batch, sorted. Order does not matter: all of it was asked for at the same time.
#[derive(Default)]
pub(super) struct Sorted {
    /// One for each revision that delegations were judged at; decisions go with the first.
    pub appends: Vec<Work>,
    pub revokes: Vec<Revoke>,
    pub configures: Vec<Configure>,
    pub sweeps: Vec<(SweepUntil, Reply<Swept>)>,
    pub checkpoints: Vec<(Box<NewCheckpoint>, Reply<bool>)>,
    pub raises: Vec<(u64, Reply<()>)>,
    pub erasures: Vec<(Subject, Reply<Erased>)>,
    pub flushes: Vec<Reply<()>>,
    pub closing: Vec<Reply<()>>,
}

/// What shares one commit: delegations judged at one revision, decisions, journalled events.
#[derive(Default)]
pub(super) struct Work {
    pub mints: Vec<Mint>,
    pub decided: Vec<Decide>,
    pub journal: Vec<Event>,
    /// How often it was tried again because the chain stood elsewhere, or another instance was
    /// faster.
    pub tries: usize,
    /// Whether no two of its changes want the same thing that may happen once, or the database is
    /// to say who gets it.
    pub sifted: bool,
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
                Change::Checkpoint { new, reply } => sorted.checkpoints.push((new, reply)),
                Change::RaiseTo { revision, reply } => sorted.raises.push((revision, reply)),
                Change::Erase { subject, reply } => sorted.erasures.push((subject, reply)),
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
    pub async fn draft<'a>(&self, mut draft: Draft<'_, 'a>) -> Result<(Sent<'a>, Chain), Error> {
        draft.journal(&self.journal).await?;
        draft.events(self.decided.iter().filter_map(|decided| decided.event.as_ref()), true)?;
        let free = draft.chain().clone();
        draft.events(self.mints.iter().map(|mint| &mint.event), true)?;
        for mint in &self.mints {
            draft.delegation(&mint.delegation)?;
        }
        let of_mints = self.mints.iter().map(|mint| &mint.effects);
        for effects in self.decided.iter().map(|decided| &decided.effects).chain(of_mints) {
            draft.effects(effects);
        }
        Ok((draft.finish(), free))
    }

    /// Whether anything is used up.
    pub fn has_effects(&self) -> bool {
        self.mints.iter().any(|mint| !mint.effects.is_empty())
            || self.decided.iter().any(|decided| !decided.effects.is_empty())
    }

    /// Keeps what can be committed together, with the journal; answers those who cannot have what
    /// they want; gives back those who must see first what the others leave.
    pub fn sift(&mut self, found: Option<&Found>) -> Work {
        let mut door = Door::new(found);
        let mut later = Work { sifted: true, ..Work::default() };
        self.sifted = true;
        for decide in std::mem::take(&mut self.decided) {
            match door.admit(&decide.effects) {
                Admission::Fits => self.decided.push(decide),
                Admission::Later => later.decided.push(decide),
                Admission::Repeats(decision) => decide.repeat(decision, &mut later),
                Admission::Refused(why) => answer(decide.reply, Ok(Decided::Refused(why))),
            }
        }
        for mint in std::mem::take(&mut self.mints) {
            match door.admit(&mint.effects) {
                Admission::Fits => self.mints.push(mint),
                Admission::Later => later.mints.push(mint),
                Admission::Refused(why) => answer(mint.reply, Ok(Delegated::Refused(why))),
                // No delegation is a repetition of anything.
                Admission::Repeats(_) => {
                    let why = Conflict::Replayed(OnceKind::Call);
                    answer(mint.reply, Ok(Delegated::Refused(why)));
                }
            }
        }
        later
    }

    /// Tells the delegations that they must be judged again.
    pub fn moved(&mut self, now: &Result<u64, Error>) {
        for mint in std::mem::take(&mut self.mints) {
            answer(mint.reply, now.clone().map(|revision| Delegated::Moved { revision }));
        }
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
            let committed =
                decided.repeats.map_or_else(Committed::by_store, Committed::before_by_store);
            answer(decided.reply, Ok(Decided::Recorded(committed)));
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

impl Decide {
    /// Nothing is recorded again or used up twice; what is left to be used up is, with `later`.
    fn repeat(mut self, decision: DecisionId, later: &mut Work) {
        self.event = None;
        self.repeats = Some(decision);
        self.effects = self.effects.of_repetition();
        if self.effects.is_empty() {
            let committed = Committed::before_by_store(decision);
            answer(self.reply, Ok(Decided::Recorded(committed)));
        } else {
            later.decided.push(self);
        }
    }
}
