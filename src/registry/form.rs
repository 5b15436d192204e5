//! Reading one object member by member: each read is typed, remembers what may be there, and
//! gathers problems instead of stopping at the first. No document's members are named here.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive};

use super::Problem;
use crate::{
    base::{
        json::{self, Limits, Object, Value},
        text::{pointer, shown},
    },
    model::signing::SigningAlgorithm,
};

/// What reading yields: the value, or everything that is wrong.
pub type Read<T> = Result<T, Vec<Problem>>;

/// For documents. Request bodies are bounded before; a stored row may be a little longer than the
/// body it came in, because it spells out every default.
pub const LIMITS: Limits = Limits { max_bytes: 262_144, ..Limits::DEFAULT };
/// The longest name for people, in bytes.
pub const MAX_LABEL_BYTES: usize = 200;
/// The longest other text (a URL, a claim name, a foreign client id), in bytes.
pub const MAX_TEXT_BYTES: usize = 512;

/// An object whose members are being read.
pub struct Form<'a> {
    object: &'a Object,
    at: &'a str,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

/// Reads a whole document.
pub fn document<T>(text: &str, read: impl FnOnce(&mut Form<'_>) -> Option<T>) -> Read<T> {
    object(&value(text.as_bytes())?, "", read)
}

/// The JSON of a document.
pub fn value(bytes: &[u8]) -> Read<Value> {
    json::parse(bytes, &LIMITS).map_err(|e| problem("", e.to_string()))
}

/// Reads an object that has no other members than those asked for.
pub fn object<T>(
    value: &Value,
    at: &str,
    read: impl FnOnce(&mut Form<'_>) -> Option<T>,
) -> Read<T> {
    with(value, at, |form| {
        let built = read(form);
        form.refuse_unknown();
        built
    })
}

/// Reads an object of somebody else's: members that are not asked for are ignored.
pub fn foreign<T>(
    value: &Value,
    at: &str,
    read: impl FnOnce(&mut Form<'_>) -> Option<T>,
) -> Read<T> {
    with(value, at, read)
}

fn with<T>(value: &Value, at: &str, read: impl FnOnce(&mut Form<'_>) -> Option<T>) -> Read<T> {
    let object = as_object(value, at)?;
    let mut form = Form { object, at, known: Vec::new(), problems: Vec::new() };
    match (read(&mut form), form.problems) {
        (Some(built), problems) if problems.is_empty() => Ok(built),
        (None, problems) if problems.is_empty() => Err(problem(at, "cannot be read")),
        (_, problems) => Err(problems),
    }
}

impl<'a> Form<'a> {
    /// A member that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Value, &str) -> Read<T>,
    ) -> Option<T> {
        let Some(value) = self.member(name) else {
            self.problem(name, "is missing");
            return None;
        };
        self.keep(read(value, &pointer(self.at, name)))
    }

    /// A member that may be left out.
    pub fn or<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&'a Value, &str) -> Read<T>,
    ) -> Option<T> {
        match self.member(name) {
            Some(value) => self.keep(read(value, &pointer(self.at, name))),
            None => Some(default),
        }
    }

    /// A member that means something by being absent. The outer `None` is a problem.
    #[expect(clippy::option_option, reason = "the two absences differ: a problem, or left out")]
    pub fn maybe<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Value, &str) -> Read<T>,
    ) -> Option<Option<T>> {
        self.or(name, None, |value, at| read(value, at).map(Some))
    }

    /// A member that may stand there and is not read.
    pub fn ignored(&mut self, name: &'static str) {
        self.known.push(name);
    }

    /// Says that something is wrong with a member.
    pub fn problem(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(Problem { field: pointer(self.at, name), message: message.into() });
    }

    /// Says that something is wrong with the object as a whole.
    pub fn problem_here(&mut self, message: impl Into<String>) {
        self.problems.extend(problem(self.at, message));
    }

    /// Says that something is wrong further down; `path` is the rest of the pointer.
    pub fn problem_below(&mut self, path: &str, message: impl Into<String>) {
        self.problems.extend(problem(&format!("{}/{path}", self.at), message));
    }

    /// The value read, or its problems kept.
    pub fn keep<T>(&mut self, read: Read<T>) -> Option<T> {
        read.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn member(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object.get(name)
    }

    fn refuse_unknown(&mut self) {
        let known = self.known.join("`, `");
        for (name, _) in self.object.iter() {
            if !self.known.contains(&name) {
                self.problem(name, format!("is unknown here: the members are `{known}`"));
            }
        }
    }
}

/// One problem.
pub fn problem(at: &str, message: impl Into<String>) -> Vec<Problem> {
    vec![Problem { field: at.to_owned(), message: message.into() }]
}

/// An object's members.
pub fn as_object<'a>(value: &'a Value, at: &str) -> Read<&'a Object> {
    value.as_object().ok_or_else(|| wrong_type(value, at, "an object"))
}

