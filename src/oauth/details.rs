//! The wire form of `authorization_details` (RFC 9396) for our one type, `mcp_tool_call`.
//!
//! One object for each location: `{"type":"mcp_tool_call","locations":[uri],"tools":{…},
//! "max_calls":n}`. What stands in `tools` is `model::details`' matter. Nothing here decides what may
//! be granted.

use std::collections::BTreeMap;

use crate::{
    base::{
        json::{self, Limits, Object, Value},
        text::{pointer, shown},
    },
    model::{
        authority::{Authority, Entry, ToolName, Tools},
        constraint::{ClaimFault, ClaimName, Never, SubjectClaims},
        details::{Fault, NamedTools, resolve, tools_from_json, tools_to_json},
        max_calls::MaxCalls,
        uri::Uri,
    },
};

/// The only `type` that is understood. RFC 9396 section 2.
pub const TYPE: &str = "mcp_tool_call";
/// The longest `authorization_details`, in bytes: more would not fit into a hand-over anyway.
pub const MAX_BYTES: usize = 16_384;
/// The deepest nesting. A token puts them one level deeper, an answer three, and both must be read
/// again under [`Limits::DEFAULT`].
pub const MAX_DEPTH: usize = 28;

/// The tools that are named for one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedEntry<C = ClaimName> {
    /// The resource they belong to.
    pub location: Uri,
    /// The tools, at least one.
    pub tools: NamedTools<C>,
    /// How many calls; `None` asks for what is held.
    pub max_calls: Option<u32>,
}

impl RequestedEntry {
    /// The entry with every claim of the subject looked up.
    pub fn resolve(self, claims: &SubjectClaims) -> Result<RequestedEntry<Never>, ClaimFault> {
        let tools = resolve(self.tools, claims)?;
        Ok(RequestedEntry { location: self.location, tools, max_calls: self.max_calls })
    }
}

