//! What a constraint means, written a second time and from its JSON: for the small world of
//! [`super::domain`] only, with floating-point numbers, tables for moments, and nothing of Deputy.

use std::{cell::RefCell, collections::HashMap};

use serde_json::Value;

use super::domain::{HOSTILE, VALUES, half_day};

/// Whether what is said about an argument permits a value, or its absence.
pub fn accepts(argument: &Value, value: Option<&Value>) -> bool {
    match (kind(argument), value) {
        ("absent", value) => value.is_none(),
        ("optional", None) => true,
        ("optional", Some(value)) => permits(&argument["of"], value),
        (_, None) => false,
        (_, Some(value)) => permits(argument, value),
    }
}

/// Everything in the small world that is permitted: bit *n* is the *n*th of [`VALUES`]. `all` and
/// `any` are sections and unions of sets; the sets of everything else are remembered.
pub fn set(argument: &Value) -> u128 {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, u128>> = RefCell::default();
    }
    let there = !1;
    let clauses = || argument["constraints"].as_array().unwrap().iter().map(set);
    match kind(argument) {
        "optional" => set(&argument["of"]) | 1,
        "all" => clauses().fold(there, |all, clause| all & clause),
        "any" => clauses().fold(0, |any, clause| any | clause),
        _ => KNOWN.with_borrow_mut(|known| {
            let bit = |value: &Option<Value>| u128::from(accepts(argument, value.as_ref()));
            let sum = || VALUES.iter().rev().fold(0, |set, value| set << 1 | bit(value));
            *known.entry(argument.to_string()).or_insert_with(sum)
        }),
    }
}

/// The values of a set, by their place in [`VALUES`].
pub fn members(set: u128) -> Vec<usize> {
    (0..VALUES.len()).filter(|at| set >> at & 1 == 1).collect()
}

/// The kind of a constraint.
pub fn kind(constraint: &Value) -> &str {
    constraint["constraint_type"].as_str().unwrap()
}

fn permits(constraint: &Value, value: &Value) -> bool {
    let listed = |name: &str| constraint[name].as_array().unwrap();
    match kind(constraint) {
        "exact" => same(&constraint["value"], value),
        "one_of" => listed("values").iter().any(|v| same(v, value)),
        "not_one_of" => !listed("excluded").iter().any(|v| same(v, value)),
        "range" => value.as_f64().is_some_and(|n| in_range(constraint, n)),
        "contains" => value.as_array().is_some_and(|have| {
            listed("required").iter().all(|wanted| have.iter().any(|v| same(v, wanted)))
        }),
        "subset" => value.as_array().is_some_and(|have| {
            have.iter().all(|v| listed("allowed").iter().any(|wanted| same(v, wanted)))
        }),
        "wildcard" => true,
        "all" => listed("constraints").iter().all(|clause| permits(clause, value)),
        "any" => listed("constraints").iter().any(|clause| permits(clause, value)),
        "prefix" => value.as_str().is_some_and(|text| {
            let wanted = constraint["prefix"].as_str().unwrap();
            text.len() >= wanted.len() && text.bytes().zip(wanted.bytes()).all(|(a, b)| a == b)
        }),
        "path" => {
            value.as_str().is_some_and(|text| in_root(constraint["root"].as_str().unwrap(), text))
        }
        "time_window" => value.as_str().and_then(half_day).is_some_and(|at| {
            let end = |name: &str| constraint[name].as_str().map(|text| half_day(text).unwrap());
            end("from").is_none_or(|from| from <= at) && end("until").is_none_or(|until| at < until)
        }),
        "max_length" => {
            let length = value.as_str().map(str::len).or(value.as_array().map(Vec::len));
            length.is_some_and(|length| length as u64 <= constraint["max"].as_u64().unwrap())
        }
        other => panic!("the oracle does not know `{other}`"),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

fn in_range(range: &Value, n: f64) -> bool {
    let end = |name: &str| range[name].as_f64();
    let inclusive = |name: &str| range[name].as_bool().unwrap_or(true);
    let above = end("min")
        .is_none_or(|min| min < n || (inclusive("min_inclusive") && min.total_cmp(&n).is_eq()));
    let below = end("max")
        .is_none_or(|max| n < max || (inclusive("max_inclusive") && max.total_cmp(&n).is_eq()));
    above && below
}

/// Segment by segment, once everything that could be read in two ways is sorted out.
fn in_root(root: &str, text: &str) -> bool {
    if text.is_empty() || HOSTILE.contains(&text) {
        return false;
    }
    let segments = |path: &str| -> Vec<String> {
        path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    text.starts_with('/') == root.starts_with('/') && segments(text).starts_with(&segments(root))
}

/// Whether a call is permitted by arguments that are named by JSON Pointers without escapes.
pub fn accepts_call(named: &[(String, Value)], call: &Value) -> bool {
    let closed = is_closed(named, call, "");
    closed
        && named.iter().all(|(pointer, argument)| {
            let mut here = Some(call);
            let mut through = true;
            for segment in pointer.trim_start_matches('/').split('/') {
                through &= here.is_none_or(Value::is_object);
                here = here.and_then(|value| value.get(segment));
            }
            through && accepts(argument, here)
        })
}

/// Whether there is nothing on any pointer's way that is not on one.
fn is_closed(named: &[(String, Value)], value: &Value, at: &str) -> bool {
    let Some(members) = value.as_object() else { return false };
    members.iter().all(|(name, value)| {
        let here = format!("{at}/{name}");
        let is_argument = named.iter().any(|(pointer, _)| *pointer == here);
        let leads_on = named.iter().any(|(pointer, _)| pointer.starts_with(&format!("{here}/")));
        is_argument || (leads_on && is_closed(named, value, &here))
    })
}