/// A text of 1 to [`MAX_TEXT_BYTES`] bytes without control characters.
pub fn text(value: &Value, at: &str) -> Read<String> {
    bounded_text(value, at, MAX_TEXT_BYTES)
}

/// A name for people.
pub fn label(value: &Value, at: &str) -> Read<String> {
    bounded_text(value, at, MAX_LABEL_BYTES)
}

fn bounded_text(value: &Value, at: &str, max: usize) -> Read<String> {
    let text = string(value, at)?;
    if text.is_empty() || text.len() > max || text.contains(char::is_control) {
        return Err(problem(at, format!("must be 1 to {max} bytes without control characters")));
    }
    Ok(text.to_owned())
}

/// A text of any form.
pub fn string<'a>(value: &'a Value, at: &str) -> Read<&'a str> {
    value.as_str().ok_or_else(|| wrong_type(value, at, "a string"))
}

/// A truth value.
pub fn flag(value: &Value, at: &str) -> Read<bool> {
    value.as_bool().ok_or_else(|| wrong_type(value, at, "`true` or `false`"))
}

/// A whole number within a range.
pub fn number(range: RangeInclusive<i64>) -> impl Fn(&Value, &str) -> Read<i64> {
    move |value, at| {
        value.as_i64().filter(|n| range.contains(n)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            problem(at, format!("must be a whole number from {least} to {most}"))
        })
    }
}

/// A text that a parser of the model understands.
pub fn parsed<T, E: Display>(
    parse: impl Fn(&str) -> Result<T, E>,
) -> impl Fn(&Value, &str) -> Read<T> {
    move |value, at| {
        let text = string(value, at)?;
        parse(text).map_err(|e| problem(at, format!("{} is refused: {e}", shown(text))))
    }
}

/// One of a few words.
pub fn word<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Value, &str) -> Read<T> {
    move |value, at| {
        let text = value.as_str().unwrap_or_default();
        words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            problem(at, format!("must be one of `{}`", all.join("`, `")))
        })
    }
}

/// One of the algorithms that we sign with.
pub fn signing_algorithm(value: &Value, at: &str) -> Read<SigningAlgorithm> {
    word(&SigningAlgorithm::ALL.map(|signing| (signing.as_str(), signing)))(value, at)
}

/// An array, every value read the same way, how many within a range.
pub fn list<T>(
    count: RangeInclusive<usize>,
    read: impl Fn(&Value, &str) -> Read<T>,
) -> impl Fn(&Value, &str) -> Read<Vec<T>> {
    move |value, at| {
        let values = value.as_array().ok_or_else(|| wrong_type(value, at, "an array"))?;
        counted(values.len(), &count, at)?;
        gather(values.iter().enumerate().map(|(i, v)| read(v, &pointer(at, &i.to_string()))))
    }
}

/// An object that maps names to values, every value read the same way.
pub fn map<K: Ord, V, E: Display>(
    count: RangeInclusive<usize>,
    key: impl Fn(&str) -> Result<K, E>,
    read: impl Fn(&Value, &str) -> Read<V>,
) -> impl Fn(&Value, &str) -> Read<BTreeMap<K, V>> {
    move |value, at| {
        let members = as_object(value, at)?;
        counted(members.len(), &count, at)?;
        let pairs = members.iter().map(|(name, value)| {
            let at = pointer(at, name);
            let key =
                key(name).map_err(|e| problem(&at, format!("{} is refused: {e}", shown(name))));
            match (key, read(value, &at)) {
                (Ok(key), Ok(value)) => Ok((key, value)),
                (key, value) => Err(key.err().into_iter().chain(value.err()).flatten().collect()),
            }
        });
        Ok(gather(pairs)?.into_iter().collect())
    }
}

fn counted(len: usize, count: &RangeInclusive<usize>, at: &str) -> Read<()> {
    if count.contains(&len) {
        return Ok(());
    }
    Err(problem(at, format!("must have {} to {} values", count.start(), count.end())))
}

/// All values, or all problems of all of them.
pub fn gather<T>(reads: impl Iterator<Item = Read<T>>) -> Read<Vec<T>> {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for read in reads {
        match read {
            Ok(value) => values.push(value),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

fn wrong_type(value: &Value, at: &str, wanted: &str) -> Vec<Problem> {
    problem(at, format!("is {}, must be {wanted}", value.type_name()))
}

/// An array of texts, for writing.
pub fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(texts.into_iter().map(Value::from).collect())
}
