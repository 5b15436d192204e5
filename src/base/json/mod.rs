//! The one strict reader of untrusted JSON, and the values it yields.
//!
//! Two programs that read one document differently are a way round every check between them, so
//! whatever RFC 8259 leaves open is refused here: repeated names, a byte order mark, lone
//! surrogates, numbers that a double would bend. Nothing here knows what a document means.

use std::fmt;

mod number;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use number::Number;
pub use parse::{parse, raw_members};
pub use print::{push_string, quote};

/// A JSON value. Numbers are equal by value, objects whatever the order of their members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An exact decimal.
    Number(Number),
    /// Text, unescaped.
    String(String),
    /// Values in order.
    Array(Vec<Value>),
    /// Members with unique names.
    Object(Object),
}

impl Value {
    /// What kind of value this is, as a sentence says it, in the words of JSON Schema (an integer is
    /// a number).
    pub const fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// The members, if this is an object.
    pub const fn as_object(&self) -> Option<&Object> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// The values, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(values) = self { Some(values) } else { None }
    }

    /// The truth value, if this is one.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The number, if this is one.
    pub const fn as_number(&self) -> Option<Number> {
        if let Value::Number(number) = self { Some(*number) } else { None }
    }

    /// The number, if this is one, has no fraction and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Value {
        Value::Array(values)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Value {
        Value::Object(object)
    }
}

/// The members of an object: unique names, in the order in which they were read or inserted.
///
/// Lookup is a walk: objects here have a handful of members, and never more than
/// [`Limits::max_members`] when they come from outside.
#[derive(Clone, Default)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// An object without members.
    pub const fn new() -> Object {
        Object(Vec::new())
    }

    /// The value of the member `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Whether there is a member `name`, whatever its value.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a member, in the place of an older one of that name or else at the end. Returns the
    /// older value.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        if let Some((_, old)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            return Some(std::mem::replace(old, value));
        }
        self.0.push((name, value));
        None
    }

    /// The members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The number of members.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sorted(&self) -> Vec<&(String, Value)> {
        let mut members: Vec<_> = self.0.iter().collect();
        members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        members
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (self.0 == other.0 || self.sorted() == other.sorted())
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Object {
    /// As by repeated [`Object::insert`]: of equal names the last value stays.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(members: I) -> Object {
        let mut object = Object::new();
        for (name, value) in members {
            object.insert(name, value);
        }
        object
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// How much JSON is read before giving up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole document.
    pub max_bytes: usize,
    /// Arrays and objects around a value. The reader recurses once for each.
    pub max_depth: usize,
    /// Members of one object, and values of one array.
    pub max_members: usize,
}

impl Limits {
    /// For a request body: 64 KiB, the largest that any route takes; 32 deep and 1,024 wide, far
    /// above what people write and far below what hurts.
    pub const DEFAULT: Limits = Limits { max_bytes: 65_536, max_depth: 32, max_members: 1_024 };
}

/// Why some bytes are not JSON that we read. `at` counts bytes from the start, from zero.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Longer than [`Limits::max_bytes`].
    #[error("the JSON text is longer than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// RFC 8259 section 8.1: JSON is UTF-8.
    #[error("the text is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first bad byte.
        at: usize,
    },
    /// RFC 8259 section 8.1: no byte order mark is written.
    #[error("the JSON text begins with a byte order mark")]
    ByteOrderMark,
    /// Something else than the grammar allows, or the end.
    #[error("expected {expected} at byte {at}")]
    Expected {
        /// What the grammar wants.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// Bytes after the one value.
    #[error("the JSON value ends at byte {at} but more follows")]
    Trailing {
        /// Where the rest begins.
        at: usize,
    },
    /// More than [`Limits::max_depth`].
    #[error("nested deeper than {max} at byte {at}")]
    TooDeep {
        /// The bound.
        max: usize,
        /// The array or object that is one too many.
        at: usize,
    },
    /// More than [`Limits::max_members`].
    #[error("more than {max} members in the array or object that reaches byte {at}")]
    TooMany {
        /// The bound.
        max: usize,
        /// The member that is one too many.
        at: usize,
    },
    /// A name occurs twice, in whatever spelling.
    #[error("the object at byte {at} has two members of one name")]
    Duplicate {
        /// Where the object begins.
        at: usize,
    },
    /// A control character, an unknown escape or half of a surrogate pair.
    #[error("the string is malformed at byte {at}")]
    BadString {
        /// Where.
        at: usize,
    },
    /// More digits or a larger exponent than a [`Number`] holds.
    #[error("the number at byte {at} has more than 34 digits or an exponent beyond 308")]
    BadNumber {
        /// Where it begins.
        at: usize,
    },
}
