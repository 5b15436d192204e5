//! Finding audit events, newest first. Never more than a bounded amount of reading per call: a
//! page may be short and still have a successor.
//!
//! What an index row exists for is found by index rows; allowed reads are found by reading records
//! in order of time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    base::{
        id::{DecisionId, ErrorId, TransactionId},
        time::{Seconds, Timestamp},
    },
    model::{
        event::{Event, Kind, Outcome},
        subject::Subject,
    },
};

use super::{
    Cursor, Listing, Page,
    chain::{LinkRow, PrivateRow},
    connect::{IndexQuery, IndexRow, Pool},
    error::Error,
    persons::SubjectRow,
    record::{self, EventRecord},
    rows::{count, number},
    sql,
};

/// Index rows read at a time, and the most times per call.
const INDEX_PAGE: i64 = 512;
const INDEX_PAGES: usize = 8;
/// Links read at a time, and the most events looked at per call: 16 MiB and some milliseconds.
const LINKS_PAGE: i64 = 64;
const SCANNED_MAX: usize = 16_384;
/// How much later than it was made a decision may stand in the log: usually, and after an outage.
const WRITTEN_LATER: [Seconds; 2] = [Seconds::new(2), Seconds::new(600)];
/// How often [`SCANNED_MAX`] events are looked at for one decision.
const SCANS_MAX: usize = 8;
/// The most keys of one subject that are looked for: one for each run of a writer that met it.
const KEYS_MAX: i64 = 4_096;

/// Which events are listed; `None` means any.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// For this subject, as far as it was not erased.
    pub subject: Option<Subject>,
    /// Asked by this client, or with this actor anywhere in the chain.
    pub actor: Option<Arc<str>>,
    /// About a tool of this name.
    pub tool: Option<Arc<str>>,
    /// In this transaction.
    pub txn: Option<TransactionId>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// About this decision.
    pub decision: Option<DecisionId>,
    /// With this error.
    pub error: Option<ErrorId>,
    /// Not earlier than this.
    pub since: Option<Timestamp>,
}

/// An event, and where it stands in the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Whose chain.
    pub writer: String,
    /// Which link of it.
    pub seq: u64,
    /// Which event of the link, from zero.
    pub n: u64,
    /// The event.
    pub event: Event,
    /// Whether its subject and detail were erased.
    pub erased: bool,
}

/// A filter, with the keys of its subject.
struct Search<'a> {
    filter: &'a EventFilter,
    keys: Option<HashSet<String>>,
    limit: usize,
}

/// An event that was found, before its private part is.
struct Found<'a> {
    place: (String, i64, i64),
    at: i64,
    record: EventRecord<'a>,
}

pub(super) async fn list(
    pool: &Pool,
    filter: &EventFilter,
    page: &Page,
) -> Result<Listing<StoredEvent>, Error> {
    let keys = match &filter.subject {
        Some(s) => Some(pool.subject_keys(&s.issuer, &s.sub, KEYS_MAX).await?),
        None => None,
    };
    let keys = keys.map(|keys| keys.into_iter().collect::<HashSet<_>>());
    let nothing = Listing { items: Vec::new(), next: None };
    if keys.as_ref().is_some_and(HashSet::is_empty) {
        return Ok(nothing);
    }
    let search = Search { filter, keys, limit: page.limit() };
    if search.is_indexed() {
        return search.by_index(pool, page.before()).await;
    }
    if filter.decision.is_some() && page.after.is_none() {
        // A decision has one event; only if no index row has it, it was an allowed read.
        let listing = search.by_index(pool, page.before()).await?;
        if !listing.items.is_empty() {
            return Ok(listing);
        }
    }
    search.by_time(pool, page.before()).await
}

/// The event of one decision. Where no index row leads to it, the log is read where it was written
/// at the moment that the id begins with.
pub(super) async fn of_decision(pool: &Pool, id: DecisionId) -> Result<Option<StoredEvent>, Error> {
    let filter = EventFilter { decision: Some(id), since: id.moment(), ..EventFilter::default() };
    let search = Search { filter: &filter, keys: None, limit: 1 };
    let first = Page::default().before();
    if let Some(found) = search.by_index(pool, first).await?.items.pop() {
        return Ok(Some(found));
    }
    let Some(moment) = id.moment() else { return Ok(None) };
    for later in WRITTEN_LATER {
        let at = moment.plus(later).epoch_s().saturating_add(1);
        let mut from = Some(Cursor { at, id: String::new(), seq: 0, n: 0 });
        for _ in 0..SCANS_MAX {
            let Some(cursor) = from else { break };
            let mut listing = search.by_time(pool, cursor).await?;
            if let Some(found) = listing.items.pop() {
                return Ok(Some(found));
            }
            from = listing.next;
        }
    }
    Ok(None)
}

