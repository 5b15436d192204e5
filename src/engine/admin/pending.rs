//! A change of a tool that waits for an administrator: what it is, member by member, and what
//! becomes of it. That a server changed a tool is found by an import; nothing here reads a list.

use super::AT_THIS_WRITE;
use crate::{
    base::{
        json::{Object, Value},
        text::pointer,
        time::Timestamp,
    },
    model::resource::Tool,
    registry::{change::Settlement, tool::definition},
};

/// The most differences that are told one by one.
pub const MAX_DIFFERENCES: usize = 256;

/// One difference between what was accepted and what is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where, as a JSON Pointer into the tool as MCP writes it.
    pub at: String,
    /// What was accepted; `None` where something was added.
    pub accepted: Option<Value>,
    /// What is found; `None` where something was removed.
    pub found: Option<Value>,
}

/// The tool once the change that waits is settled; `None` when none waits.
///
/// Acceptance turns nothing on, and which arguments are kept does not wait for it. A rejected change leaves the tool as it was accepted, but off: what
/// its server does now is something else.
pub fn settle(tool: &Tool, settlement: Settlement, now: Timestamp) -> Option<Tool> {
    let found = tool.pending.as_deref()?.clone();
    let enabled = tool.enabled && found.enabled;
    let found =
        Tool { enabled, keep_arguments: tool.keep_arguments.clone(), pending: None, ..found };
    Some(match settlement {
        Settlement::Accept => Tool { changed_at: AT_THIS_WRITE, changed_on: now, ..found },
        Settlement::AcceptWithOlder => {
            let (changed_at, changed_on) = (tool.changed_at, tool.changed_on);
            Tool { changed_at, changed_on, ..found }
        }
        Settlement::Reject => Tool { enabled: false, pending: None, ..tool.clone() },
    })
}

/// What is different, in the order of the members; at most one more than [`MAX_DIFFERENCES`].
pub fn differences(accepted: &Tool, found: &Tool) -> Vec<Difference> {
    let mut out = Vec::new();
    members("", &definition(accepted), &definition(found), &mut out);
    out
}

fn members(at: &str, accepted: &Object, found: &Object, out: &mut Vec<Difference>) {
    for (name, before) in accepted.iter() {
        compare(&pointer(at, name), before, found.get(name), out);
    }
    for (name, now) in found.iter().filter(|(name, _)| !accepted.contains(name)) {
        note(Difference { at: pointer(at, name), accepted: None, found: Some(now.clone()) }, out);
    }
}

fn compare(at: &str, accepted: &Value, found: Option<&Value>, out: &mut Vec<Difference>) {
    match (accepted, found) {
        (before, Some(now)) if before == now => {}
        // As deep as the strict reader went, and no deeper.
        (Value::Object(before), Some(Value::Object(now))) => members(at, before, now, out),
        (before, now) => note(
            Difference { at: at.to_owned(), accepted: Some(before.clone()), found: now.cloned() },
            out,
        ),
    }
}

fn note(difference: Difference, out: &mut Vec<Difference>) {
    if out.len() <= MAX_DIFFERENCES {
        out.push(difference);
    }
}
