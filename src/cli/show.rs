//! Answers of the admin API for people: one table or a few lines each.

use super::out::Out;
use crate::base::json::{Object, Value};

const NOTHING: &Object = &Object::new();

/// A list of clients.
pub fn clients(items: &[Value], out: &mut Out) {
    let row = |client: &Object| {
        let agent = client.get("agent").and_then(Value::as_object);
        let uri = agent.map_or_else(|| "-".to_owned(), |agent| text(agent, "uri"));
        vec![text(client, "client_id"), text(client, "name"), uri, state(client)]
    };
    rows(&["CLIENT", "NAME", "AGENT", "STATE"], items, row, out);
}

/// A list of resources.
pub fn resources(items: &[Value], out: &mut Out) {
    let row = |resource: &Object| {
        vec![
            text(resource, "id"),
            text(resource, "resource"),
            text(resource, "owner"),
            texts(resource, "scopes_supported"),
            state(resource),
        ]
    };
    rows(&["RESOURCE", "URI", "OWNER", "SCOPES", "STATE"], items, row, out);
}

/// A list of tools.
pub fn tools(items: &[Value], out: &mut Out) {
    let row = |tool: &Object| {
        vec![text(tool, "name"), text(tool, "effect"), texts(tool, "scopes"), state(tool)]
    };
    rows(&["TOOL", "EFFECT", "SCOPES", "STATE"], items, row, out);
}

/// Changes of tools that wait: each with what was (`-`) and what is (`+`).
pub fn tool_changes(items: &[Value], out: &mut Out) {
    if items.is_empty() {
        out.line("no change waits");
    }
    for change in items.iter().filter_map(Value::as_object) {
        let (resource, tool) = (text(change, "resource"), text(change, "tool"));
        out.line(&format!("{resource} {tool}  (found {} UTC)", moment(change, "found_on")));
        let (effect, scopes) = (text(change, "effect"), texts(change, "scopes"));
        out.line(&format!("  effect {effect}, scopes {scopes}"));
        let differences = change.get("differences").and_then(Value::as_array).unwrap_or_default();
        for difference in differences.iter().filter_map(Value::as_object) {
            out.line(&format!("  {}", text(difference, "at")));
            for (name, sign) in [("accepted", '-'), ("found", '+')] {
                if let Some(value) = difference.get(name) {
                    out.line(&format!("    {sign} {}", value.to_json()));
                }
            }
        }
        if change.get("more").and_then(Value::as_bool) == Some(true) {
            out.line("  and more: read the tool itself");
        }
        out.line(&format!("  --digest {}", text(change, "digest")));
    }
}

/// A list of issuers.
pub fn issuers(items: &[Value], out: &mut Out) {
    let row = |issuer: &Object| {
        let primary = issuer.get("primary").and_then(Value::as_bool) == Some(true);
        let primary = if primary { "yes" } else { "no" };
        vec![text(issuer, "alias"), text(issuer, "issuer"), primary.to_owned(), state(issuer)]
    };
    rows(&["ALIAS", "ISSUER", "PRIMARY", "STATE"], items, row, out);
}

/// A list of edges.
pub fn edges(items: &[Value], out: &mut Out) {
    let row = |edge: &Object| {
        vec![text(edge, "from"), text(edge, "to"), texts(edge, "effects"), state(edge)]
    };
    rows(&["FROM", "TO", "EFFECTS", "STATE"], items, row, out);
}

/// Versions of the policy set.
pub fn versions(items: &[Value], out: &mut Out) {
    let row = |version: &Object| {
        vec![
            text(version, "version"),
            moment(version, "at"),
            text(version, "by"),
            text(version, "revision"),
            text(version, "rolled_back_to"),
        ]
    };
    rows(&["VERSION", "AT (UTC)", "BY", "REVISION", "TEXTS OF"], items, row, out);
}

/// A list of secrets.
pub fn secrets(items: &[Value], out: &mut Out) {
    let row = |secret: &Object| vec![text(secret, "credential_id"), moment(secret, "created")];
    rows(&["CREDENTIAL", "CREATED"], items, row, out);
}

