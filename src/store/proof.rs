//! The proof that nobody touched the audit log: no link was changed, lost, moved or cut off, no chain
//! removed, and every subject and private part is what its record commits to. Pure: it is fed the
//! log step by step, from the database or from an export, and stops at the first break.
//!
//! A chain shows a change in its middle. That its end was cut off, or the whole of it removed, the
//! signed checkpoints show, each of which names the one before it.

use std::collections::{HashMap, HashSet};

use super::{
    chain::Chain,
    persons::SubjectRow,
    record::EventRecord,
    rows::{count, number},
    step::{Link, Step},
};
use crate::{
    base::{compose::ObjectWriter, secret::Fingerprint, time::Timestamp},
    model::checkpoint::{Checkpoint, Place},
};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainReport {
    /// Chains read.
    pub writers: u64,
    /// Links that are in order.
    pub links: u64,
    /// Events in them.
    pub events: u64,
    /// Events whose private part was erased.
    pub erased: u64,
    /// Checkpoints that are in order.
    pub checkpoints: u64,
    /// The number of the last of them; 0 if there is none.
    pub last_checkpoint: u64,
    /// When the last of them was signed.
    pub covered_until: Option<Timestamp>,
    /// Links that are younger than it: nothing shows yet if they are cut off.
    pub uncovered: u64,
    /// Chains whose oldest links were deleted because their time was over.
    pub shortened: u64,
    /// The first thing that is not in order; nothing behind it was read.
    pub broken: Option<Broken>,
}

/// Where the log is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// At which place.
    pub place: BrokenPlace,
    /// In what way.
    pub why: Why,
}

impl ChainReport {
    /// The report as an object of JSON, to which the teller may add; `problem` is the first thing
    /// that is wrong, [`Broken::to_json`] or what only the teller can see.
    pub fn write(&self, problem: Option<&str>) -> ObjectWriter {
        let until = self.covered_until.map(|at| at.epoch_s().to_string());
        ObjectWriter::new()
            .flag("ok", problem.is_none())
            .count("chains", self.writers)
            .count("links", self.links)
            .count("events", self.events)
            .count("erased", self.erased)
            .count("checkpoints", self.checkpoints)
            .maybe_raw("covered_until", until.as_deref())
            .count("uncovered_links", self.uncovered)
            .count("shortened_chains", self.shortened)
            .maybe_raw("first_problem", problem)
    }
}

impl Broken {
    /// Where and in what way, as an object of JSON.
    pub fn to_json(&self) -> String {
        let place = match &self.place {
            BrokenPlace::Link { writer, seq } => {
                ObjectWriter::new().text("writer", writer).count("link", *seq)
            }
            BrokenPlace::Checkpoint(n) => ObjectWriter::new().count("checkpoint", *n),
        };
        place.text("problem", self.problem()).finish()
    }

    /// In words.
    pub const fn problem(&self) -> &'static str {
        match (&self.place, self.why) {
            (BrokenPlace::Link { .. }, Why::Missing) => "a link is missing",
            (BrokenPlace::Checkpoint(_), Why::Missing) => "a checkpoint is missing",
            (BrokenPlace::Link { .. }, Why::Displaced) => {
                "a link does not follow the one before it"
            }
            (BrokenPlace::Checkpoint(_), Why::Displaced) => {
                "a checkpoint does not follow the one before it"
            }
            (_, Why::Altered) => "a record was altered",
            (_, Why::PrivateAltered) => "the private part of an event was altered",
            (_, Why::CutOff) => "the chain was cut off here: a checkpoint knows later links",
            (_, Why::Replaced) => "a checkpoint knows another link here",
            (_, Why::Forged) => "no key of ours signed this checkpoint",
            (_, Why::NotTheNoted) => "it is not the checkpoint that was noted",
        }
    }
}

/// A place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokenPlace {
    /// A link of a chain.
    Link {
        /// Whose chain.
        writer: String,
        /// Which link.
        seq: u64,
    },
    /// A checkpoint, by its number.
    Checkpoint(u64),
}

