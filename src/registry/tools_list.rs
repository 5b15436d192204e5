//! The result of MCP's `tools/list`, as a server answered it: names, descriptions and schemas.
//!
//! Annotations are a server's own word about itself: kept, so that a change of them is seen, and
//! never decided on.

use std::collections::BTreeSet;

use super::{
    form::{self, Form, Read},
    tool,
};
use crate::{
    base::json::Value,
    model::{authority::ToolName, resource::About},
};

/// The most tools of one list.
pub const MAX_TOOLS: usize = 256;

/// A tool as its server describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedTool {
    /// Its name.
    pub name: ToolName,
    /// What it says about itself; empty when it says nothing.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub input_schema: Value,
    /// What else it says about itself.
    pub about: About,
}

/// Reads the result, or the whole JSON-RPC response around it.
pub fn parse(bytes: &[u8]) -> Read<Vec<ImportedTool>> {
    read(&form::value(bytes)?, "")
}

/// Reads a list that is part of a document; `at` points to it.
pub(super) fn read(value: &Value, at: &str) -> Read<Vec<ImportedTool>> {
    let object = form::as_object(value, at)?;
    if object.contains("tools") {
        return form::foreign(value, at, result);
    }
    match (object.get("result"), object.get("error")) {
        (Some(inner), None) => form::foreign(inner, &format!("{at}/result"), result),
        (_, Some(_)) => Err(form::problem(
            &format!("{at}/error"),
            "is an error response: ask the server again for `tools/list`",
        )),
        (None, None) => {
            Err(form::problem(at, "must be the result of `tools/list`: an object with `tools`"))
        }
    }
}

fn result(form: &mut Form<'_>) -> Option<Vec<ImportedTool>> {
    // MCP pagination: a list with a cursor is one page of several.
    let cursor = form.maybe("nextCursor", |value, _| Ok(*value != Value::Null))?;
    if cursor == Some(true) {
        form.problem("nextCursor", "says that the list is incomplete: join all pages first");
    }
    let tools = form.required(
        "tools",
        form::list(0..=MAX_TOOLS, |value, at| form::foreign(value, at, imported)),
    )?;
    let mut names = BTreeSet::new();
    for (index, tool) in tools.iter().enumerate() {
        if !names.insert(&tool.name) {
            form.problem_below(&format!("tools/{index}/name"), "is listed a second time");
        }
    }
    Some(tools)
}

fn imported(form: &mut Form<'_>) -> Option<ImportedTool> {
    let name = form.required("name", form::parsed(ToolName::parse));
    let description = form.or("description", String::new(), tool::description);
    let input_schema = form.required("inputSchema", tool::schema);
    let about = tool::about(form, "outputSchema");
    Some(ImportedTool {
        name: name?,
        description: description?,
        input_schema: input_schema?,
        about: about?,
    })
}
