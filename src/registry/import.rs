//! An import: what a server lists, and what an administrator assigns to each of its tools.
//!
//! Nothing is assigned by default: a tool that the administrator did not speak of is a problem, so
//! that a server which grows a tool never grows what its scopes mean.

use std::collections::BTreeMap;

use super::{
    Problem,
    form::{self, Form, Read},
    tool::{self, ToolDraft},
    tools_list::{self, ImportedTool, MAX_TOOLS},
};
use crate::{
    base::text::pointer,
    model::{authority::ToolName, resource::Effect, scope::Scope},
};

/// What an administrator says about one listed tool.
enum Assignment {
    Skip,
    Take {
        scopes: Scope,
        effect: Effect,
        keep_arguments: Option<Vec<String>>,
        enabled: Option<bool>,
    },
}

/// Reads `{tools_list, assign: {name: {scopes, effect, …} | {"skip": true}}}`.
pub fn parse(text: &str) -> Read<Vec<ToolDraft>> {
    form::document(text, |form| {
        let listed = form.required("tools_list", tools_list::read);
        let assigned = form.required(
            "assign",
            form::map(0..=MAX_TOOLS, ToolName::parse, |value, at| {
                form::object(value, at, assignment)
            }),
        );
        form.keep(joined(listed?, assigned?))
    })
}

fn assignment(form: &mut Form<'_>) -> Option<Assignment> {
    if form.or("skip", false, form::flag)? {
        return Some(Assignment::Skip);
    }
    let (scopes, effect, keep_arguments, enabled) = tool::assigned(form)?;
    Some(Assignment::Take { scopes, effect, keep_arguments, enabled })
}

fn joined(
    listed: Vec<ImportedTool>,
    mut assigned: BTreeMap<ToolName, Assignment>,
) -> Read<Vec<ToolDraft>> {
    let drafts = form::gather(listed.into_iter().map(|tool| match assigned.remove(&tool.name) {
        Some(Assignment::Skip) => Ok(None),
        Some(Assignment::Take { scopes, effect, keep_arguments, enabled }) => Ok(Some(ToolDraft {
            name: tool.name,
            description: tool.description,
            scopes,
            effect,
            input_schema: tool.input_schema,
            about: tool.about,
            keep_arguments,
            enabled,
        })),
        None => Err(form::problem(
            &pointer("/assign", tool.name.as_str()),
            "is missing: assign `scopes` and `effect`, or leave the tool out with `\"skip\": true`",
        )),
    }));
    let unlisted: Vec<Problem> = assigned
        .keys()
        .map(|name| Problem {
            field: pointer("/assign", name.as_str()),
            message: "is not in `tools_list`: remove it, or fetch the list again".to_owned(),
        })
        .collect();
    match (drafts, unlisted.is_empty()) {
        (Ok(drafts), true) => Ok(drafts.into_iter().flatten().collect()),
        (drafts, _) => Err(drafts.err().into_iter().flatten().chain(unlisted).collect()),
    }
}