/// In what way a place is not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not there, but a later one is.
    Missing,
    /// It does not follow the one before it.
    Displaced,
    /// Its record or its columns are not what was chained.
    Altered,
    /// A private part is not what the record commits to.
    PrivateAltered,
    /// The chain ended here, and a checkpoint says that it went on.
    CutOff,
    /// A checkpoint says that the chain had another link here.
    Replaced,
    /// Nobody of ours signed it.
    Forged,
    /// It is not the one that was noted elsewhere, or that one is not there.
    NotTheNoted,
}

/// A proof under way.
#[derive(Debug, Default)]
pub struct Proof {
    chains: HashMap<String, Chain>,
    /// Behind which link chains begin, where it is not the first.
    begins: HashMap<String, i64>,
    /// Where chains are said to begin, until a checkpoint says so too.
    unproved_bases: HashMap<String, Place>,
    /// The first checkpoint that is here, where it is not number 1, until one says so.
    unproved_first: Option<u64>,
    /// The number of the last checkpoint, and its hash.
    last: Option<(u64, Fingerprint)>,
    /// A checkpoint that somebody noted, by its number and hash; until it is met.
    noted: Option<(u64, Fingerprint)>,
    report: ChainReport,
}

impl Proof {
    /// A proof that this log has the checkpoint that somebody noted: its number, and itself as it
    /// was signed.
    #[must_use]
    pub fn of_log_with(mut self, n: u64, jws: &str) -> Proof {
        self.noted = Some((n, Fingerprint::of(jws.as_bytes())));
        self
    }

    /// Takes one step; whether everything is in order so far. `opens` gives what a checkpoint says
    /// if one of our keys signed it.
    pub fn take(&mut self, step: &Step, opens: &dyn Fn(&str) -> Option<Checkpoint>) -> bool {
        if self.report.broken.is_none() {
            self.report.broken = match step {
                Step::Base { writer, seq, hash } => self.base(writer, *seq, *hash),
                Step::Link(link) => self.link(link),
                Step::Checkpoint(jws) => self.checkpoint(jws, opens),
            };
        }
        self.report.broken.is_none()
    }

    /// What was found, now that the log is at its end.
    pub fn end(mut self) -> ChainReport {
        self.report.writers = count(number(self.chains.len())).unwrap_or(0);
        if self.report.broken.is_none() {
            let base = self.unproved_bases.into_values().min_by_key(|base| base.writer.clone());
            self.report.broken = match (self.unproved_first, base, self.noted) {
                (Some(_), _, _) => Some(at_checkpoint(1, Why::Missing)),
                (None, Some(base), _) => Some(at_link(&base.writer, base.seq, Why::Missing)),
                (None, None, Some((n, _))) => Some(at_checkpoint(n, Why::NotTheNoted)),
                (None, None, None) => None,
            };
        }
        self.report
    }

    fn base(&mut self, writer: &str, seq: u64, hash: Fingerprint) -> Option<Broken> {
        let begun = Chain::of(writer).at(number(seq), hash.as_bytes())?;
        if self.chains.insert(writer.to_owned(), begun).is_some() {
            return Some(at_link(writer, seq, Why::Displaced));
        }
        self.begins.insert(writer.to_owned(), number(seq));
        let place = Place { writer: writer.into(), seq, hash };
        self.unproved_bases.insert(writer.to_owned(), place);
        self.report.shortened = self.report.shortened.saturating_add(1);
        None
    }

    fn link(&mut self, link: &Link) -> Option<Broken> {
        let writer = &link.row.writer;
        if !self.chains.contains_key(writer) {
            self.chains.insert(writer.clone(), Chain::of(writer));
        }
        let chain = self.chains.get_mut(writer)?;
        let seq = count(chain.seq().saturating_add(1)).unwrap_or(0);
        let events = match chain.follow(&link.row) {
            Ok(events) => events,
            Err(why) => return Some(at_link(writer, seq, why)),
        };
        let Some(erased) = erased(link, &events) else {
            return Some(at_link(writer, seq, Why::PrivateAltered));
        };
        let report = &mut self.report;
        report.links = report.links.saturating_add(1);
        report.uncovered = report.uncovered.saturating_add(1);
        report.events = report.events.saturating_add(count(number(events.len())).unwrap_or(0));
        report.erased = report.erased.saturating_add(erased);
        None
    }