/// A list of operators.
pub fn operators(items: &[Value], out: &mut Out) {
    let row = |operator: &Object| {
        let enabled = operator.get("enabled").and_then(Value::as_bool) == Some(true);
        let state = if enabled { "enabled" } else { "ended" };
        vec![text(operator, "name"), text(operator, "role"), state.to_owned()]
    };
    rows(&["OPERATOR", "ROLE", "STATE"], items, row, out);
}

/// A list of delegations.
pub fn delegations(items: &[Value], out: &mut Out) {
    let row = |delegation: &Object| {
        let live = delegation.get("live").and_then(Value::as_bool) == Some(true);
        let ended = text(delegation, "ended_because");
        vec![
            text(delegation, "id"),
            chain(delegation),
            text(delegation, "audience"),
            moment(delegation, "issued_at"),
            if live { "live".to_owned() } else { ended },
        ]
    };
    rows(&["DELEGATION", "CHAIN", "AUDIENCE", "ISSUED", "STATE"], items, row, out);
}

/// Our signing keys.
pub fn keys(items: &[Value], out: &mut Out) {
    let row = |key: &Object| {
        vec![text(key, "kid"), text(key, "alg"), text(key, "state"), moment(key, "signs_from")]
    };
    rows(&["KEY", "ALG", "STATE", "SIGNS FROM (UTC)"], items, row, out);
}

/// A list of events.
pub fn events(items: &[Value], out: &mut Out) {
    let row = |event: &Object| {
        let what = [place(event), text(event, "tool")];
        let what: Vec<String> = what.into_iter().filter(|part| part != "-").collect();
        vec![
            moment(event, "at"),
            text(event, "kind"),
            text(event, "outcome"),
            text(event, "reason"),
            chain(event),
            if what.is_empty() { "-".to_owned() } else { what.join(" ") },
            text(event, "transaction"),
        ]
    };
    rows(
        &["AT (UTC)", "KIND", "OUTCOME", "REASON", "CHAIN", "WHAT", "TRANSACTION"],
        items,
        row,
        out,
    );
}

/// What an import did.
pub fn imported(answer: &Object, out: &mut Out) {
    for (name, label) in [
        ("imported", "new"),
        ("changed", "changed"),
        ("pending", "waiting to be accepted (deputy tool changes)"),
        ("unchanged", "unchanged"),
    ] {
        out.line(&format!("{label}: {}", texts(answer, name)));
    }
}

/// What a revocation would end.
pub fn radius(answer: &Object, out: &mut Out) {
    let counts = answer.get("counts").and_then(Value::as_object).unwrap_or(NOTHING);
    let sure = answer.get("complete").and_then(Value::as_bool) == Some(true);
    let count = |name: &str| text(counts, name);
    out.line(&format!(
        "would end {}{} live delegations of {} users, in the hands of {} agents, at {} places",
        if sure { "" } else { "at least " },
        count("delegations"),
        count("users"),
        count("agents"),
        count("audiences"),
    ));
    let users = answer.get("users").and_then(Value::as_array).unwrap_or_default();
    let users = users.iter().filter_map(Value::as_object).map(|user| text(user, "sub"));
    let users: Vec<String> = users.collect();
    out.line(&format!("users: {}", if users.is_empty() { "-".into() } else { users.join(" ") }));
    out.line(&format!("agents: {}", texts(answer, "agents")));
    out.line(&format!("places: {}", texts(answer, "audiences")));
    delegations(answer.get("delegations").and_then(Value::as_array).unwrap_or_default(), out);
    out.line("nothing was revoked: run it again without --dry-run");
}

