//! The lease by which one of several instances answers from memory, and the patience of one that
//! changed something. Pure: the service and the model of the protocol (`tests/it/coherence`) run
//! these very functions. The protocol and why it holds stand in `docs/REVOCATION.md`.

use std::collections::BTreeMap;

use crate::base::{
    id::WriterId,
    time::{Boot, Moment},
};

/// How long a lease lasts, in milliseconds, from before it was asked for. So long at most does a
/// revocation wait for an instance that is dead or cut off.
pub const LEASE_MS: u64 = 1_000;
/// What everybody allows for, in milliseconds: clocks whose rates are a twentieth apart, and the
/// rounding of each reading. Whoever waits for the end of a lease waits so much longer; a lease whose
/// holder's two clocks disagree by more is void.
pub const MARGIN_MS: u64 = 100;

/// The right to answer from memory: at `asked`, or later, the database said how far it was, and the
/// holder has taken in all of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    asked: Moment,
}

impl Lease {
    /// A lease on an answer of the database. `asked` was read *before* the question was sent:
    /// counted from the answer, the time that the answer took would come on top.
    pub const fn asked_at(asked: Moment) -> Lease {
        Lease { asked }
    }

    /// Whether it has not run out. The two clocks are held against each other because one alone may
    /// have stood still: a virtual machine that was suspended and goes on.
    pub const fn holds(self, now: Moment) -> bool {
        let boot = self.asked.boot.until(now.boot);
        let wall = now.wall_ms.saturating_sub(self.asked.wall_ms);
        let apart = wall.saturating_sub_unsigned(boot).unsigned_abs();
        boot < LEASE_MS && apart <= MARGIN_MS
    }
}

/// What an instance says of itself in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which run of which process.
    pub writer: WriterId,
    /// How often it has renewed its lease: never twice the same number.
    pub turn: u64,
    /// The revision up to which it has taken in everything.
    pub applied: u64,
}

/// How long each instance has not moved, as one of them saw it.
///
/// No clock of the database is asked, and none of another instance: an instance that is seen at one
/// turn holds no lease but what it asked for before, so that a lease's length later, on the clock of
/// whoever saw it, it holds none.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    seen: BTreeMap<WriterId, (u64, Boot)>,
}

impl Watch {
    /// Takes in what was read; `now` is after the answer came.
    pub fn see(&mut self, standings: &[Standing], now: Boot) {
        let before = std::mem::take(&mut self.seen);
        self.seen = standings
            .iter()
            .map(|s| match before.get(&s.writer) {
                Some(&(turn, since)) if turn == s.turn => (s.writer, (turn, since)),
                _ => (s.writer, (s.turn, now)),
            })
            .collect();
    }

    /// Whether it can hold no lease any more, because it has stood at this turn for so long.
    pub fn has_lapsed(&self, standing: &Standing, now: Boot) -> bool {
        self.seen
            .get(&standing.writer)
            .is_some_and(|&(turn, since)| turn == standing.turn && is_over(since, now))
    }
}

/// A change whose maker waits until it is in force at every instance.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// The revision that the change made.
    pub revision: u64,
    /// Read after the commit was confirmed.
    pub committed: Boot,
}

impl Pending {
    /// Whether every lease that does not rest on this change has run out.
    pub const fn is_over(self, now: Boot) -> bool {
        is_over(self.committed, now)
    }

    /// Whether this instance, as it was read after the commit, may answer without knowing it.
    pub fn awaits(self, standing: &Standing, watch: &Watch, now: Boot) -> bool {
        standing.applied < self.revision && !watch.has_lapsed(standing, now) && !self.is_over(now)
    }
}

const fn is_over(since: Boot, now: Boot) -> bool {
    since.until(now) > LEASE_MS.saturating_add(MARGIN_MS)
}