impl Search<'_> {
    /// Whether every event that matches has an index row.
    fn is_indexed(&self) -> bool {
        self.filter.outcome == Some(Outcome::Refused)
            || self.filter.kind.is_some_and(|kind| kind != Kind::Decision)
            || self.filter.error.is_some()
    }

    async fn by_index(&self, pool: &Pool, from: Cursor) -> Result<Listing<StoredEvent>, Error> {
        let mut from = from;
        let mut hits: Vec<IndexRow> = Vec::new();
        let mut ended = false;
        for _ in 0..INDEX_PAGES {
            let rows = pool.index(&self.index_query(&from)).await?;
            ended = number(rows.len()) < INDEX_PAGE;
            for row in rows {
                from = Cursor { at: row.at, id: row.writer.clone(), seq: row.seq, n: row.n };
                if self.wants_row(&row) {
                    hits.push(row);
                    if hits.len() == self.limit {
                        break;
                    }
                }
            }
            if ended || hits.len() == self.limit {
                break;
            }
        }
        ended &= hits.len() < self.limit;
        let places: Vec<(String, i64)> =
            hits.iter().map(|row| (row.writer.clone(), row.seq)).collect();
        let links =
            if places.is_empty() { Vec::new() } else { pool.named_links(&json(&places)?).await? };
        let items = self.read_hits(pool, hits, &links).await?;
        Ok(Listing { items, next: (!ended).then_some(from) })
    }

    async fn read_hits(
        &self,
        pool: &Pool,
        hits: Vec<IndexRow>,
        links: &[LinkRow],
    ) -> Result<Vec<StoredEvent>, Error> {
        let missing = Error::Corrupt { table: "journal_index", what: "it names no event" };
        let mut decoded: HashMap<(String, i64), Vec<Option<EventRecord<'_>>>> = HashMap::new();
        for link in links {
            let events = record::decode(link.record.bytes())?.into_iter().map(Some).collect();
            decoded.insert((link.writer.clone(), link.seq), events);
        }
        let mut found = Vec::with_capacity(hits.len());
        for row in hits {
            let link = (row.writer, row.seq);
            let record = decoded
                .get_mut(&link)
                .and_then(|events| events.get_mut(usize::try_from(row.n).ok()?)?.take())
                .ok_or_else(|| missing.clone())?;
            if self.wants_record(&record) {
                let place = (link.0, link.1, row.n);
                found.push(Found { place, at: row.at, record });
            }
        }
        complete(pool, found).await
    }

    fn index_query<'q>(&self, from: &'q Cursor) -> IndexQuery<'q> {
        let filter = self.filter;
        let (text, value) = match (&filter.error, &filter.decision, &filter.txn) {
            (Some(error), _, _) => (sql::INDEX_OF_ERROR, Some(error.to_string())),
            (None, Some(decision), _) => (sql::INDEX_OF_DECISION, Some(decision.to_string())),
            (None, None, Some(txn)) => (sql::INDEX_OF_TRANSACTION, Some(txn.to_string())),
            (None, None, None) => (sql::INDEX, None),
        };
        IndexQuery {
            text,
            before: (from.at, &from.id, from.seq, from.n),
            since: self.since(),
            value,
            limit: INDEX_PAGE,
        }
    }

    async fn by_time(&self, pool: &Pool, from: Cursor) -> Result<Listing<StoredEvent>, Error> {
        let mut from = from;
        let mut items = Vec::new();
        let mut scanned = 0_usize;
        while scanned < SCANNED_MAX {
            let upto = (from.at, from.id.as_str(), from.seq);
            let links = pool.links(upto, self.since(), LINKS_PAGE).await?;
            let ended = number(links.len()) < LINKS_PAGE;
            let room = self.limit.saturating_sub(items.len());
            let (found, looked_at, last) = self.scan(&links, &from, room)?;
            scanned = scanned.saturating_add(looked_at.max(1));
            let full = found.len() == room;
            let behind = found.last().map(|hit| Cursor {
                at: hit.at,
                id: hit.place.0.clone(),
                seq: hit.place.1,
                n: hit.place.2,
            });
            items.extend(complete(pool, found).await?);
            if full {
                return Ok(Listing { items, next: behind });
            }
            match last {
                Some(last) if !ended => from = last,
                _ => return Ok(Listing { items, next: None }),
            }
        }
        Ok(Listing { items, next: Some(from) })
    }

    /// The events of some links that match and stand behind `from`; how many were looked at; the
    /// place of the last one.
    fn scan<'l>(
        &self,
        links: &'l [LinkRow],
        from: &Cursor,
        room: usize,
    ) -> Result<(Vec<Found<'l>>, usize, Option<Cursor>), Error> {
        let mut found = Vec::new();
        let mut looked_at = 0_usize;
        let mut last = None;
        for link in links {
            let events = record::decode(link.record.bytes())?;
            looked_at = looked_at.saturating_add(events.len());
            let same = link.at == from.at && link.writer == from.id && link.seq == from.seq;
            for (n, record) in events.into_iter().enumerate().rev() {
                let n = number(n);
                if (same && n >= from.n) || !self.wants_record(&record) {
                    continue;
                }
                if found.len() == room {
                    return Ok((found, looked_at, last));
                }
                let place = (link.writer.clone(), link.seq, n);
                found.push(Found { place, at: link.at, record });
            }
            last = Some(Cursor { at: link.at, id: link.writer.clone(), seq: link.seq, n: 0 });
        }
        Ok((found, looked_at, last))
    }

    fn since(&self) -> i64 {
        self.filter.since.map_or(0, Timestamp::epoch_s)
    }

    /// Whether an index row may lead to an event that matches.
    fn wants_row(&self, row: &IndexRow) -> bool {
        let filter = self.filter;
        filter.kind.is_none_or(|kind| kind.as_str() == row.kind)
            && filter.outcome.is_none_or(|outcome| outcome.as_str() == row.outcome)
            && filter.tool.as_ref().is_none_or(|tool| row.tool.as_deref() == Some(&**tool))
            && filter.actor.as_ref().is_none_or(|actor| record::names_actor(&row.actors, actor))
            && self.wants_key(row.key.as_deref())
    }

    fn wants_key(&self, key: Option<&str>) -> bool {
        self.keys.as_ref().is_none_or(|keys| key.is_some_and(|key| keys.contains(key)))
    }

    /// Whether an event matches; everything is looked at again, whatever led to it.
    fn wants_record(&self, record: &EventRecord<'_>) -> bool {
        self.wants_key(record.who.as_deref()) && record.matches(self.filter)
    }
}

