//! Audit events as they are written down: the chained record without a personal value, the private
//! part it commits to, and the index row. Never a decision about what is recorded.
//!
//! Every subject has a random key. The id of the key is a commitment to the subject under the key,
//! and all that a record says about the subject; free text stands aside, under a tag of the same
//! key. Who destroys the key destroys what leads from the record to the person.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::unsync::Cache;
use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::{ClientId, DecisionId, DelegationId, ErrorId, ResourceId, TransactionId},
        random::Random,
        time::Timestamp,
    },
    model::{
        actor::Provenance,
        event::{Event, Hop, Kept, Kind, Outcome},
        resource::Effect,
        subject::Subject,
    },
};

use super::{
    error::Error,
    events::EventFilter,
    persons::{SubjectKey, SubjectRow},
    rows::{count, number},
};

/// The longest tool name, reason or actor that is kept, in characters: twice a legal tool name, so
/// that a caller's nonsense is recognised and does not fill the disk.
const TEXT_MAX: usize = 256;
/// Room for an event as it stands in a record: that of a decision has about 500 bytes.
const USUAL_BYTES: usize = 640;
/// Subjects whose key the writer remembers; a subject met again later gets one key more.
const KEYS_MAX: usize = 4_096;
/// What parts actors in an index row; no id and no printable `sub` has it.
const BETWEEN_ACTORS: &str = "\n";

/// One event, ready to be chained.
pub(super) struct Sealed {
    /// Its part of a record: one JSON object.
    pub json: Vec<u8>,
    /// When it happened, epoch seconds.
    pub at: i64,
    /// Its private part, where it has one.
    pub private: Option<Private>,
    /// Its index row, where it is to be found without reading every record.
    pub index: Option<Index>,
}

/// The personal part of an event, besides its subject.
pub(super) struct Private {
    /// The id of the key that the record commits under.
    pub key: Arc<str>,
    /// A [`Details`] as JSON, enciphered.
    pub body: Vec<u8>,
}

/// What an index row says about an event, besides where it stands.
pub(super) struct Index {
    pub kind: &'static str,
    pub outcome: &'static str,
    pub tool: Option<String>,
    pub actors: String,
    pub key: Option<Arc<str>>,
    pub txn: Option<String>,
    pub decision: Option<String>,
    pub error: Option<String>,
}

/// An event as it stands in a record.
#[derive(Serialize, Deserialize)]
pub(super) struct EventRecord<'a> {
    at: i64,
    kind: Cow<'a, str>,
    outcome: Cow<'a, str>,
    reason: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chain: Vec<HopRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    txn: Option<TransactionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegation: Option<DelegationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<DelegationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorId>,
    revision: i64,
    /// The id of the subject's key: who knows the key can tell whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arguments: Option<Cow<'a, str>>,
    /// The tag of the private part under that key, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct HopRecord<'a> {
    iss: Cow<'a, str>,
    sub: Cow<'a, str>,
    /// Whether we saw it authenticate; otherwise another issuer asserted it.
    verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    via: Option<Cow<'a, str>>,
}

/// The private part: free text, name and value.
type Details<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Writes events down, and keeps the keys of the subjects it met.
pub(super) struct Sealer {
    random: Arc<Random>,
    /// How often somebody was erased, as far as the keys below are concerned.
    erasures: u64,
    /// The same by now.
    erased: Arc<AtomicU64>,
    known: Cache<Subject, Arc<SubjectKey>>,
    /// Drawn for the batch that is being made; known once that is committed.
    fresh: HashMap<Subject, Arc<SubjectKey>>,
}

impl Sealer {
    pub fn new(random: Arc<Random>, erased: Arc<AtomicU64>) -> Sealer {
        let erasures = erased.load(Ordering::Acquire);
        Sealer { random, erasures, erased, known: Cache::new(KEYS_MAX), fresh: HashMap::new() }
    }

