//! Constraints by chance, in their JSON form: any of a kind, narrower ones of a given one, and ones
//! that are nearly so. What narrower means is said here a third time, by making it.

use serde_json::{Value, json};

use super::{
    chance::Chance,
    domain::{ELEMENTS, LITERALS, MOMENTS, NUMBERS, PREFIXES, ROOTS, half_day},
    oracle::{accepts, kind},
};

/// Every kind of thing that can be said about an argument in a token.
pub const KINDS: [&str; 15] = [
    "exact",
    "one_of",
    "not_one_of",
    "range",
    "contains",
    "subset",
    "wildcard",
    "all",
    "any",
    "prefix",
    "path",
    "time_window",
    "max_length",
    "optional",
    "absent",
];

/// The bounds of `max_length`.
const LENGTHS: [u64; 4] = [0, 1, 2, 3];

/// Something of this kind.
pub fn any_of(chance: &mut Chance, kind: &str) -> Value {
    of_kind(chance, kind, 2)
}

fn of_kind(chance: &mut Chance, kind: &str, levels: usize) -> Value {
    let few = |chance: &mut Chance, from: &[Value]| {
        let count = 1 + chance.below(3);
        (0..count).map(|_| chance.pick(from).clone()).collect::<Vec<_>>()
    };
    match kind {
        "exact" => json!({ "constraint_type": kind, "value": chance.pick(&LITERALS) }),
        // Together these are all that `max_length` 0 permits.
        "one_of" if chance.percent(15) => json!({ "constraint_type": kind, "values": ["", []] }),
        "one_of" => json!({ "constraint_type": kind, "values": few(chance, &LITERALS) }),
        "not_one_of" => json!({ "constraint_type": kind, "excluded": few(chance, &LITERALS) }),
        "contains" => json!({ "constraint_type": kind, "required": few(chance, &ELEMENTS) }),
        "subset" => json!({ "constraint_type": kind, "allowed": few(chance, &ELEMENTS) }),
        "range" => any_range(chance),
        "all" | "any" => {
            let clauses: Vec<Value> =
                (0..=chance.below(3)).map(|_| value(chance, levels)).collect();
            json!({ "constraint_type": kind, "constraints": clauses })
        }
        "prefix" => json!({ "constraint_type": kind, "prefix": chance.pick(&PREFIXES) }),
        "path" => json!({ "constraint_type": kind, "root": chance.pick(&ROOTS) }),
        "time_window" => any_window(chance),
        "max_length" => json!({ "constraint_type": kind, "max": chance.pick(&LENGTHS) }),
        "optional" => json!({ "constraint_type": kind, "of": value(chance, levels) }),
        "wildcard" | "absent" => json!({ "constraint_type": kind }),
        other => panic!("`{other}` is no kind"),
    }
}

/// Some constraint on a value, with at most so many levels below.
fn value(chance: &mut Chance, levels: usize) -> Value {
    let kinds = &KINDS[..KINDS.len() - 2];
    let kind = *chance.pick(kinds);
    if levels == 0 && matches!(kind, "all" | "any") {
        return of_kind(chance, "range", 0);
    }
    of_kind(chance, kind, levels.saturating_sub(1))
}

fn any_range(chance: &mut Chance) -> Value {
    let number =
        |chance: &mut Chance| Some(chance.pick(&NUMBERS).clone()).filter(|_| chance.percent(70));
    loop {
        let (min, max) = (number(chance), number(chance));
        let range = ranged(min, chance.percent(70), max, chance.percent(70));
        if holds_a_number(&range) {
            return range;
        }
    }
}

fn ranged(min: Option<Value>, from: bool, max: Option<Value>, to: bool) -> Value {
    let mut range = json!({ "constraint_type": "range" });
    for (name, bound, flag, inclusive) in
        [("min", min, "min_inclusive", from), ("max", max, "max_inclusive", to)]
    {
        if let Some(bound) = bound {
            range[name] = bound;
            if !inclusive {
                range[flag] = json!(false);
            }
        }
    }
    range
}

fn holds_a_number(range: &Value) -> bool {
    let (min, max) = (range["min"].as_f64(), range["max"].as_f64());
    let exclusive = range.get("min_inclusive").is_some() || range.get("max_inclusive").is_some();
    match (min, max) {
        (None, None) => false,
        (Some(min), Some(max)) => min < max || (min.total_cmp(&max).is_eq() && !exclusive),
        _ => true,
    }
}

fn any_window(chance: &mut Chance) -> Value {
    let at = chance.below(MOMENTS.len());
    let until = at + 1 + chance.below(MOMENTS.len());
    match (chance.percent(30), MOMENTS.get(until)) {
        (false, Some(until)) => {
            json!({ "constraint_type": "time_window", "from": MOMENTS[at], "until": until })
        }
        (true, _) => json!({ "constraint_type": "time_window", "until": MOMENTS[at] }),
        (false, None) => json!({ "constraint_type": "time_window", "from": MOMENTS[at] }),
    }
}