/// The subjects of some keys, as far as they were not erased, by the keys' ids.
pub(super) async fn subjects(
    pool: &Pool,
    keys: HashSet<&str>,
) -> Result<HashMap<String, SubjectRow>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = pool.subjects(&json(&keys)?).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// The events with their subjects and private parts, in the same order.
async fn complete(pool: &Pool, found: Vec<Found<'_>>) -> Result<Vec<StoredEvent>, Error> {
    let places: HashSet<(String, i64)> = found
        .iter()
        .filter(|hit| hit.record.private.is_some())
        .map(|hit| (hit.place.0.clone(), hit.place.1))
        .collect();
    let mut private: HashMap<(String, i64, i64), PrivateRow> = HashMap::new();
    if !places.is_empty() {
        let places: Vec<_> = places.into_iter().collect();
        for row in pool.private(&json(&places)?).await? {
            private.insert((row.writer.clone(), row.seq, row.n), row);
        }
    }
    let keys = found.iter().filter_map(|hit| hit.record.who.as_deref()).collect();
    let subjects = subjects(pool, keys).await?;
    let mut events = Vec::with_capacity(found.len());
    for hit in found {
        let subject = hit.record.who.as_deref().and_then(|key| subjects.get(key));
        // Without its key the part is as good as erased.
        let part = subject.and_then(|_| private.get(&hit.place));
        let erased = (hit.record.who.is_some() && subject.is_none())
            || (hit.record.private.is_some() && part.is_none());
        let event = hit.record.read(subject, part.map(|row| row.body.as_slice()))?;
        let (writer, seq, n) = hit.place;
        let (seq, n) = (count(seq).unwrap_or(0), count(n).unwrap_or(0));
        events.push(StoredEvent { writer, seq, n, event, erased });
    }
    Ok(events)
}

fn json(names: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(names)
        .map_err(|_| Error::Corrupt { table: "journal", what: "a writer's id" })
}