    /// Writes one event down. Events that are committed before their answer are always indexed;
    /// journalled ones unless they are an allowed read.
    pub fn seal(&mut self, event: &Event, committed: bool) -> Result<Sealed, Error> {
        let key = self.key(event)?;
        let mut tag = None;
        let mut private = None;
        if let (Some(key), Some(body)) = (&key, details(event)) {
            let (body, said) = key.encipher(body)?;
            tag = Some(said);
            private = Some(Private { key: Arc::clone(&key.id), body });
        }
        let who = key.map(|key| Arc::clone(&key.id));
        let mut json = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut json, &record(event, who.as_deref(), tag))
            .map_err(|_| Error::Corrupt { table: "journal", what: "an event is no JSON" })?;
        let index = (committed || is_indexed(event)).then(|| index(event, who));
        Ok(Sealed { json, at: event.at.epoch_s(), private, index })
    }

    /// The keys that must be stored together with what was sealed since the last [`Self::settle`].
    pub fn fresh(&self) -> impl Iterator<Item = (&Subject, &SubjectKey)> {
        self.fresh.iter().map(|(subject, key)| (subject, key.as_ref()))
    }

    /// Remembers the fresh keys if they were stored, forgets them if not.
    pub fn settle(&mut self, stored: bool) {
        for (subject, key) in self.fresh.drain() {
            if stored {
                self.known.insert(subject, key);
            }
        }
    }

    /// The key of the event's subject, or nobody's where there are details and no subject; `None`
    /// where nothing is personal.
    fn key(&mut self, event: &Event) -> Result<Option<Arc<SubjectKey>>, Error> {
        let nobody = || Subject { issuer: "".into(), sub: "".into() };
        let subject = match &event.subject {
            Some(subject) => Cow::Borrowed(subject),
            None if event.detail.is_empty() => return Ok(None),
            None => Cow::Owned(nobody()),
        };
        let erasures = self.erased.load(Ordering::Acquire);
        if erasures != self.erasures {
            // A key that was destroyed opens nothing that is written under it.
            self.known = Cache::new(KEYS_MAX);
            self.erasures = erasures;
        }
        // One that is fresh serves for its batch, however long that waited: it must be stored.
        let known = self.known.get(&*subject).filter(|key| key.serves(event.at));
        if let Some(key) = self.fresh.get(&*subject).or(known) {
            return Ok(Some(Arc::clone(key)));
        }
        let key = Arc::new(SubjectKey::draw(&self.random, &subject, event.at)?);
        self.fresh.insert(subject.into_owned(), Arc::clone(&key));
        Ok(Some(key))
    }
}

/// Whether a journalled event has an index row: refusals, effects other than reading, everything
/// that is no decision. Only allowed reads are found by reading records.
pub(super) fn is_indexed(event: &Event) -> bool {
    event.outcome == Outcome::Refused
        || event.kind != Kind::Decision
        || event.error.is_some()
        || event.effect.is_some_and(Effect::is_committed_first)
}

/// The events of one record, in order.
pub(super) fn decode(record: &[u8]) -> Result<Vec<EventRecord<'_>>, Error> {
    serde_json::from_slice(record)
        .map_err(|_| Error::Corrupt { table: "journal", what: "a record is no list of events" })
}

impl EventRecord<'_> {
    /// When it happened, epoch seconds.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Whether everything but the subject is as the filter wants it.
    pub fn matches(&self, filter: &EventFilter) -> bool {
        let acts = |actor: &str| {
            self.client.as_deref() == Some(actor) || self.chain.iter().any(|hop| hop.sub == actor)
        };
        filter.kind.is_none_or(|kind| self.kind == kind.as_str())
            && filter.outcome.is_none_or(|outcome| self.outcome == outcome.as_str())
            && filter.tool.as_ref().is_none_or(|tool| self.tool.as_deref() == Some(&**tool))
            && filter.actor.as_ref().is_none_or(|actor| acts(actor))
            && filter.txn.is_none_or(|id| self.txn == Some(id))
            && filter.decision.is_none_or(|id| self.decision == Some(id))
            && filter.error.is_none_or(|id| self.error == Some(id))
            && filter.since.is_none_or(|since| since.epoch_s() <= self.at)
    }

    /// The event, with its subject and its private part where they still exist.
    pub fn read(
        self,
        subject: Option<&SubjectRow>,
        private: Option<&[u8]>,
    ) -> Result<Event, Error> {
        let opened = subject.zip(private).map(|(subject, private)| subject.decipher(private));
        let corrupt = Error::Corrupt { table: "journal_private", what: "it does not open" };
        let private = opened.map(|plain| plain.ok_or(corrupt)).transpose()?;
        let subject = subject.and_then(SubjectRow::subject);
        self.event(subject, private.as_deref())
            .ok_or(Error::Corrupt { table: "journal", what: "an event" })
    }

    fn event(self, subject: Option<Subject>, private: Option<&[u8]>) -> Option<Event> {
        let detail: Details<'_> = match private {
            Some(body) => serde_json::from_slice(body).ok()?,
            None => Vec::new(),
        };
        Some(Event {
            at: Timestamp::from_epoch_s(self.at)?,
            kind: Kind::ALL.into_iter().find(|kind| kind.as_str() == self.kind)?,
            outcome: Outcome::ALL.into_iter().find(|o| o.as_str() == self.outcome)?,
            reason: self.reason.into_owned().into(),
            client: parsed(self.client.as_deref(), ClientId::parse).ok()?,
            subject,
            chain: self.chain.into_iter().map(HopRecord::hop).collect(),
            resource: parsed(self.resource.as_deref(), ResourceId::parse).ok()?,
            tool: self.tool.map(Into::into),
            effect: match self.effect {
                Some(word) => Some(Effect::ALL.into_iter().find(|e| e.as_str() == word)?),
                None => None,
            },
            txn: self.txn,
            delegation: self.delegation,
            parent: self.parent,
            decision: self.decision,
            error: self.error,
            revision: count(self.revision)?,
            arguments: match self.arguments {
                Some(word) => Some(Kept::ALL.into_iter().find(|kept| kept.as_str() == word)?),
                None => None,
            },
            detail: detail.into_iter().map(|(k, v)| (k.into(), v.into_owned())).collect(),
        })
    }
}