/// Something that must be narrower than `parent`.
pub fn narrowed(chance: &mut Chance, parent: &Value) -> Value {
    let listed = |name: &str| parent[name].as_array().unwrap().clone();
    let kind = kind(parent);
    match kind {
        "exact" | "absent" => parent.clone(),
        "one_of" if chance.percent(40) => exactly(chance.pick(&listed("values"))),
        "one_of" => json!({ "constraint_type": kind, "values": chance.some(&listed("values"), 1) }),
        "subset" => {
            json!({ "constraint_type": kind, "allowed": chance.some(&listed("allowed"), 1) })
        }
        "not_one_of" => {
            json!({ "constraint_type": kind, "excluded": longer(chance, listed("excluded"), &LITERALS) })
        }
        "contains" => {
            json!({ "constraint_type": kind, "required": longer(chance, listed("required"), &ELEMENTS) })
        }
        "range" => narrowed_range(chance, parent),
        "wildcard" => {
            let kind = *chance.pick(&KINDS[..KINDS.len() - 2]);
            any_of(chance, kind)
        }
        "all" => narrowed_all(chance, &listed("constraints")),
        "any" => {
            let kept = chance.some(&listed("constraints"), 1);
            let clauses: Vec<Value> = kept.iter().map(|clause| narrowed(chance, clause)).collect();
            json!({ "constraint_type": kind, "constraints": clauses })
        }
        "optional" => match chance.below(5) {
            0 => json!({ "constraint_type": "absent" }),
            1 | 2 => narrowed(chance, &parent["of"]),
            _ => json!({ "constraint_type": kind, "of": narrowed(chance, &parent["of"]) }),
        },
        "prefix" | "path" | "time_window" | "max_length" => narrowed_of_ours(chance, parent),
        other => panic!("`{other}` is no kind"),
    }
}

fn exactly(value: &Value) -> Value {
    json!({ "constraint_type": "exact", "value": value })
}

fn longer(chance: &mut Chance, mut list: Vec<Value>, from: &[Value]) -> Vec<Value> {
    for _ in 0..chance.below(3) {
        let at = chance.below(list.len() + 1);
        list.insert(at, chance.pick(from).clone());
    }
    list
}

/// A number or a range that reaches no further.
fn narrowed_range(chance: &mut Chance, parent: &Value) -> Value {
    let inside = |value: &&Value| accepts(parent, Some(value));
    let within: Vec<Value> = NUMBERS.iter().filter(inside).cloned().collect();
    let exact = chance.percent(30);
    if let Some(at) = (exact && !within.is_empty()).then(|| chance.below(within.len())) {
        return exactly(&within[at]);
    }
    let end = |chance: &mut Chance, name: &str, flag: &str| {
        let inclusive = parent.get(flag).is_none() && chance.percent(70);
        match (parent.get(name).cloned(), within.is_empty() || chance.percent(50)) {
            (bound @ Some(_), true) => (bound, inclusive),
            (None, true) => (None, true),
            (_, false) => (Some(chance.pick(&within).clone()), chance.percent(70)),
        }
    };
    let (min, max) = (end(chance, "min", "min_inclusive"), end(chance, "max", "max_inclusive"));
    let range = ranged(min.0, min.1, max.0, max.1);
    if holds_a_number(&range) { range } else { parent.clone() }
}

/// A clause for each of the parent's, in another order, and perhaps more.
fn narrowed_all(chance: &mut Chance, clauses: &[Value]) -> Value {
    let mut kept: Vec<Value> = Vec::new();
    for clause in clauses {
        let clause = narrowed(chance, clause);
        kept.insert(chance.below(kept.len() + 1), clause);
    }
    while kept.len() < 5 && chance.percent(30) {
        let more = value(chance, 0);
        kept.insert(chance.below(kept.len() + 1), more);
    }
    json!({ "constraint_type": "all", "constraints": kept })
}

