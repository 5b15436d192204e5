//! Effects as rows, and who of a batch can have what: what happened once, and what is left of
//! budgets. Never the moment of committing; that is the writer's.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize, Serializer};
use sqlx::FromRow;

use crate::{
    base::{id::DecisionId, secret::Fingerprint},
    model::effect::{Asked, Budget, Conflict, Effects, Once, OnceKind, Spend},
};

use super::chain::hex;

/// A row of `once`, on its way in.
#[derive(Serialize)]
pub(super) struct OnceRow {
    pub kind: &'static str,
    pub key: String,
    pub question: Option<String>,
    pub decision: Option<String>,
    pub expires_at: i64,
}

/// A row of `budget`, on its way in.
#[derive(Serialize)]
pub(super) struct BudgetRow {
    pub delegation: String,
    pub location: String,
    pub calls_left: u32,
    pub expires_at: i64,
}

/// Calls to be taken from one budget.
#[derive(Serialize)]
struct SpendRow {
    delegation: String,
    location: String,
    calls: u32,
}

impl OnceRow {
    pub fn of(once: &Once) -> OnceRow {
        OnceRow {
            kind: once.kind().as_str(),
            key: hex(once.key().as_bytes()),
            question: once.asked().map(|asked| hex(asked.question.as_bytes())),
            decision: once.asked().map(|asked| asked.decision.to_string()),
            expires_at: once.until().epoch_s(),
        }
    }
}

impl BudgetRow {
    pub fn of(budget: &Budget) -> BudgetRow {
        BudgetRow {
            delegation: budget.delegation.to_string(),
            location: budget.location.to_string(),
            calls_left: budget.max_calls,
            expires_at: budget.until.epoch_s(),
        }
    }
}

/// The calls of a whole batch, one row for each budget.
pub(super) fn spend_rows<S: Serializer>(
    spend: &BTreeMap<Spend, u32>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let row = |(spend, calls): (&Spend, &u32)| SpendRow {
        delegation: spend.delegation.to_string(),
        location: spend.location.to_string(),
        calls: *calls,
    };
    to.collect_seq(spend.iter().map(row))
}

/// What a statement about effects answers, on both engines.
#[derive(FromRow)]
pub(super) struct FoundRow {
    /// Whether all of the batch was written.
    pub written: bool,
    /// Whether `head` said the revision it was judged at.
    pub held: bool,
    /// Rows of `once` as JSON arrays: kind, key, question, decision.
    pub seen: String,
    /// Rows of `budget` as JSON arrays: delegation, location, calls left.
    pub budgets: String,
}

#[derive(Deserialize)]
struct Seen(String, String, Option<String>, Option<String>);

#[derive(Deserialize)]
struct Left(String, String, i64);

/// What stands in the way of a batch, or does not.
#[derive(Debug)]
pub(super) struct Found {
    /// Whether `head` said the revision it was judged at.
    pub held: bool,
    seen: HashMap<(String, String), Option<(String, DecisionId)>>,
    left: HashMap<(String, String), i64>,
}

impl Found {
    /// Reads the answer of a statement.
    pub fn read(row: &FoundRow) -> Result<Found, sqlx::Error> {
        let bad = |error: serde_json::Error| sqlx::Error::Decode(Box::new(error));
        let seen: Vec<Seen> = serde_json::from_str(&row.seen).map_err(bad)?;
        let left: Vec<Left> = serde_json::from_str(&row.budgets).map_err(bad)?;
        let asked = |Seen(kind, key, question, decision): Seen| {
            // A row that does not read back still says that it happened.
            let decision = decision.and_then(|id| DecisionId::parse(&id).ok());
            ((kind, key), question.zip(decision))
        };
        Ok(Found {
            held: row.held,
            seen: seen.into_iter().map(asked).collect(),
            left: left.into_iter().map(|Left(d, location, n)| ((d, location), n)).collect(),
        })
    }

