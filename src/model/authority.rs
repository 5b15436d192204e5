//! Authority: what a token can do, and pass on. A map from location to tools to arguments.

use std::{borrow::Borrow, collections::BTreeMap, fmt, sync::Arc};

use super::{constraint::Arguments, max_calls::MaxCalls, scope::Scope, uri::Uri};

/// The name of a tool: 1 to 128 of `A-Z a-z 0-9 _ . -`, case-sensitive, unique within a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolName(Arc<str>);

/// Not a tool name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tool name is 1 to 128 of A-Z, a-z, 0-9, `_`, `.` and `-`")]
pub struct NotAToolName;

impl ToolName {
    /// Reads a tool name; no normalisation, so that look-alikes stay different.
    pub fn parse(raw: &str) -> Result<ToolName, NotAToolName> {
        let charset = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if raw.is_empty() || raw.len() > 128 || !raw.bytes().all(charset) {
            return Err(NotAToolName);
        }
        Ok(ToolName(raw.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ToolName> for Arc<str> {
    fn from(name: ToolName) -> Arc<str> {
        name.0
    }
}

impl Borrow<str> for ToolName {
    /// For look-ups by text that need no copy; order and hash are the text's.
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which tools an entry covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tools {
    /// Every `read` and `write` tool that the scopes covered when the root was minted.
    Undetailed,
    /// These tools, with these arguments.
    Named(BTreeMap<ToolName, Arguments>),
}

/// What may be done at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The scopes held at this location.
    pub scope: Scope,
    /// The tools.
    pub tools: Tools,
    /// How many calls, of all its tools together.
    pub max_calls: MaxCalls,
}

/// Everything a delegation can do and pass on, by location. Empty means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority(BTreeMap<Uri, Entry>);

impl Authority {
    /// The most locations of one token.
    pub const MAX_LOCATIONS: usize = 16;
    /// The most tools of one entry.
    pub const MAX_TOOLS: usize = 128;

    /// An authority of the given entries.
    pub fn new(entries: BTreeMap<Uri, Entry>) -> Authority {
        Authority(entries)
    }

    /// The entry for one location.
    pub fn at(&self, location: &Uri) -> Option<&Entry> {
        self.0.get(location)
    }

    /// The entry for one location, written as a canonical URI.
    pub fn at_text(&self, location: &str) -> Option<&Entry> {
        self.0.get(location)
    }

    /// All entries, in order of location.
    pub fn iter(&self) -> impl Iterator<Item = (&Uri, &Entry)> {
        self.0.iter()
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