fn narrowed_of_ours(chance: &mut Chance, parent: &Value) -> Value {
    let within: Vec<Value> =
        LITERALS.iter().filter(|value| accepts(parent, Some(value))).cloned().collect();
    let listed = chance.below(100);
    if listed < 25 && !within.is_empty() {
        return exactly(chance.pick(&within));
    }
    if listed < 50 && !within.is_empty() {
        return json!({ "constraint_type": "one_of", "values": chance.some(&within, 1) });
    }
    let kind = kind(parent);
    match kind {
        "prefix" => {
            let wider = parent["prefix"].as_str().unwrap();
            let longer: Vec<&str> = PREFIXES.into_iter().filter(|p| p.starts_with(wider)).collect();
            json!({ "constraint_type": kind, "prefix": chance.pick(&longer) })
        }
        "path" => {
            let inner: Vec<&str> =
                ROOTS.into_iter().filter(|root| accepts(parent, Some(&json!(root)))).collect();
            json!({ "constraint_type": kind, "root": chance.pick(&inner) })
        }
        "max_length" => {
            let shorter =
                chance.below(usize::try_from(parent["max"].as_u64().unwrap()).unwrap() + 1);
            json!({ "constraint_type": kind, "max": shorter })
        }
        _ => narrowed_window(chance, parent),
    }
}

/// The same window, or one with an end moved inward.
fn narrowed_window(chance: &mut Chance, parent: &Value) -> Value {
    let at = |window: &Value, end: &str| window[end].as_str().and_then(half_day);
    let mut window = parent.clone();
    let moved = *chance.pick(&MOMENTS);
    let end = if chance.percent(50) { "from" } else { "until" };
    let inward = match (end, half_day(moved), at(parent, end)) {
        ("from", Some(moved), Some(from)) => from <= moved,
        (_, Some(moved), Some(until)) => moved <= until,
        _ => true,
    };
    if inward {
        window[end] = json!(moved);
    }
    match (at(&window, "from"), at(&window, "until")) {
        (Some(from), Some(until)) if until <= from => parent.clone(),
        _ => window,
    }
}

/// Something that is narrower in truth, and mostly not by a rule: a clause of one around it, or one
/// of the parent's clauses by itself.
pub fn regrouped(chance: &mut Chance, parent: &Value) -> Value {
    let alone =
        |name: &str, clause: Value| json!({ "constraint_type": name, "constraints": [clause] });
    let clauses =
        parent["constraints"].as_array().filter(|list| kind(parent) == "any" || list.len() == 1);
    match (kind(parent), clauses, chance.below(3)) {
        ("absent", ..) => nothing(),
        ("optional", ..) => regrouped(chance, &parent["of"]),
        (_, Some(clauses), 0 | 1) => {
            let clause = chance.pick(clauses).clone();
            if chance.percent(50) { clause } else { narrowed(chance, &clause) }
        }
        ("exact", ..) if chance.percent(50) => {
            let value = &parent["value"];
            if value.is_number() && chance.percent(50) {
                json!({ "constraint_type": "range", "min": value, "max": value })
            } else {
                json!({ "constraint_type": "one_of", "values": [value] })
            }
        }
        (_, _, 0) => alone("any", narrowed(chance, parent)),
        (_, _, _) => alone("all", narrowed(chance, parent)),
    }
}

/// Optional, and there is nothing that it could be.
fn nothing() -> Value {
    let one = |n: u8| json!({ "constraint_type": "exact", "value": n });
    let none = json!({ "constraint_type": "all", "constraints": [one(1), one(2)] });
    json!({ "constraint_type": "optional", "of": none })
}

/// Something that was narrower than `parent` before one thing about it was changed.
pub fn nearly(chance: &mut Chance, parent: &Value) -> Value {
    let mut child = narrowed(chance, parent);
    let name = kind(&child).to_owned();
    match name.as_str() {
        "exact" => child["value"] = chance.pick(&LITERALS).clone(),
        "one_of" => push(&mut child["values"], chance.pick(&LITERALS)),
        "subset" => push(&mut child["allowed"], chance.pick(&ELEMENTS)),
        "not_one_of" => drop_one(chance, &mut child["excluded"]),
        "contains" => drop_one(chance, &mut child["required"]),
        "all" => drop_one(chance, &mut child["constraints"]),
        "any" => {
            let more = value(chance, 0);
            push(&mut child["constraints"], &more);
        }
        "range" => child = any_range(chance),
        "time_window" => child = any_window(chance),
        "prefix" => child["prefix"] = json!(chance.pick(&PREFIXES)),
        "path" => child["root"] = json!(chance.pick(&ROOTS)),
        "max_length" => child["max"] = json!(child["max"].as_u64().unwrap() + 1),
        "optional" => child["of"] = value(chance, 1),
        "wildcard" => child = json!({ "constraint_type": "optional", "of": child }),
        _ => child = any_of(chance, "optional"),
    }
    child
}

fn push(list: &mut Value, more: &Value) {
    list.as_array_mut().unwrap().push(more.clone());
}

/// Drops one of several; of a single one there is nothing to drop.
fn drop_one(chance: &mut Chance, list: &mut Value) {
    let list = list.as_array_mut().unwrap();
    if list.len() > 1 {
        list.remove(chance.below(list.len()));
    }
}
