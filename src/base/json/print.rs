//! Writing: compact, and in one canonical form for hashing.

use std::fmt::Write as _;

use crate::base::json::{Object, Value};

/// `text` as a JSON string literal, quotes included.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    push_string(&mut out, text);
    out
}

impl Value {
    /// The value as JSON without white space, members in their order.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        push_value(&mut out, self, Order::Kept);
        out
    }

    /// The one text that equal values share: members sorted by UTF-16 code units as in RFC 8785
    /// section 3.2.3, numbers by value. For hashing and comparing.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        push_value(&mut out, self, Order::Sorted);
        out
    }
}

impl Object {
    /// As [`Value::to_json`].
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        push_object(&mut out, self, Order::Kept);
        out
    }

    /// As [`Value::canonical`].
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        push_object(&mut out, self, Order::Sorted);
        out
    }
}

#[derive(Clone, Copy)]
enum Order {
    Kept,
    Sorted,
}

fn push_value(out: &mut String, value: &Value, order: Order) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        // Writing to a `String` cannot fail.
        Value::Number(number) => drop(write!(out, "{number}")),
        Value::String(text) => push_string(out, text),
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_value(out, value, order);
            }
            out.push(']');
        }
        Value::Object(object) => push_object(out, object, order),
    }
}

fn push_object(out: &mut String, object: &Object, order: Order) {
    let mut members: Vec<_> = object.iter().collect();
    if let Order::Sorted = order {
        members.sort_unstable_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
    }
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, name);
        out.push(':');
        push_value(out, value, order);
    }
    out.push('}');
}

/// Writes `text` behind `out` as [`quote`] does.
///
/// Escapes what must be escaped and nothing else (RFC 8785 section 3.2.2.2). All of that is ASCII, so
/// that what stands between is copied as it is.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some((plain, behind)) =
        rest.bytes().position(is_escaped).and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        let mut characters = behind.chars();
        if let Some(character) = characters.next() {
            push_escaped(out, character);
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

const fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | ..0x20)
}

fn push_escaped(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // Writing to a `String` cannot fail.
        other => drop(write!(out, "\\u{:04x}", u32::from(other))),
    }
}
