//! Writing JSON straight into one buffer, member by member, in the order given.

use std::fmt::{Display, Write as _};

use super::json;

/// A JSON object being written. Absent members are left out, never written as `null`: several
/// OAuth clients refuse `null` for an optional member.
#[derive(Debug)]
pub struct ObjectWriter {
    out: String,
    empty: bool,
}

impl Default for ObjectWriter {
    fn default() -> Self {
        ObjectWriter::new()
    }
}

impl ObjectWriter {
    /// An object with no members yet.
    pub fn new() -> ObjectWriter {
        let mut out = String::with_capacity(512);
        out.push('{');
        ObjectWriter { out, empty: true }
    }

    /// An object that begins with the members of `object`, which is one as [`Self::finish`] gives it.
    pub fn after(object: &str) -> ObjectWriter {
        let members = object.strip_suffix('}').unwrap_or("{");
        let mut out = String::with_capacity(members.len().saturating_add(256));
        out.push_str(members);
        ObjectWriter { out, empty: members.len() <= 1 }
    }

    /// A text member.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> ObjectWriter {
        self.name(name);
        json::push_string(&mut self.out, value);
        self
    }

    /// A text member, where there is one.
    #[must_use]
    pub fn maybe_text(self, name: &str, value: Option<&str>) -> ObjectWriter {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// A whole number.
    #[must_use]
    pub fn number(self, name: &str, value: i64) -> ObjectWriter {
        self.shown(name, value)
    }

    /// A whole number that is not negative.
    #[must_use]
    pub fn count(self, name: &str, value: u64) -> ObjectWriter {
        self.shown(name, value)
    }

    /// A truth value.
    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> ObjectWriter {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// An array of texts.
    #[must_use]
    pub fn texts<'a>(self, name: &str, values: impl IntoIterator<Item = &'a str>) -> ObjectWriter {
        let quoted: Vec<String> = values.into_iter().map(json::quote).collect();
        self.raw(name, &format!("[{}]", quoted.join(",")))
    }

    /// A member whose value is JSON text already.
    #[must_use]
    pub fn raw(mut self, name: &str, json: &str) -> ObjectWriter {
        self.name(name);
        self.out.push_str(json);
        self
    }

    /// A member whose value is JSON text already, where there is one.
    #[must_use]
    pub fn maybe_raw(self, name: &str, json: Option<&str>) -> ObjectWriter {
        match json {
            Some(json) => self.raw(name, json),
            None => self,
        }
    }

    fn shown(mut self, name: &str, value: impl Display) -> ObjectWriter {
        self.name(name);
        // Writing to a `String` cannot fail.
        _ = write!(self.out, "{value}");
        self
    }

    /// What stands before a value.
    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        json::push_string(&mut self.out, name);
        self.out.push(':');
    }

    /// The finished text.
    pub fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }
}
