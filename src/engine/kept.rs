//! What an event keeps of a call's arguments, and how a call is put together from it again: the
//! values that the tool's registration says may be kept, and no others. Nothing here decides.

use std::sync::Arc;

use super::call::Asked;
use crate::{
    base::{
        json::{self, Object, Value},
        text::pointer as below,
    },
    model::{
        call::{Decision, Policed, Reason},
        event::{Event, Kept},
        resource::{Resource, Tool},
    },
};

/// The detail that names the argument a call failed on.
pub const ARGUMENT: &str = "argument";
/// The detail that holds the subject which the caller named, where it was not the token's.
pub const SUBJECT_NAMED: &str = "subject_named";
/// The detail that names the policies which said no, separated by spaces.
pub const POLICY: &str = "policy";
/// The detail that names the policies which are only watched and would have said no.
pub const SHADOW_POLICY: &str = "shadow_policy";
/// What the names of kept values begin with; a JSON Pointer follows.
const VALUE_AT: &str = "arguments";

/// What is kept.
#[derive(Debug, Default)]
pub struct Remains {
    /// How much of the arguments; `None` where they could not be read.
    pub how_much: Option<Kept>,
    /// The details of the event.
    pub detail: Vec<(Arc<str>, String)>,
}

/// What an operator may read about a call later: where it failed, and the values that the tool's
/// registration says may be kept.
pub fn keep(asked: &Asked<'_>, resource: &Resource, decision: &Decision) -> Remains {
    let mut remains = Remains::default();
    if let Some(argument) = &decision.argument {
        remains.detail.push((ARGUMENT.into(), argument.clone()));
    }
    if let (Reason::SubjectMismatch, Some(subject)) = (decision.reason, asked.subject) {
        remains.detail.push((SUBJECT_NAMED.into(), subject.to_owned()));
    }
    remains.detail.extend(named(POLICY, &decision.policed.decided));
    remains.detail.extend(named(SHADOW_POLICY, &decision.policed.shadow));
    let text = asked.call.and_then(|call| call.arguments.as_deref()).unwrap_or("{}");
    let tool = decision.tool.as_ref().and_then(|name| resource.tools.get(name));
    let pointers = tool.map(|tool| tool.keep_arguments.as_slice()).unwrap_or_default();
    if decision.allow && pointers.is_empty() {
        // They were read, and nothing of them is kept: no need to read them once more.
        let none = text.bytes().filter(|b| !b.is_ascii_whitespace()).eq(*b"{}");
        remains.how_much = Some(if none { Kept::Whole } else { Kept::Partly });
        return remains;
    }
    let Ok(Value::Object(arguments)) = json::parse(text.as_bytes(), &json::Limits::DEFAULT) else {
        return remains;
    };
    let mut whole = are_all_at(&arguments, pointers, "");
    for pointer in pointers {
        if let Some(value) = at_pointer(&arguments, pointer) {
            let value = value.to_json();
            whole = whole && value.chars().count() <= Event::DETAIL_MAX;
            remains.detail.push((format!("{VALUE_AT}{pointer}").into(), value));
        }
    }
    whole = whole && remains.detail.len() <= Event::DETAILS_MAX;
    remains.how_much = Some(if whole { Kept::Whole } else { Kept::Partly });
    remains
}

/// The detail that names these policies, if there are any. Ids have no spaces, and a name of a detail
/// stands in an event once.
pub fn named(name: &str, ids: &[Arc<str>]) -> Option<(Arc<str>, String)> {
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    (!ids.is_empty()).then(|| (name.into(), ids.join(" ")))
}

/// The arguments as far as they were kept.
pub fn arguments(event: &Event) -> Object {
    let mut found = Object::new();
    for (name, value) in &event.detail {
        let Some(pointer) = name.strip_prefix(VALUE_AT) else { continue };
        // What was cut is no JSON any more; it is left out, and the event says `partly`.
        if let Ok(value) = json::parse(value.as_bytes(), &json::Limits::DEFAULT) {
            put_at(&mut found, &segments(pointer), value);
        }
    }
    found
}

/// The policies that said no, as it is on record, and those in shadow that would have.
pub fn policed(event: &Event) -> Policed {
    let named = |name: &str| {
        let ids = event.detail.iter().filter(|(known, _)| **known == *name);
        ids.flat_map(|(_, ids)| ids.split(' ')).map(Arc::from).collect()
    };
    Policed { decided: named(POLICY), shadow: named(SHADOW_POLICY), acr: None }
}

/// Whether all arguments of the call were kept.
pub fn is_whole(event: &Event) -> bool {
    event.arguments == Some(Kept::Whole)
}

/// Whether it is known what the argument of this name was, absence included: the tool's registration
/// says that it is kept, and nothing of it was cut off.
pub fn knows(event: &Event, tool: &Tool, name: &str) -> bool {
    let pointer = below("", name);
    let detail = format!("{VALUE_AT}{pointer}");
    let written = event.detail.iter().find(|(known, _)| **known == *detail);
    let is_json = |value: &str| json::parse(value.as_bytes(), &json::Limits::DEFAULT).is_ok();
    event.arguments.is_some()
        && tool.keep_arguments.contains(&pointer)
        && event.detail.len() < Event::DETAILS_MAX
        && written.is_none_or(|(_, value)| is_json(value))
}

/// Whether every value of `object` stands at one of the pointers, or in something that does.
fn are_all_at(object: &Object, pointers: &[String], at: &str) -> bool {
    object.iter().all(|(name, value)| {
        let here = below(at, name);
        pointers.contains(&here)
            || value
                .as_object()
                .is_some_and(|inner| !inner.is_empty() && are_all_at(inner, pointers, &here))
    })
}

/// The value at a JSON Pointer (RFC 6901) that leads through objects only.
pub fn at_pointer<'a>(object: &'a Object, pointer: &str) -> Option<&'a Value> {
    let segments = segments(pointer);
    let (last, way) = segments.split_last()?;
    let inner = way.iter().try_fold(object, |inner, name| inner.get(name)?.as_object())?;
    inner.get(last)
}

fn segments(pointer: &str) -> Vec<String> {
    let segments = pointer.strip_prefix('/').unwrap_or(pointer).split('/');
    segments.map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect()
}

fn put_at(object: &mut Object, segments: &[String], value: Value) {
    match segments {
        [] => {}
        [last] => {
            object.insert(last.as_str(), value);
        }
        [first, rest @ ..] => {
            let known = object.get(first).and_then(Value::as_object).cloned();
            let mut inner = known.unwrap_or_default();
            put_at(&mut inner, rest, value);
            object.insert(first.as_str(), inner);
        }
    }
}

#[cfg(test)]
mod tests;