    /// Whether a batch that spends this, and was judged at `revision` if that is not negative, may
    /// be written as it is.
    pub fn is_clear(&self, spend: &BTreeMap<Spend, u32>, revision: i64) -> bool {
        (revision < 0 || self.held)
            && self.seen.is_empty()
            && spend.iter().all(|(spend, calls)| self.left(spend) >= i64::from(*calls))
    }

    /// The calls left of a budget. There is no row that nobody opened, and none after it expired.
    fn left(&self, spend: &Spend) -> i64 {
        let key = (spend.delegation.to_string(), spend.location.to_string());
        self.left.get(&key).copied().unwrap_or(0)
    }
}

/// What becomes of one change of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It can have everything, besides those admitted before it.
    Fits,
    /// It can have what those admitted before it leave, if anything: to be seen when they have it.
    Later,
    /// The same question was decided before.
    Repeats(DecisionId),
    /// It cannot, whatever becomes of the others.
    Refused(Conflict),
}

/// Admits the changes of one batch, one after another.
pub(super) struct Door<'a> {
    /// What the database says; `None` before it was asked.
    found: Option<&'a Found>,
    used: HashSet<(OnceKind, Fingerprint)>,
    spent: HashMap<Spend, i64>,
}

impl<'a> Door<'a> {
    /// With what the database said, if it was asked.
    pub fn new(found: Option<&'a Found>) -> Door<'a> {
        Door { found, used: HashSet::new(), spent: HashMap::new() }
    }

    /// Admits one change, or says why not.
    pub fn admit(&mut self, effects: &Effects) -> Admission {
        if let Some(admission) = self.found.and_then(|found| barred(found, effects)) {
            return admission;
        }
        let free = |once: &Once| !self.used.contains(&(once.kind(), once.key()));
        if !effects.once.iter().all(free) || !effects.spend.iter().all(|s| self.suffices(s)) {
            return Admission::Later;
        }
        self.used.extend(effects.once.iter().map(|once| (once.kind(), once.key())));
        for spend in &effects.spend {
            let calls = self.spent.entry(spend.clone()).or_default();
            *calls = calls.saturating_add(1);
        }
        Admission::Fits
    }

    /// Whether one call more fits into a budget.
    fn suffices(&self, spend: &Spend) -> bool {
        let taken = self.spent.get(spend).copied().unwrap_or(0);
        self.found.is_none_or(|found| found.left(spend) > taken)
    }
}

/// What the database alone says about one change: an assertion proves a client once, also one that
/// asks again; then whether it is a repetition; then everything else.
fn barred(found: &Found, effects: &Effects) -> Option<Admission> {
    let seen = |kind| effects.once.iter().filter(move |once| once.kind() == kind);
    let replayed = |kind| {
        let again = seen(kind).any(|once| found.seen.contains_key(&row_key(once)));
        again.then_some(Admission::Refused(Conflict::Replayed(kind)))
    };
    let call = || seen(OnceKind::Call).find_map(|once| repeated(found, once));
    let exhausted = || {
        let empty = effects.spend.iter().find(|spend| found.left(spend) < 1)?;
        Some(Admission::Refused(Conflict::Exhausted(empty.delegation)))
    };
    replayed(OnceKind::Assertion)
        .or_else(call)
        .or_else(|| replayed(OnceKind::Proof))
        .or_else(exhausted)
}

/// Whether a call was decided before: with the same question it is repeated, with another one it is
/// refused.
fn repeated(found: &Found, once: &Once) -> Option<Admission> {
    let before = found.seen.get(&row_key(once))?;
    let asked = once.asked().map(|Asked { question, .. }| hex(question.as_bytes()));
    Some(match before {
        Some((question, decision)) if asked.as_ref() == Some(question) => {
            Admission::Repeats(*decision)
        }
        Some(_) | None => Admission::Refused(Conflict::Replayed(OnceKind::Call)),
    })
}

fn row_key(once: &Once) -> (String, String) {
    (once.kind().as_str().to_owned(), hex(once.key().as_bytes()))
}