/// Why `authorization_details` cannot be accepted: `invalid_authorization_details` (RFC 9396
/// section 5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DetailsError {
    /// Not JSON, or too much of it.
    #[error("authorization_details: {0}")]
    Json(#[from] json::JsonError),
    /// JSON, but not what is wanted at this place.
    #[error(transparent)]
    Content(#[from] Fault),
}

/// Reads the form parameter. RA-1, RA-2: an unknown type, member or value is refused.
pub fn parse(text: &str) -> Result<Vec<RequestedEntry>, DetailsError> {
    let limits = Limits { max_bytes: MAX_BYTES, max_depth: MAX_DEPTH, ..Limits::DEFAULT };
    Ok(read(&json::parse(text.as_bytes(), &limits)?)?)
}

/// Reads a value that was parsed already: the claim of a token, or a member of a document.
pub fn read(value: &Value) -> Result<Vec<RequestedEntry>, Fault> {
    let most = Authority::MAX_LOCATIONS;
    let objects = value
        .as_array()
        .ok_or_else(|| Fault::at("", "authorization_details must be a JSON array of objects"))?;
    if objects.is_empty() || objects.len() > most {
        return Err(Fault::at("", format!("authorization_details must have 1 to {most} entries")));
    }
    let mut entries: Vec<RequestedEntry> = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        let at = format!("/{index}");
        let entry = entry(object, &at)?;
        if entries.iter().any(|e| e.location == entry.location) {
            let message = "names a location twice: put all its tools into one entry";
            return Err(Fault::at(format!("{at}/locations/0"), message));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Prints the entries that name tools, in order of location; `[]` when none does.
pub fn write(authority: &Authority) -> String {
    let entries: Vec<String> = authority
        .iter()
        .filter_map(|(location, entry)| write_entry(location.as_str(), entry))
        .collect();
    format!("[{}]", entries.join(","))
}

/// Prints one entry. `None` when it names no tools: its scopes say all there is.
pub fn write_entry(location: &str, entry: &Entry) -> Option<String> {
    match &entry.tools {
        Tools::Undetailed => None,
        Tools::Named(tools) => Some(write_tools(location, tools, &entry.max_calls)),
    }
}

/// Prints one tool of an entry, as an entry of its own. `None` when the entry does not name it.
pub fn write_tool(location: &str, entry: &Entry, tool: &ToolName) -> Option<String> {
    match &entry.tools {
        Tools::Undetailed => None,
        Tools::Named(tools) => {
            let arguments = tools.get(tool)?.clone();
            let tools = BTreeMap::from([(tool.clone(), arguments)]);
            Some(write_tools(location, &tools, &entry.max_calls))
        }
    }
}

fn write_tools<C: AsRef<str>>(
    location: &str,
    tools: &NamedTools<C>,
    max_calls: &MaxCalls,
) -> String {
    let calls = max_calls.narrowest().map(|calls| ("max_calls", Value::from(i64::from(calls))));
    let members = [
        ("type", Value::from(TYPE)),
        ("locations", vec![location.into()].into()),
        // An entry without tools is printed all the same: nobody reads it, whereas leaving it out
        // would read as "not limited to tools".
        ("tools", tools_to_json(tools)),
    ];
    members.into_iter().chain(calls).collect::<Object>().to_json()
}

fn entry(value: &Value, at: &str) -> Result<RequestedEntry, Fault> {
    let object = value
        .as_object()
        .ok_or_else(|| Fault::at(at, "must be an object with type, locations and tools"))?;
    match object.get("type") {
        Some(Value::String(kind)) if kind == TYPE => {}
        Some(Value::String(kind)) => {
            let message = format!("unknown type {}, expected `{TYPE}`", shown(kind));
            return Err(Fault::at(pointer(at, "type"), message));
        }
        _ => return Err(Fault::at(pointer(at, "type"), format!("must be `{TYPE}`"))),
    }
    let known = |name: &str| matches!(name, "type" | "locations" | "tools" | "max_calls");
    if let Some((name, _)) = object.iter().find(|(name, _)| !known(name)) {
        let message =
            format!("`{TYPE}` has no such member: it has type, locations, tools and max_calls");
        return Err(Fault::at(pointer(at, name), message));
    }
    let location = location(object.get("locations"), &pointer(at, "locations"))?;
    let max_calls = max_calls(object.get("max_calls"), &pointer(at, "max_calls"))?;
    let at = pointer(at, "tools");
    let tools = object
        .get("tools")
        .and_then(Value::as_object)
        .ok_or_else(|| Fault::at(&at, "must be an object that names tools"))?;
    Ok(RequestedEntry { location, tools: tools_from_json(tools, &at)?, max_calls })
}

fn max_calls(value: Option<&Value>, at: &str) -> Result<Option<u32>, Fault> {
    let Some(value) = value else { return Ok(None) };
    let most = MaxCalls::MOST;
    let calls = value.as_i64().and_then(|calls| u32::try_from(calls).ok());
    match calls.filter(|calls| (1..=most).contains(calls)) {
        Some(calls) => Ok(Some(calls)),
        None => Err(Fault::at(at, format!("must be a whole number from 1 to {most}"))),
    }
}

/// RFC 9396 section 2.2: `locations` is an array. We take exactly one location in each entry, so
/// that tools of one server are never read as tools of another.
fn location(value: Option<&Value>, at: &str) -> Result<Uri, Fault> {
    match value.and_then(Value::as_array) {
        Some([Value::String(uri)]) => {
            Uri::parse(uri).map_err(|e| Fault::at(pointer(at, "0"), e.to_string()))
        }
        Some([_, _, ..]) => Err(Fault::at(at, "must have one location: write one entry for each")),
        _ => Err(Fault::at(at, "must be an array with one URI")),
    }
}

#[cfg(test)]
#[path = "details_tests.rs"]
mod tests;