    fn checkpoint(
        &mut self,
        jws: &str,
        opens: &dyn Fn(&str) -> Option<Checkpoint>,
    ) -> Option<Broken> {
        let (next, previous) = match &self.last {
            None => (1, None),
            Some((n, hash)) => (n.saturating_add(1), Some(*hash)),
        };
        let Some(said) = opens(jws) else { return Some(at_checkpoint(next, Why::Forged)) };
        let next = if self.last.is_none() && said.n > 1 {
            // Older ones are said to be deleted by one that is still to come, or by nobody.
            self.unproved_first = Some(said.n);
            said.n
        } else if said.n != next {
            return Some(at_checkpoint(next, Why::Missing));
        } else if said.previous != previous {
            return Some(at_checkpoint(next, Why::Displaced));
        } else {
            next
        };
        self.unproved_first.take_if(|first| said.begins.is_some_and(|begins| *first <= begins));
        let hash = Fingerprint::of(jws.as_bytes());
        if let Some((_, noted)) = self.noted.take_if(|(n, _)| *n == next)
            && noted != hash
        {
            return Some(at_checkpoint(next, Why::NotTheNoted));
        }
        for base in &said.bases {
            let proved = self.unproved_bases.get(&*base.writer) == Some(base);
            if proved {
                self.unproved_bases.remove(&*base.writer);
            }
        }
        if let Some(broken) = said.heads.iter().find_map(|head| self.head(head)) {
            return Some(broken);
        }
        self.last = Some((next, hash));
        self.report.checkpoints = self.report.checkpoints.saturating_add(1);
        self.report.last_checkpoint = next;
        self.report.covered_until = Some(said.at);
        self.report.uncovered = 0;
        None
    }

    /// A checkpoint says that a chain has come so far.
    fn head(&self, head: &Place) -> Option<Broken> {
        let seq = number(head.seq);
        let Some(chain) = self.chains.get(&*head.writer) else {
            return Some(at_link(&head.writer, 1, Why::CutOff));
        };
        if chain.seq() < seq {
            let next = count(chain.seq().saturating_add(1)).unwrap_or(0);
            return Some(at_link(&head.writer, next, Why::CutOff));
        }
        if chain.seq() > seq {
            // What a chain that begins later had before, nobody can tell any more.
            let begins_later = self.begins.get(&*head.writer).is_some_and(|begin| *begin > seq);
            return (!begins_later).then(|| at_link(&head.writer, head.seq, Why::Displaced));
        }
        let there = Chain::of(&head.writer).at(seq, head.hash.as_bytes());
        (there.as_ref() != Some(chain)).then(|| at_link(&head.writer, head.seq, Why::Replaced))
    }
}

/// How many events of a link lost what is personal; `None` if one has something else than it
/// commits to, or something stands beside the link that belongs to no event.
fn erased(link: &Link, events: &[EventRecord<'_>]) -> Option<u64> {
    let subjects: HashMap<&str, &SubjectRow> =
        link.subjects.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut private: HashMap<i64, _> = link.private.iter().map(|row| (row.n, row)).collect();
    let mut erased = 0_u64;
    for (n, event) in events.iter().enumerate() {
        let Some(who) = event.who.as_deref() else { continue };
        let part = event.private.as_deref().map(|tag| (tag, private.remove(&number(n))));
        let Some(subject) = subjects.get(who) else {
            erased = erased.saturating_add(1);
            continue;
        };
        let holds = match part {
            None => true,
            Some((tag, Some(row))) => row.key == who && subject.committed_to(tag, &row.body),
            Some((_, None)) => {
                erased = erased.saturating_add(1);
                true
            }
        };
        if !holds || !subject.is_itself() {
            return None;
        }
    }
    private.is_empty().then_some(erased)
}

/// The ids of the keys that the events of a record speak of.
pub(super) fn keys<'e>(events: &'e [EventRecord<'_>]) -> HashSet<&'e str> {
    events.iter().filter_map(|event| event.who.as_deref()).collect()
}

fn at_link(writer: &str, seq: u64, why: Why) -> Broken {
    Broken { place: BrokenPlace::Link { writer: writer.to_owned(), seq }, why }
}

fn at_checkpoint(n: u64, why: Why) -> Broken {
    Broken { place: BrokenPlace::Checkpoint(n), why }
}
