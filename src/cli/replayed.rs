//! What a draft of the policies would have changed, for people: the sum first, then agent by agent.

use super::{
    out::Out,
    show::{moment, short, text},
};
use crate::base::json::{Object, Value};

/// A replay.
pub fn show(answer: &Object, out: &mut Out) {
    let [decisions, unchanged, allowed, denied, undecidable] =
        ["decisions", "unchanged", "newly_allowed", "newly_denied", "undecidable"]
            .map(|name| text(answer, name));
    out.line(&format!(
        "{decisions} decisions: {unchanged} unchanged, {allowed} newly allowed, {denied} newly \
         denied, {undecidable} undecidable"
    ));
    if answer.get("complete").and_then(Value::as_bool) != Some(true) {
        out.line(&format!("older than {} UTC: not looked at", moment(answer, "oldest")));
    }
    because(answer, out);
    let groups = answer.get("groups").and_then(Value::as_array).unwrap_or_default();
    let groups: Vec<&Object> = groups.iter().filter_map(Value::as_object).collect();
    if !groups.is_empty() {
        out.line("");
        let rows: Vec<Vec<String>> = groups.iter().map(|group| row(group)).collect();
        let headings = ["AGENT", "TOOL", "ALLOWED", "DENIED", "UNDECIDABLE", "UNCHANGED"];
        out.table(&headings, &rows);
    }
    for group in groups {
        let found = group.get("examples").and_then(Value::as_array).unwrap_or_default();
        found.iter().filter_map(Value::as_object).for_each(|one| example(group, one, out));
    }
}

fn because(answer: &Object, out: &mut Out) {
    let reasons = answer.get("undecidable_because").and_then(Value::as_object);
    for (why, count) in reasons.into_iter().flat_map(Object::iter) {
        let cure = match why {
            "argument_values_not_kept" => {
                "; let the tool's `keep_arguments` name what policies read"
            }
            _ => "",
        };
        out.line(&format!("  {} {}{cure}", count.to_json(), why.replace('_', " ")));
    }
}

fn row(group: &Object) -> Vec<String> {
    let tool = format!("{} {}", text(group, "resource"), text(group, "tool"));
    let counts = ["newly_allowed", "newly_denied", "undecidable", "unchanged"];
    let counts = counts.map(|name| text(group, name));
    [short(&text(group, "agent")), tool].into_iter().chain(counts).collect()
}

fn example(group: &Object, example: &Object, out: &mut Out) {
    let policies = example.get("policies").and_then(Value::as_array).unwrap_or_default();
    let policies: Vec<&str> = policies.iter().filter_map(Value::as_str).collect();
    let by =
        if policies.is_empty() { String::new() } else { format!("  by {}", policies.join(", ")) };
    out.line(&format!(
        "  {} {}  {}: {} → {}{by}",
        short(&text(group, "agent")),
        text(group, "tool"),
        text(example, "decision"),
        text(example, "before"),
        text(example, "after"),
    ));
}
