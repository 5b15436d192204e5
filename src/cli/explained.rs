//! Why a call was decided as it was, for people: the answer first, then who and what, then every
//! step, and at the end what would have been enough.

use super::{
    out::Out,
    show::{chain, detail, moment, place, text},
};
use crate::{
    base::json::{Object, Value},
    model::call::Reason,
};

const NOTHING: &Object = &Object::new();

/// A recorded decision.
pub fn decision(answer: &Object, out: &mut Out) {
    let event = answer.get("recorded").and_then(Value::as_object).unwrap_or(NOTHING);
    out.line(&format!(
        "{}  {} at {}  {}",
        word(event),
        text(event, "tool"),
        place(event),
        text(event, "reason")
    ));
    out.line("");
    recorded(answer, event, out);
    explanation(answer, out);
    ending(answer, event, out);
}

const fn allowed(granted: bool) -> &'static str {
    if granted { "ALLOWED" } else { "DENIED" }
}

fn word(event: &Object) -> &'static str {
    allowed(event.get("outcome").and_then(Value::as_str) == Some("granted"))
}

/// Who asked about what, for whom and through whom.
fn recorded(answer: &Object, event: &Object, out: &mut Out) {
    if is_without_token(event) {
        return named(event, out);
    }
    let kept = match answer.get("arguments_kept").and_then(Value::as_str) {
        Some("whole") => "",
        Some("partly") => "  (only these values were kept)",
        _ => "  (none were kept)",
    };
    let arguments = answer.get("arguments").map_or_else(|| "-".to_owned(), Value::to_json);
    fact("when", &moment(event, "at"), out);
    fact("chain", &chain(event), out);
    for hop in answer.get("chain").and_then(Value::as_array).unwrap_or_default() {
        let hop = hop.as_object().unwrap_or(NOTHING);
        if hop.get("via").is_some() {
            fact("", &format!("{} proved itself by {}", text(hop, "sub"), text(hop, "via")), out);
        }
    }
    fact("asked by", &text(event, "client"), out);
    fact("arguments", &format!("{arguments}{kept}"), out);
    if let Some(argument) = detail(event, "argument") {
        fact("failed on", &argument, out);
    }
    fact("delegation", &text(event, "delegation"), out);
    fact("revision", &format!("{}{}", text(event, "revision"), versions(answer)), out);
}

/// Whether it was asked without a token: subject and resource are only what the caller named.
fn is_without_token(event: &Object) -> bool {
    detail(event, "resource_named").is_some()
}

/// Who asked about what, where nothing of it was proved.
fn named(event: &Object, out: &mut Out) {
    let named = |name: &str| detail(event, name).unwrap_or_else(|| "-".to_owned());
    fact("when", &moment(event, "at"), out);
    fact("asked by", &text(event, "client"), out);
    fact("subject", &format!("{}  (as named)", named("subject_named")), out);
    fact("resource", &format!("{}  (as named)", named("resource_named")), out);
    fact("revision", &text(event, "revision"), out);
}

fn versions(answer: &Object) -> String {
    let versions = answer.get("versions").and_then(Value::as_array).unwrap_or_default();
    let versions = versions.iter().filter_map(Value::as_object);
    let versions =
        versions.map(|v| format!("{} {} v{}", text(v, "kind"), text(v, "id"), text(v, "version")));
    let versions: Vec<String> = versions.collect();
    if versions.is_empty() { String::new() } else { format!("  ({})", versions.join(", ")) }
}

/// A call that nobody made.
pub fn simulation(answer: &Object, out: &mut Out) {
    let granted = answer.get("allowed").and_then(Value::as_bool) == Some(true);
    out.line(format!("WOULD BE {}  {}", allowed(granted), because(answer)).trim_end());
    out.line("");
    let rules = answer.get("grant_rules_met").and_then(Value::as_array).unwrap_or_default();
    let met = rules.iter().filter(|met| met.as_bool() == Some(true)).count();
    fact("user", &format!("fulfils {met} of the {} grant rules of the issuer", rules.len()), out);
    for exchange in answer.get("exchanges").and_then(Value::as_array).unwrap_or_default() {
        exchanged(exchange.as_object().unwrap_or(NOTHING), out);
    }
    explanation(answer, out);
    out.line("");
    cure(answer, out);
    fact("revision", &text(answer, "revision"), out);
}

/// The reason of the decision, or of the exchange that was refused.
fn because(answer: &Object) -> String {
    let last = answer.get("exchanges").and_then(Value::as_array).unwrap_or_default().last();
    let last = last.and_then(Value::as_object).unwrap_or(NOTHING);
    let reason = answer.get("reason").or(last.get("because")).and_then(Value::as_str);
    reason.unwrap_or_default().to_owned()
}

fn exchanged(exchange: &Object, out: &mut Out) {
    let (client, target) = (text(exchange, "client"), text(exchange, "target"));
    if exchange.get("outcome").and_then(Value::as_str) == Some("granted") {
        let details =
            exchange.get("authorization_details").map_or_else(String::new, Value::to_json);
        fact(
            "exchange",
            &format!("{client} → {target}  granted for {} s", text(exchange, "lives_s")),
            out,
        );
        fact("", &details, out);
    } else {
        fact(
            "exchange",
            &format!("{client} → {target}  REFUSED  {}", text(exchange, "because")),
            out,
        );
        fact("", &text(exchange, "message"), out);
        let policies = exchange.get("policies").and_then(Value::as_array).unwrap_or_default();
        policies.iter().filter_map(Value::as_object).for_each(|policy| source(policy, out));
    }
}

