//! The arguments of a tool as Cedar sees them: a type for every argument whose JSON Schema says one
//! that Cedar has, and values of that type.
//!
//! Integer → Long, number → decimal (at most four places), text → String, truth value → Bool, array
//! of one of these → Set, object with known members → Record. An absent or null argument is an
//! absent attribute, so every attribute is optional and must be asked for with `has`. What has no
//! such type no policy can mention; what does not fit its type is named instead of guessed.

use std::{cell::Cell, collections::BTreeMap};

use cedar_policy::RestrictedExpression;
use serde_json::json;

use crate::base::{
    json::{Object, Value},
    text::pointer,
};

/// The type of an argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Long,
    Decimal,
    Text,
    Bool,
    Set(Box<Shape>),
    Record(Members),
}

/// The members of a record, all of them optional.
pub(super) type Members = BTreeMap<String, Shape>;

/// How deep arguments and references are followed.
const MAX_DEPTH: usize = 8;
/// The most shapes of one tool: references can make a short schema endless, and it is a server that
/// writes it.
const MAX_SHAPES: usize = 512;
/// The places behind the point of a Cedar decimal.
const DECIMAL_PLACES: u8 = 4;

/// What a policy may know of the arguments of a tool with this input schema.
pub(super) fn arguments(schema: &Value) -> Members {
    let left = Cell::new(MAX_SHAPES);
    let read = schema.as_object().map(|root| Schema { root, left: &left }.members(root, MAX_DEPTH));
    read.unwrap_or_default()
}

/// The names of the arguments that a tool with this input schema publishes, typed or not.
pub(super) fn published(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema.as_object().and_then(|root| root.get("properties")?.as_object());
    properties.into_iter().flat_map(Object::iter).map(|(name, _)| name)
}

/// A JSON Schema and what its references point into.
#[derive(Clone, Copy)]
struct Schema<'a> {
    root: &'a Object,
    /// How many more shapes are looked for. What is beyond has none.
    left: &'a Cell<usize>,
}

impl<'a> Schema<'a> {
    fn members(self, schema: &'a Object, depth: usize) -> Members {
        let properties = schema.get("properties").and_then(Value::as_object);
        let known = properties.into_iter().flat_map(Object::iter);
        known.filter_map(|(name, of)| Some((name.to_owned(), self.shape(of, depth)?))).collect()
    }

    fn shape(self, schema: &'a Value, depth: usize) -> Option<Shape> {
        let depth = depth.checked_sub(1)?;
        self.left.set(self.left.get().checked_sub(1)?);
        let schema = schema.as_object()?;
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return self.shape(self.referred(target)?, depth);
        }
        if let Some(other) = schema.get("anyOf").or(schema.get("oneOf")).and_then(only_one) {
            return self.shape(other, depth);
        }
        match type_name(schema)? {
            "integer" => Some(Shape::Long),
            "number" => Some(Shape::Decimal),
            "string" => Some(Shape::Text),
            "boolean" => Some(Shape::Bool),
            "array" => match self.shape(schema.get("items")?, depth)? {
                Shape::Set(_) | Shape::Record(_) => None,
                plain => Some(Shape::Set(Box::new(plain))),
            },
            "object" => {
                Some(Shape::Record(self.members(schema, depth))).filter(|shape| !shape.is_bare())
            }
            _ => None,
        }
    }

    /// What a reference within the schema points at: `#/$defs/Name`.
    fn referred(self, target: &str) -> Option<&'a Value> {
        let mut segments = target.strip_prefix("#/")?.split('/');
        let first = self.root.get(segments.next()?)?;
        segments.try_fold(first, |value, name| {
            value.as_object()?.get(&name.replace("~1", "/").replace("~0", "~"))
        })
    }
}

/// The alternative beside `null`, if there is just one.
fn only_one(alternatives: &Value) -> Option<&Value> {
    let is_null = |value: &&Value| {
        let kind = value.as_object().and_then(|schema| schema.get("type"));
        kind.and_then(Value::as_str) == Some("null")
    };
    let mut others = alternatives.as_array()?.iter().filter(|value| !is_null(value));
    others.next().filter(|_| others.next().is_none())
}

