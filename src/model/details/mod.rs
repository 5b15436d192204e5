//! Named tools with their constraints as JSON: one form, shared by what clients ask for, by what
//! tokens say and by an administrator's ceilings.
//!
//! RFC 9396 section 5: what is not understood is refused, never skipped. The schema is closed at
//! every level. What stands around the tools is not written here.

use std::collections::BTreeMap;

use crate::base::{
    json::{Object, Value},
    text::pointer,
};

mod constraint;

pub use constraint::{KINDS, argument_to_json};

use super::{
    authority::{Authority, ToolName},
    constraint::{Argument, Arguments, ClaimFault, ClaimName, Misplaced, Shape, SubjectClaims},
};

/// What may be passed to each of some tools.
pub type NamedTools<C> = BTreeMap<ToolName, Arguments<C>>;

/// Why some JSON is not a map of tools.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct Fault {
    /// The place, as a JSON Pointer.
    pub pointer: String,
    /// What is wrong there, and what is wanted.
    pub message: String,
}

impl Fault {
    /// A fault at a place.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { pointer: pointer.into(), message: message.into() }
    }
}

/// Reads `{tool: {argument: constraint}}`; `at` points to it. `{}` for a tool permits any
/// arguments; no tool at all is a fault.
pub fn tools_from_json(tools: &Object, at: &str) -> Result<NamedTools<ClaimName>, Fault> {
    if tools.is_empty() {
        return Err(Fault::at(at, "names no tool: name at least one, or leave `tools` out"));
    }
    if tools.len() > Authority::MAX_TOOLS {
        let most = Authority::MAX_TOOLS;
        return Err(Fault::at(at, format!("names more than {most} tools")));
    }
    let mut read = BTreeMap::new();
    for (name, arguments) in tools.iter() {
        let at = pointer(at, name);
        let name = ToolName::parse(name).map_err(|e| Fault::at(&at, e.to_string()))?;
        read.insert(name, arguments_from_json(arguments, &at)?);
    }
    Ok(read)
}

/// The same tools with every claim of the subject looked up.
pub fn resolve(
    tools: NamedTools<ClaimName>,
    claims: &SubjectClaims,
) -> Result<BTreeMap<ToolName, Arguments>, ClaimFault> {
    tools.into_iter().map(|(name, arguments)| Ok((name, arguments.resolve(claims)?))).collect()
}

/// Writes what [`tools_from_json`] reads, tools and arguments in order.
pub fn tools_to_json<C: AsRef<str>>(tools: &NamedTools<C>) -> Value {
    let written = tools.iter().map(|(name, arguments)| {
        let arguments = match arguments {
            Arguments::Any => Object::new(),
            Arguments::Closed(shape) => shape_to_json(shape),
        };
        (name.as_str(), arguments)
    });
    Value::Object(written.collect())
}

fn arguments_from_json(value: &Value, at: &str) -> Result<Arguments<ClaimName>, Fault> {
    let arguments = object(value, at, "{argument: constraint}, or {} for any arguments")?;
    if arguments.is_empty() {
        return Ok(Arguments::Any);
    }
    let mut named: Vec<(String, Argument<ClaimName>)> = Vec::with_capacity(arguments.len());
    for (key, argument) in arguments.iter() {
        named.push((key.to_owned(), constraint::argument_from_json(argument, &pointer(at, key))?));
    }
    let misplaced =
        |Misplaced { pointer: key, why, .. }| Fault::at(pointer(at, &key), why.to_string());
    Shape::of(named).map(Arguments::Closed).map_err(misplaced)
}

fn shape_to_json<C: AsRef<str>>(shape: &Shape<C>) -> Object {
    shape
        .pointers()
        .into_iter()
        .map(|(pointer, argument)| (short(&pointer), argument_to_json(argument)))
        .collect()
}

/// A pointer of one plain segment loses its slash: `order_id`, as people write it.
fn short(pointer: &str) -> String {
    let plain = pointer.strip_prefix('/').filter(|name| !name.contains(['/', '~']));
    plain.unwrap_or(pointer).to_owned()
}

fn object<'a>(value: &'a Value, at: &str, wanted: &str) -> Result<&'a Object, Fault> {
    value
        .as_object()
        .ok_or_else(|| Fault::at(at, format!("is {}, expected {wanted}", value.type_name())))
}