/// Whether the audit log is whole.
pub fn verified(answer: &Object, out: &mut Out) {
    let (chains, links, events) =
        (text(answer, "chains"), text(answer, "links"), text(answer, "events"));
    out.line(&format!("{events} events in {links} links of {chains} chains"));
    if let Some(lost) = answer.get("lost").and_then(Value::as_i64).filter(|lost| *lost > 0) {
        out.line(&format!("{lost} journalled events were lost since the server started"));
    }
    let covered = answer.get("covered_until").and_then(Value::as_i64);
    match covered {
        None => out.line("no checkpoint was signed yet: that the end was cut off would not show"),
        Some(_) => out.line(&format!(
            "{} signed checkpoints, the last of {}; {} links are younger",
            text(answer, "checkpoints"),
            moment(answer, "covered_until"),
            text(answer, "uncovered_links")
        )),
    }
    if answer.get("keys_from_file").and_then(Value::as_bool) == Some(true) {
        out.line("the keys are those in the file: whoever made it up made them too; see --keys");
    }
    match answer.get("first_problem").and_then(Value::as_object) {
        None => out.line("the audit log is whole"),
        Some(problem) => {
            let named = ["writer", "link", "checkpoint", "line"].into_iter();
            let place: Vec<String> = named
                .filter(|name| problem.get(name).is_some())
                .map(|name| format!("{name} {}", text(problem, name)))
                .collect();
            let what = text(problem, "problem");
            out.line(&format!("BROKEN: {what} ({})", place.join(", ")));
        }
    }
}

/// The person first, then every agent in the order in which they came in:
/// `alice ← support-agent ← billing-agent`.
pub fn chain(object: &Object) -> String {
    let subject = object.get("subject").and_then(Value::as_object);
    let subject = subject.map(|subject| text(subject, "sub"));
    let hops = object.get("chain").and_then(Value::as_array).unwrap_or_default();
    // The wire has the current actor first.
    let actors = hops.iter().rev().filter_map(Value::as_object).map(|hop| {
        let name = short(&text(hop, "sub"));
        // Another issuer's word, which we did not see.
        if text(hop, "provenance") == "asserted" { format!("{name} (asserted)") } else { name }
    });
    let mut names: Vec<String> = subject.into_iter().map(|sub| short(&sub)).collect();
    names.extend(actors);
    match names.as_slice() {
        [] => unproved(object),
        _ => names.join(" ← "),
    }
}

/// Whoever asked; if it named a subject that nobody proved to be, that one by whom it was named.
fn unproved(event: &Object) -> String {
    let client = short(&text(event, "client"));
    match detail(event, "subject_named") {
        Some(named) => format!("{named} (named by {client})"),
        None => client,
    }
}

/// At which resource, or at which place as the caller named it.
pub fn place(event: &Object) -> String {
    detail(event, "resource_named").unwrap_or_else(|| text(event, "resource"))
}

/// A detail of an event.
pub fn detail(event: &Object, name: &str) -> Option<String> {
    event.get("detail")?.as_object()?.get(name)?.as_str().map(str::to_owned)
}

/// A client as people call it.
pub fn short(name: &str) -> String {
    name.strip_prefix("cl_").unwrap_or(name).to_owned()
}

fn rows(headings: &[&str], items: &[Value], row: impl Fn(&Object) -> Vec<String>, out: &mut Out) {
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| row(item.as_object().unwrap_or(NOTHING))).collect();
    out.table(headings, &rows);
}

/// A member, as it reads.
pub fn text(object: &Object, name: &str) -> String {
    match object.get(name) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_json(),
    }
}

fn texts(object: &Object, name: &str) -> String {
    let values = object.get(name).and_then(Value::as_array).unwrap_or_default();
    let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(" ") }
}

fn state(object: &Object) -> String {
    let enabled = object.get("enabled").and_then(Value::as_bool) == Some(true);
    if enabled { "enabled".to_owned() } else { "disabled".to_owned() }
}

/// A moment, in UTC: `2026-11-24 00:30:00`.
pub fn moment(object: &Object, name: &str) -> String {
    let at = object.get(name).and_then(Value::as_i64);
    // What is beyond the calendar is no moment of anything that happened.
    let at = at.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