/// The one type of a schema, beside `null`; for an enumeration, that of its values.
fn type_name(schema: &Object) -> Option<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Array(names)) => {
            let mut others = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            others.next().filter(|_| others.next().is_none())
        }
        Some(_) => None,
        None => {
            let all_text = |values: &[Value]| values.iter().all(|v| v.as_str().is_some());
            let values = schema.get("enum")?.as_array()?;
            all_text(values).then_some("string")
        }
    }
}

impl Shape {
    fn is_bare(&self) -> bool {
        matches!(self, Shape::Record(members) if members.is_empty())
    }

    /// The type in Cedar's JSON schema format.
    fn to_json(&self) -> serde_json::Value {
        match self {
            Shape::Long => json!({ "type": "Long" }),
            Shape::Decimal => json!({ "type": "Extension", "name": "decimal" }),
            Shape::Text => json!({ "type": "String" }),
            Shape::Bool => json!({ "type": "Boolean" }),
            Shape::Set(of) => json!({ "type": "Set", "element": of.to_json() }),
            Shape::Record(members) => record(members),
        }
    }

    /// A value of this type; `None` if it is none, which is named in `unfit` from here on.
    fn value(&self, value: &Value, unfit: &mut Vec<String>) -> Option<Expression> {
        let fits = match (self, value) {
            (Shape::Long, Value::Number(n)) => n.as_i64().map(Expression::new_long),
            (Shape::Decimal, Value::Number(n)) => n.fixed_i64(DECIMAL_PLACES).map(decimal),
            (Shape::Text, Value::String(text)) => Some(Expression::new_string(text.clone())),
            (Shape::Bool, Value::Bool(truth)) => Some(Expression::new_bool(*truth)),
            (Shape::Set(of), Value::Array(values)) => {
                let all = values.iter().map(|value| of.value(value, &mut Vec::new()));
                all.collect::<Option<Vec<_>>>().map(Expression::new_set)
            }
            (Shape::Record(members), Value::Object(object)) => {
                return values(members, object, |_| true, unfit);
            }
            _ => None,
        };
        if fits.is_none() {
            unfit.push(String::new());
        }
        fits
    }
}

type Expression = RestrictedExpression;

/// A record type in Cedar's JSON schema format.
pub(super) fn record(members: &Members) -> serde_json::Value {
    let attributes: serde_json::Map<_, _> = members
        .iter()
        .map(|(name, shape)| {
            let mut of = shape.to_json();
            if let Some(of) = of.as_object_mut() {
                of.insert("required".to_owned(), json!(false));
            }
            (name.clone(), of)
        })
        .collect();
    json!({ "type": "Record", "attributes": attributes })
}

/// The members that are wanted, as a record; what does not fit is left out and named in `unfit` by a
/// JSON Pointer from here, as is what has no type at all.
pub(super) fn values(
    members: &Members,
    object: &Object,
    wanted: impl Fn(&str) -> bool,
    unfit: &mut Vec<String>,
) -> Option<Expression> {
    let mut fields = Vec::new();
    for (name, value) in
        object.iter().filter(|(name, value)| wanted(name) && **value != Value::Null)
    {
        let before = unfit.len();
        match members.get(name) {
            Some(shape) => {
                let value = shape.value(value, unfit);
                fields.extend(value.map(|value| (name.to_owned(), value)));
            }
            None => unfit.push(String::new()),
        }
        for below in unfit.iter_mut().skip(before) {
            below.insert_str(0, &pointer("", name));
        }
    }
    Expression::new_record(fields).ok()
}

/// A decimal of so many ten-thousandths.
fn decimal(scaled: i64) -> Expression {
    let unit = 10_u64.pow(u32::from(DECIMAL_PLACES));
    let (whole, part) =
        (scaled.unsigned_abs().div_euclid(unit), scaled.unsigned_abs().rem_euclid(unit));
    let sign = if scaled < 0 { "-" } else { "" };
    Expression::new_decimal(format!("{sign}{whole}.{part:04}"))
}
