//! Narrowing never widens: held against an oracle that knows nothing of Deputy, over constraints,
//! over whole argument lists and through the exchange itself. What is refused although it would
//! have been narrower is listed in `docs/AUTHORITY.md`, and the list is compared.

pub mod chance;
mod domain;
mod exchange;
mod generate;
mod oracle;
mod page;
mod pairs;
mod shapes;

use std::collections::BTreeMap;

use deputy::{
    base::json,
    model::{
        authority::ToolName,
        constraint::{Arguments, SubjectClaims},
        details,
    },
};
use serde_json::Value;

/// The arguments of one tool from their JSON, as a token's reader would have them.
fn read(arguments: &Value) -> Arguments {
    read_tools(&serde_json::json!({ "t": arguments }).to_string()).into_values().next().unwrap()
}

/// What is printed of arguments is read as the same again.
fn is_printed_as_read(arguments: &Arguments) {
    let tools = BTreeMap::from([(tool("t"), arguments.clone())]);
    let printed = details::tools_to_json(&tools).to_json();
    assert_eq!(read_tools(&printed), tools, "{printed}");
}

fn read_tools(text: &str) -> BTreeMap<ToolName, Arguments> {
    let tools = details::tools_from_json(ours(text).as_object().unwrap(), "");
    let tools = tools.unwrap_or_else(|fault| panic!("{fault}: {text}"));
    details::resolve(tools, &SubjectClaims::default()).unwrap()
}

/// A value as Deputy reads it.
fn ours(text: &str) -> json::Value {
    json::parse(text.as_bytes(), &json::Limits::DEFAULT).unwrap()
}

/// A tool's name.
fn tool(name: &str) -> ToolName {
    ToolName::parse(name).unwrap()
}
