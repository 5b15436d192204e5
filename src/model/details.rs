//! Named tools with their constraints as JSON: one form, shared by what clients ask for, by what
//! tokens say and by an administrator's ceilings.
//!
//! RFC 9396 section 5: what is not understood is refused, never skipped. The schema is closed at
//! every level. What stands around the tools is not written here.

use std::collections::BTreeMap;

use crate::base::{
    json::{Object, Value},
    text::{pointer, shown},
};

use super::{
    authority::{Authority, ToolName},
    constraint::{Arguments, Constraint, Shape},
};

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
pub fn tools_from_json(tools: &Object, at: &str) -> Result<BTreeMap<ToolName, Arguments>, Fault> {
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

/// Writes what [`tools_from_json`] reads, tools and arguments in order.
///
/// A closed shape without arguments has no JSON form, because `{}` permits any arguments: such a
/// tool is left out, and so not granted.
pub fn tools_to_json(tools: &BTreeMap<ToolName, Arguments>) -> Value {
    let written = tools.iter().filter_map(|(name, arguments)| {
        let arguments = match arguments {
            Arguments::Any => Object::new(),
            Arguments::Closed(shape) => {
                Some(shape_to_json(shape)).filter(|object| !object.is_empty())?
            }
        };
        Some((name.as_str(), arguments))
    });
    Value::Object(written.collect())
}

fn arguments_from_json(value: &Value, at: &str) -> Result<Arguments, Fault> {
    let arguments = object(value, at, "{argument: constraint}, or {} for any arguments")?;
    if arguments.is_empty() {
        return Ok(Arguments::Any);
    }
    let mut shape = Shape::default();
    for (key, constraint) in arguments.iter() {
        let at = pointer(at, key);
        let constraint = constraint_from_json(constraint, &at)?;
        shape.constrain(key, constraint).map_err(|e| Fault::at(&at, e.to_string()))?;
    }
    Ok(Arguments::Closed(shape))
}

fn shape_to_json(shape: &Shape) -> Object {
    shape
        .pointers()
        .into_iter()
        .map(|(pointer, constraint)| (short(&pointer), constraint_to_json(constraint)))
        .collect()
}

/// A pointer of one plain segment loses its slash: `order_id`, as people write it.
fn short(pointer: &str) -> String {
    let plain = pointer.strip_prefix('/').filter(|name| !name.contains(['/', '~']));
    plain.unwrap_or(pointer).to_owned()
}

fn constraint_from_json(value: &Value, at: &str) -> Result<Constraint, Fault> {
    let constraint = object(value, at, "a constraint: an object with `constraint_type`")?;
    let kind = constraint
        .get("constraint_type")
        .and_then(Value::as_str)
        .ok_or_else(|| Fault::at(at, "needs `constraint_type`: `exact`, `one_of` or `wildcard`"))?;
    let operand = match kind {
        "exact" => Some("value"),
        "one_of" => Some("values"),
        "wildcard" => None,
        // RA-2: a constraint that we cannot check is refused, never skipped.
        _ => return Err(Fault::at(at, format!("unknown constraint_type {}", shown(kind)))),
    };
    let known = |name: &str| name == "constraint_type" || operand == Some(name);
    if let Some((name, _)) = constraint.iter().find(|(name, _)| !known(name)) {
        return Err(Fault::at(pointer(at, name), format!("`{kind}` has no such member")));
    }
    let Some(operand) = operand else {
        return Ok(Constraint::Wildcard);
    };
    let value = constraint
        .get(operand)
        .ok_or_else(|| Fault::at(at, format!("`{kind}` needs `{operand}`")))?;
    if kind == "exact" {
        return Ok(Constraint::Exact(value.clone()));
    }
    match value.as_array() {
        Some(values) if (1..=Constraint::MAX_VALUES).contains(&values.len()) => {
            Ok(Constraint::OneOf(values.to_vec()))
        }
        _ => Err(Fault::at(
            pointer(at, operand),
            format!("must be an array of 1 to {} values", Constraint::MAX_VALUES),
        )),
    }
}

/// Writes one constraint, as it stands behind an argument's name.
pub fn constraint_to_json(constraint: &Constraint) -> Object {
    let kind = |kind: &str| ("constraint_type", Value::from(kind));
    match constraint {
        Constraint::Exact(value) => [kind("exact"), ("value", value.clone())].into_iter().collect(),
        Constraint::OneOf(values) => {
            [kind("one_of"), ("values", values.clone().into())].into_iter().collect()
        }
        Constraint::Wildcard => [kind("wildcard")].into_iter().collect(),
    }
}

fn object<'a>(value: &'a Value, at: &str, wanted: &str) -> Result<&'a Object, Fault> {
    value
        .as_object()
        .ok_or_else(|| Fault::at(at, format!("is a {}, expected {wanted}", value.type_name())))
}
