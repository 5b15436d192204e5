//! The proof that nobody touched the audit log: no link was changed, lost or moved, and every
//! subject and private part is what its record commits to.
//!
//! A chain shows a change in the middle. That its end was cut off, or a whole chain removed, only a
//! signed checkpoint over all chain heads can show.

use std::collections::{HashMap, HashSet};

use super::{
    chain::{Chain, PrivateRow},
    connect::Pool,
    error::Error,
    events,
    record::{EventRecord, SubjectRow},
    rows::{count, number},
};

/// Links read at a time: at most 16 MiB.
const PAGE: i64 = 256;

/// What [`super::Store::verify_chain`] found.
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
    /// The first thing that is not in order; nothing behind it was read.
    pub broken: Option<Broken>,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Whose chain.
    pub writer: String,
    /// At which link.
    pub seq: u64,
    /// In what way.
    pub why: Why,
}

/// In what way a link is not in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The link is not there, but a later one is.
    Missing,
    /// It does not follow the link before it.
    Displaced,
    /// Its record or its columns are not what was chained.
    Altered,
    /// A private part is not what the record commits to.
    PrivateAltered,
}

/// The events of one link that is in order.
struct Followed<'l> {
    seq: i64,
    events: Vec<EventRecord<'l>>,
}

/// What stands beside the links of one page.
struct Aside {
    subjects: HashMap<String, SubjectRow>,
    private: HashMap<(i64, i64), PrivateRow>,
}

/// Proves every chain, oldest writer first; stops at the first break.
pub(super) async fn verify(pool: &Pool) -> Result<ChainReport, Error> {
    let mut report = ChainReport::default();
    for writer in pool.writers().await? {
        let broken = verify_one(pool, &writer, &mut report).await?;
        report.writers = report.writers.saturating_add(1);
        if let Some((seq, why)) = broken {
            let seq = count(seq).unwrap_or(0);
            report.broken = Some(Broken { writer, seq, why });
            break;
        }
    }
    Ok(report)
}

async fn verify_one(
    pool: &Pool,
    writer: &str,
    report: &mut ChainReport,
) -> Result<Option<(i64, Why)>, Error> {
    let mut chain = Chain::of(writer);
    loop {
        let from = chain.seq().saturating_add(1);
        let links = pool.chain_links(writer, from, PAGE).await?;
        let Some(last) = links.last() else { return Ok(None) };
        let private = pool.chain_private(writer, from, last.seq).await?;
        let mut followed = Vec::with_capacity(links.len());
        let broken = links.iter().find_map(|link| {
            let seq = chain.seq().saturating_add(1);
            let events = chain.follow(link).map_err(|why| (seq, why));
            events.map(|events| followed.push(Followed { seq, events })).err()
        });
        let mut aside = Aside::of(pool, &followed, private).await?;
        for link in &followed {
            let Some(erased) = aside.erased(link) else {
                return Ok(Some((link.seq, Why::PrivateAltered)));
            };
            report.links = report.links.saturating_add(1);
            report.events =
                report.events.saturating_add(count(number(link.events.len())).unwrap_or(0));
            report.erased = report.erased.saturating_add(erased);
        }
        if let Some(broken) = broken.or_else(|| aside.left()) {
            return Ok(Some(broken));
        }
    }
}

impl Aside {
    async fn of(
        pool: &Pool,
        links: &[Followed<'_>],
        private: Vec<PrivateRow>,
    ) -> Result<Aside, Error> {
        let events = links.iter().flat_map(|link| &link.events);
        let keys: HashSet<&str> = events.filter_map(|event| event.who.as_deref()).collect();
        let subjects = events::subjects(pool, keys).await?;
        let private = private.into_iter().map(|row| ((row.seq, row.n), row)).collect();
        Ok(Aside { subjects, private })
    }

    /// How many events of a link lost what is personal; `None` if one has something else than it
    /// commits to.
    fn erased(&mut self, link: &Followed<'_>) -> Option<u64> {
        let mut erased = 0_u64;
        for (n, event) in link.events.iter().enumerate() {
            let Some(who) = event.who.as_deref() else { continue };
            let part = event
                .private
                .as_deref()
                .map(|tag| (tag, self.private.remove(&(link.seq, number(n)))));
            let Some(subject) = self.subjects.get(who) else {
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
        Some(erased)
    }

    /// The first private part that belongs to no event.
    fn left(&self) -> Option<(i64, Why)> {
        self.private.keys().min().map(|(seq, _)| (*seq, Why::PrivateAltered))
    }
}
