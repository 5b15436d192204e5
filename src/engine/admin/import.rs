//! What an import changes. A tool whose meaning (digest, scopes, effect) stays is the same tool,
//! and authority that was given over it stays; anything else makes it another tool. When its
//! *server* says something else about it than before, the change waits until an administrator has
//! looked at it ([`super::pending`]), and until then nobody may call the tool.

use super::tool;
use crate::{
    base::{text::pointer, time::Timestamp},
    model::{
        authority::ToolName,
        resource::{Resource, Tool},
    },
    registry::{Problem, tool::ToolDraft},
};

/// What becomes of the tools that an administrator sent.
#[derive(Debug, Default)]
pub struct Import {
    /// What must be written.
    pub changes: Vec<Tool>,
    /// New names.
    pub imported: Vec<ToolName>,
    /// Names whose tool is written again.
    pub changed: Vec<ToolName>,
    /// Names whose server describes another tool than the one that was accepted.
    pub pending: Vec<ToolName>,
    /// Names whose tool is what was sent already; nothing is written.
    pub unchanged: Vec<ToolName>,
}

/// When a tool's meaning changes: at the revision that writing it makes, which only the store
/// knows. Whoever reads the document puts the revision that it was written at in its place.
pub const AT_THIS_WRITE: u64 = 0;

/// Compares what was sent with what is registered.
pub fn import(
    resource: &Resource,
    drafts: Vec<ToolDraft>,
    now: Timestamp,
) -> Result<Import, Vec<Problem>> {
    let at = |draft: &ToolDraft| pointer("/assign", draft.name.as_str());
    let problems: Vec<Problem> =
        drafts.iter().flat_map(|draft| tool(resource, draft, &at(draft))).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut import = Import::default();
    for draft in drafts {
        let name = draft.name.clone();
        let known = resource.tools.get(&name);
        match found(known, draft, now) {
            None => import.unchanged.push(name),
            Some(change) => {
                let names = match known {
                    None => &mut import.imported,
                    Some(_) if change.pending.is_some() => &mut import.pending,
                    Some(_) => &mut import.changed,
                };
                names.push(name);
                import.changes.push(change);
            }
        }
    }
    Ok(import)
}

/// What must be written when a server lists this; `None` when it is written already.
pub fn found(known: Option<&Tool>, draft: ToolDraft, now: Timestamp) -> Option<Tool> {
    let Some(known) = known else { return replace(None, draft, now) };
    let listed = draft.clone().or_as(known).into_tool(AT_THIS_WRITE, now);
    if listed.digest == known.digest {
        // The server is back at what was accepted: nothing waits any more.
        let settled = Tool { pending: None, ..known.clone() };
        let replaced = replace(Some(&settled), draft, now);
        return replaced.or_else(|| known.pending.is_some().then_some(settled));
    }
    let since = known.pending.as_ref().filter(|waiting| waiting.digest == listed.digest);
    let changed_on = since.map_or(now, |waiting| waiting.changed_on);
    // What is kept of calls is an administrator's word alone: it holds at once.
    let keep_arguments = listed.keep_arguments.clone();
    let pending = Some(Box::new(Tool { changed_on, ..listed }));
    let tool = Tool { keep_arguments, pending, ..known.clone() };
    (tool != *known).then_some(tool)
}

/// What must be written so that a tool is as an administrator describes it; `None` when it is so
/// already. A change that waits goes on waiting, unless it is what was described.
pub fn replace(known: Option<&Tool>, draft: ToolDraft, now: Timestamp) -> Option<Tool> {
    let Some(known) = known else {
        return Some(draft.into_tool(AT_THIS_WRITE, now));
    };
    // Reading a list again turns no tool on that an administrator turned off, and forgets none of
    // the arguments that are kept.
    let tool = draft.or_as(known).into_tool(known.changed_at, known.changed_on);
    let pending = known.pending.clone().filter(|waiting| waiting.digest != tool.digest);
    let tool = Tool { pending, ..tool };
    if tool == *known {
        return None;
    }
    let is_new_meaning =
        (&tool.digest, &tool.scopes, tool.effect) != (&known.digest, &known.scopes, known.effect);
    Some(if is_new_meaning {
        Tool { changed_at: AT_THIS_WRITE, changed_on: now, ..tool }
    } else {
        tool
    })
}
