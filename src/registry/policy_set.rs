//! `policy_set`: the policies of an administrator, one document for all of them, so that they come
//! into force together. What the texts say is the matter of `policy`; here they are only texts.

use super::form::{self, Form, Read};
use crate::{
    base::{
        json::{Object, Value},
        time::Timestamp,
    },
    model::policy::{Access, Fault, Source, Sources},
};

/// The most texts of one set.
pub const MAX_TEXTS: usize = 100;
/// The longest text, in bytes.
pub const MAX_TEXT_BYTES: usize = 65_536;
/// The longest name of a text.
const MAX_NAME_BYTES: usize = 64;

/// A set as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySet {
    /// The texts.
    pub sources: Sources,
    /// The operator who wrote it; empty where nobody did.
    pub by: String,
    /// The version whose texts these are, where the set was rolled back.
    pub rolled_back_to: Option<u64>,
}

/// What to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollbackOrder {
    /// The version whose texts are wanted; the one before, where none is named.
    pub version: Option<u64>,
}

/// Reads a stored set.
pub fn parse(text: &str) -> Read<PolicySet> {
    form::document(text, |form| {
        let sources = sources(form);
        let by = form.or("by", String::new(), form::label);
        let rolled_back_to = form.maybe("rolled_back_to", version);
        Some(PolicySet { sources: sources?, by: by?, rolled_back_to: rolled_back_to? })
    })
}

/// Reads what an operator sends. What an answer tells beside the texts may stand there, so that an
/// answer can be changed and sent back.
pub fn parse_draft(text: &str) -> Read<Sources> {
    form::document(text, told_or_sources)
}

fn told_or_sources(form: &mut Form<'_>) -> Option<Sources> {
    for told in ["at", "by", "revision", "rolled_back_to", "rules", "version", "warnings"] {
        form.ignored(told);
    }
    sources(form)
}

/// Reads `{version}`, which may be left out; 0 is the empty set that there was at first.
pub fn parse_rollback(text: &str) -> Read<RollbackOrder> {
    form::document(text, |form| Some(RollbackOrder { version: form.maybe("version", version)? }))
}

/// A draft, and which recorded decisions it is tried on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOrder {
    /// The draft.
    pub sources: Sources,
    /// Not those that are older.
    pub since: Option<Timestamp>,
    /// At most so many, the newest.
    pub limit: u16,
}

impl ReplayOrder {
    /// How many decisions, where it is not said.
    pub const LIMIT_DEFAULT: u16 = 1_000;
    /// How many at most.
    pub const LIMIT_MAX: u16 = 10_000;
}

/// Reads `{policies, since, limit}`.
pub fn parse_replay(text: &str) -> Read<ReplayOrder> {
    form::document(text, |form| {
        let sources = form.required(DRAFT, |value, at| form::object(value, at, told_or_sources));
        let most = i64::from(ReplayOrder::LIMIT_MAX);
        let default = i64::from(ReplayOrder::LIMIT_DEFAULT);
        let limit = form.or("limit", default, form::number(1..=most));
        let since = form.maybe("since", moment);
        let limit = u16::try_from(limit?).unwrap_or(ReplayOrder::LIMIT_MAX);
        Some(ReplayOrder { sources: sources?, since: since?, limit })
    })
}

/// The member of a replay that holds the draft.
pub const DRAFT: &str = "policies";

fn moment(value: &Value, at: &str) -> Read<Timestamp> {
    let read = form::number(0..=i64::MAX)(value, at)?;
    let wrong = || form::problem(at, "must be seconds since 1970-01-01T00:00:00Z");
    Timestamp::from_epoch_s(read).ok_or_else(wrong)
}

fn version(value: &Value, at: &str) -> Read<u64> {
    let read = form::number(0..=i64::MAX)(value, at)?;
    Ok(read.unsigned_abs())
}