/// The steps and the limits.
fn explanation(answer: &Object, out: &mut Out) {
    let steps = answer.get("steps").and_then(Value::as_array).unwrap_or_default();
    if !steps.is_empty() {
        out.line("");
    }
    for step in steps.iter().filter_map(Value::as_object) {
        let (mark, told) = match step.get("outcome").and_then(Value::as_str) {
            Some("passed") => ("✓", String::new()),
            Some("failed") => ("✗", text(step, "because")),
            Some("undecidable") => ("?", "argument values that were not kept decide".to_owned()),
            _ => ("·", "not reached".to_owned()),
        };
        let name = text(step, "step").replace('_', " ");
        out.line(format!("  {mark} {name:<20} {told}").trim_end());
    }
    limits(answer, out);
    policed(answer, out);
}

/// Which policies decided, and which would have.
fn policed(answer: &Object, out: &mut Out) {
    let Some(policed) = answer.get("policies").and_then(Value::as_object) else { return };
    let version = text(policed, "version");
    for (name, label) in [
        ("decided", "policies that decided"),
        ("shadow", "policies in shadow that would have decided otherwise"),
    ] {
        let policies = policed.get(name).and_then(Value::as_array).unwrap_or_default();
        if !policies.is_empty() {
            out.line("");
            out.line(&format!("  {label} (version {version})"));
        }
        policies.iter().filter_map(Value::as_object).for_each(|policy| source(policy, out));
    }
}

/// One policy: where it stands, and what it says.
fn source(policy: &Object, out: &mut Out) {
    let place = format!("{}:{}", text(policy, "file"), text(policy, "line"));
    out.line(&format!("  » {}  {place}", text(policy, "id")));
    for line in text(policy, "text").lines() {
        out.line(&format!("    | {}", line.replace('\t', "    ")));
    }
}

fn limits(answer: &Object, out: &mut Out) {
    let limits = answer.get("limits").and_then(Value::as_array).unwrap_or_default();
    if !limits.is_empty() {
        out.line("");
        out.line("  what the token permits, and what was sent");
    }
    // Only where all that was sent is known is absence known too. Nothing is left out of a call
    // that nobody made.
    let kept = answer.get("arguments_kept").and_then(Value::as_str);
    let known = kept.is_none_or(|kept| kept == "whole");
    for limit in limits.iter().filter_map(Value::as_object) {
        let mark = match limit.get("permits").and_then(Value::as_bool) {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "?",
        };
        let constraint = limit.get("constraint").map_or_else(String::new, Value::to_json);
        let sent = match limit.get("value") {
            Some(value) => value.to_json(),
            None if known => "nothing".to_owned(),
            None => "not kept".to_owned(),
        };
        out.line(&format!("  {mark} {}  {constraint}  sent: {sent}", text(limit, "argument")));
    }
}

fn ending(answer: &Object, event: &Object, out: &mut Out) {
    out.line("");
    cure(answer, out);
    no_cure(answer, event, out);
    let again =
        match (answer.get("agrees").and_then(Value::as_bool), answer.get("not_judged_again")) {
            (Some(true), _) => "the same answer".to_owned(),
            (Some(false), _) => {
                "ANOTHER ANSWER: the record or the registry of then was altered".to_owned()
            }
            (None, Some(why)) => format!("not possible: {}", why.as_str().unwrap_or_default()),
            (None, None) => {
                format!("cannot be told without the values; recorded: {}", text(event, "reason"))
            }
        };
    fact("again", &again, out);
}

/// What would have been enough.
fn cure(answer: &Object, out: &mut Out) {
    if let Some(grant) = answer.get("smallest_grant") {
        out.line("  the smallest grant that would have allowed it");
        out.line(&format!("    {}", grant.to_json()));
    }
    if let Some(remedy) = answer.get("remedy").and_then(Value::as_str) {
        fact("cure", remedy, out);
    }
}

/// Why no grant can be named that would have been enough, where one would.
fn no_cure(answer: &Object, event: &Object, out: &mut Out) {
    let curable = Reason::of(&text(event, "reason")).is_some_and(Reason::is_of_the_grant);
    if !curable || answer.get("smallest_grant").is_some() {
        return;
    }
    let whole = answer.get("arguments_kept").and_then(Value::as_str) == Some("whole");
    let why = match (answer.get("not_judged_again"), whole) {
        (Some(_), _) => "cannot be told: the call is not judged again",
        (None, false) => {
            "cannot be told: not all arguments were kept; let the tool's `keep_arguments` name them"
        }
        (None, true) => "cannot be written: no constraint names exactly these arguments",
    };
    fact("grant", why, out);
}

fn fact(name: &str, value: &str, out: &mut Out) {
    out.line(&format!("  {name:<12}{value}"));
}
