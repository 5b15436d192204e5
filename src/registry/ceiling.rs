//! Ceiling entries, wherever a document has them: `[{resource, scope, tools}]`.

use std::ops::RangeInclusive;

use super::{
    Problem,
    form::{self, Form, Read},
};
use crate::{
    base::json::{Object, Value},
    model::{
        ceiling::{Ceiling, CeilingEntry},
        details::{Fault, tools_from_json, tools_to_json},
        resource::ResourceId,
        scope::Scope,
    },
};

/// The most entries of one ceiling: each one is looked at for every tool of a request.
pub const MAX_ENTRIES: usize = 64;

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem { field: fault.pointer, message: fault.message }
    }
}

/// Reads a ceiling; an empty one lets nothing through.
pub(super) fn read(value: &Value, at: &str) -> Read<Ceiling> {
    entries(0..=MAX_ENTRIES)(value, at).map(Ceiling::new)
}

/// Reads entries.
pub(super) fn entries(
    count: RangeInclusive<usize>,
) -> impl Fn(&Value, &str) -> Read<Vec<CeilingEntry>> {
    form::list(count, |value, at| form::object(value, at, entry))
}

fn entry(form: &mut Form<'_>) -> Option<CeilingEntry> {
    let resource = form.required("resource", form::parsed(ResourceId::parse));
    let scope = form.required("scope", form::parsed(Scope::parse));
    if scope.as_ref().is_some_and(Scope::is_empty) {
        form.problem("scope", "allows nothing: name the scopes that the tools need");
    }
    let tools = form.maybe("tools", |value, at| {
        tools_from_json(form::as_object(value, at)?, at).map_err(|fault| vec![fault.into()])
    });
    Some(CeilingEntry { resource: resource?, scope: scope?, tools: tools? })
}

/// Writes entries.
pub(super) fn to_json(entries: &[CeilingEntry]) -> Value {
    let written = entries.iter().map(|entry| {
        let mut object = Object::new();
        object.insert("resource", entry.resource.as_str());
        object.insert("scope", entry.scope.to_string());
        if let Some(tools) = &entry.tools {
            object.insert("tools", tools_to_json(tools));
        }
        Value::Object(object)
    });
    Value::Array(written.collect())
}