fn sources(form: &mut Form<'_>) -> Option<Sources> {
    let texts = form::list(0..=MAX_TEXTS, source);
    let delegation = form.or("delegation", Vec::new(), texts);
    let access = form.or("access", Access::default(), |value, at| form::object(value, at, access));
    let sources = Sources { delegation: delegation?, access: access? };
    let named = named(&sources);
    if named.len() > MAX_TEXTS {
        form.problem_here(format!("must have at most {MAX_TEXTS} texts in all"));
    }
    for (index, (at, source)) in named.iter().enumerate() {
        if named.iter().take(index).any(|(_, other)| other.name == source.name) {
            form.problem_below(
                &format!("{at}/name"),
                format!("`{}` is the name of another text: give each its own", source.name),
            );
        }
    }
    Some(sources)
}

fn access(form: &mut Form<'_>) -> Option<Access> {
    let schema = form.maybe("schema", source);
    let policies = form.or("policies", Vec::new(), form::list(0..=MAX_TEXTS, source));
    Some(Access { schema: schema?, policies: policies? })
}

fn source(value: &Value, at: &str) -> Read<Source> {
    form::object(value, at, |form| {
        let name = form.required("name", name);
        let text = form.required("text", text);
        Some(Source { name: name?, text: text? })
    })
}

fn name(value: &Value, at: &str) -> Read<String> {
    let name = form::string(value, at)?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(fits) {
        let message = format!(
            "must be 1 to {MAX_NAME_BYTES} letters, digits, `.`, `_`, `-` or `/`, as the name of \
             its file"
        );
        return Err(form::problem(at, message));
    }
    Ok(name.to_owned())
}

fn text(value: &Value, at: &str) -> Read<String> {
    let text = form::string(value, at)?;
    if text.len() > MAX_TEXT_BYTES {
        let message = format!("must be at most {MAX_TEXT_BYTES} bytes: make two texts of it");
        return Err(form::problem(at, message));
    }
    Ok(text.to_owned())
}

/// Every text with its place in the document, as the rest of a pointer.
fn named(sources: &Sources) -> Vec<(String, &Source)> {
    let Sources { delegation, access } = sources;
    let listed = |(index, source): (usize, _)| (format!("delegation/{index}"), source);
    let schema = access.schema.iter().map(|schema| ("access/schema".to_owned(), schema));
    let policies = |(index, source): (usize, _)| (format!("access/policies/{index}"), source);
    let delegation = delegation.iter().enumerate().map(listed);
    delegation.chain(schema).chain(access.policies.iter().enumerate().map(policies)).collect()
}

/// Where the text of a fault stands in the document, as a JSON Pointer.
pub fn place(sources: &Sources, fault: &Fault) -> String {
    let found = named(sources).into_iter().find(|(_, source)| source.name == fault.file);
    found.map(|(at, _)| format!("/{at}/text")).unwrap_or_default()
}

/// Writes a set.
pub fn write(set: &PolicySet) -> String {
    let mut document = to_json(&set.sources);
    if !set.by.is_empty() {
        document.insert("by", set.by.as_str());
    }
    if let Some(version) = set.rolled_back_to {
        document.insert("rolled_back_to", i64::try_from(version).unwrap_or(i64::MAX));
    }
    document.to_json()
}

/// The texts as JSON.
pub fn to_json(sources: &Sources) -> Object {
    let texts = |sources: &[Source]| Value::Array(sources.iter().map(source_json).collect());
    let mut access = Object::new();
    if let Some(schema) = &sources.access.schema {
        access.insert("schema", source_json(schema));
    }
    access.insert("policies", texts(&sources.access.policies));
    let mut document = Object::new();
    document.insert("delegation", texts(&sources.delegation));
    document.insert("access", access);
    document
}

fn source_json(source: &Source) -> Value {
    let source: Object =
        [("name", source.name.as_str()), ("text", source.text.as_str())].into_iter().collect();
    source.into()
}