impl HopRecord<'_> {
    fn hop(self) -> Hop {
        let provenance = if self.verified { Provenance::Verified } else { Provenance::Asserted };
        let via = self.via.map(|via| via.into_owned().into());
        Hop { issuer: self.iss.into(), sub: self.sub.into(), provenance, via }
    }
}

/// Whether the actors of an index row include `actor`.
pub(super) fn names_actor(actors: &str, actor: &str) -> bool {
    actors.split(BETWEEN_ACTORS).any(|name| name == actor)
}

fn parsed<T, E>(
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, E> {
    text.map(parse).transpose()
}

fn record<'a>(event: &'a Event, who: Option<&'a str>, private: Option<String>) -> EventRecord<'a> {
    EventRecord {
        at: event.at.epoch_s(),
        kind: event.kind.as_str().into(),
        outcome: event.outcome.as_str().into(),
        reason: cut(&event.reason, TEXT_MAX).into(),
        client: event.client.as_ref().map(|id| id.as_str().into()),
        chain: event.chain.iter().map(hop_record).collect(),
        resource: event.resource.as_ref().map(|id| id.as_str().into()),
        tool: event.tool.as_ref().map(|tool| cut(tool, TEXT_MAX).into()),
        effect: event.effect.map(|effect| effect.as_str().into()),
        txn: event.txn,
        delegation: event.delegation,
        parent: event.parent,
        decision: event.decision,
        error: event.error,
        revision: number(event.revision),
        who: who.map(Into::into),
        arguments: event.arguments.map(|kept| kept.as_str().into()),
        private,
    }
}

fn hop_record(hop: &Hop) -> HopRecord<'_> {
    HopRecord {
        iss: hop.issuer.as_ref().into(),
        sub: hop.sub.as_ref().into(),
        verified: hop.provenance == Provenance::Verified,
        via: hop.via.as_deref().map(Into::into),
    }
}

fn details(event: &Event) -> Option<String> {
    if event.detail.is_empty() {
        return None;
    }
    let detail = event.detail.iter().take(Event::DETAILS_MAX);
    let body: Details<'_> = detail
        .map(|(name, value)| (cut(name, TEXT_MAX).into(), cut(value, Event::DETAIL_MAX).into()))
        .collect();
    // Lists of texts always are JSON.
    serde_json::to_string(&body).ok()
}

fn index(event: &Event, key: Option<Arc<str>>) -> Index {
    let client = event.client.iter().map(ClientId::as_str);
    let mut actors: Vec<&str> = client.chain(event.chain.iter().map(|hop| &*hop.sub)).collect();
    actors.dedup();
    Index {
        kind: event.kind.as_str(),
        outcome: event.outcome.as_str(),
        tool: event.tool.as_ref().map(|tool| without_nul(cut(tool, TEXT_MAX))),
        actors: without_nul(&actors.join(BETWEEN_ACTORS)),
        key,
        txn: event.txn.map(|id| id.to_string()),
        decision: event.decision.map(|id| id.to_string()),
        error: event.error.map(|id| id.to_string()),
    }
}

/// PostgreSQL holds no NUL in a text; a caller who sends one must not lose us the event.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn cut(text: &str, max: usize) -> &str {
    // Nearly every text: it has no more characters than bytes.
    if text.len() <= max {
        return text;
    }
    match text.char_indices().nth(max) {
        Some((at, _)) => text.get(..at).unwrap_or_default(),
        None => text,
    }
}
