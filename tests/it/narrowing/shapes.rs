//! Whole argument lists: closed worlds in nested objects, with arguments that may, must and must not
//! be there.

use serde_json::{Map, Value, json};

use super::{
    chance::Chance,
    domain::VALUES,
    generate::{self, KINDS},
    oracle, ours, read,
};

const PAIRS: usize = 2_000;
const CALLS: usize = 16;
const POINTERS: [&str; 6] = ["/a", "/b", "/c/a", "/c/b", "/c/d/e", "/f/g"];

/// Pointers with what is said about each.
pub type Named = Vec<(String, Value)>;

#[test]
#[expect(clippy::print_stdout, reason = "the statistics are for people too")]
fn ra7_i1_arguments_that_are_narrower_never_accept_more() {
    let mut chance = Chance::new(7);
    let (mut narrower, mut accepted) = (0, 0);
    for turn in 0..PAIRS {
        let parent = any(&mut chance);
        let child = match turn % 3 {
            0 => any(&mut chance),
            1 => narrowed(&mut chance, &parent),
            _ => nearly(&mut chance, &parent),
        };
        let (child_read, parent_read) = (read(&object(&child)), read(&object(&parent)));
        let is_narrower = child_read.is_narrower_than(&parent_read);
        assert!(is_narrower || turn % 3 != 1, "made narrower: {child:?} under {parent:?}");
        narrower += usize::from(is_narrower);
        for _ in 0..CALLS {
            let call = call(&mut chance, &child);
            let reading = ours(&call.to_string()).as_object().unwrap().clone();
            let (by_child, by_parent) =
                (oracle::accepts_call(&child, &call), oracle::accepts_call(&parent, &call));
            assert_eq!(child_read.check(&reading).is_ok(), by_child, "{child:?} and {call}");
            assert_eq!(parent_read.check(&reading).is_ok(), by_parent, "{parent:?} and {call}");
            assert!(!is_narrower || !by_child || by_parent, "{child:?} under {parent:?}: {call}");
            accepted += usize::from(by_child);
        }
    }
    println!("{narrower} of {PAIRS} narrower, {accepted} of {} calls accepted", PAIRS * CALLS);
    assert!(narrower * 100 >= PAIRS * 30, "too few related pairs: {narrower}");
    assert!(accepted * 100 >= PAIRS * CALLS * 20, "too few accepted calls: {accepted}");
}

pub fn object(named: &Named) -> Value {
    Value::Object(named.iter().cloned().collect::<Map<_, _>>())
}

pub fn any(chance: &mut Chance) -> Named {
    let pointers = chance.some(&POINTERS, 1);
    pointers.into_iter().map(|pointer| (pointer.to_owned(), argument(chance))).collect()
}

/// Lists are better met by exact values than everything is by chance.
fn argument(chance: &mut Chance) -> Value {
    let kind = if chance.percent(40) { "optional" } else { *chance.pick(&KINDS) };
    generate::any_of(chance, kind)
}

pub fn narrowed(chance: &mut Chance, parent: &Named) -> Named {
    let mut child = Named::new();
    for (pointer, argument) in parent {
        let may_be_absent = oracle::accepts(argument, None);
        if may_be_absent && !child.is_empty() && chance.percent(30) {
            continue;
        }
        let narrower = generate::narrowed(chance, argument);
        let fits = narrower.to_string().matches("constraint_type").count() <= 64;
        child.push((pointer.clone(), if fits { narrower } else { argument.clone() }));
    }
    child
}

pub fn nearly(chance: &mut Chance, parent: &Named) -> Named {
    let mut child = narrowed(chance, parent);
    let at = chance.below(child.len());
    match chance.below(4) {
        0 if child.len() > 1 => drop(child.remove(at)),
        1 => {
            let free = POINTERS.iter().find(|p| !child.iter().any(|(known, _)| known == *p));
            child.extend(free.map(|pointer| ((*pointer).to_owned(), argument(chance))));
        }
        _ => {
            let changed = generate::nearly(chance, &child[at].1);
            if changed.to_string().matches("constraint_type").count() <= 64 {
                child[at].1 = changed;
            }
        }
    }
    child
}

/// A call that the arguments name member by member, so that many are permitted; now and then with
/// something else in it.
pub fn call(chance: &mut Chance, named: &Named) -> Value {
    let mut call = json!({});
    for (pointer, argument) in named {
        let fitting = oracle::members(oracle::set(argument));
        let value = match (fitting.is_empty(), chance.percent(95)) {
            (false, true) => VALUES[*chance.pick(&fitting)].clone(),
            _ => chance.pick(&VALUES).clone(),
        };
        if let Some(value) = value {
            put(&mut call, pointer, value);
        }
    }
    match chance.below(20) {
        0 => put(&mut call, "/x", json!(1)),
        1 => put(&mut call, "/c/x", json!(1)),
        2 => call["c"] = json!({}),
        3 => call["f"] = chance.pick(&[json!(null), json!([]), json!({})]).clone(),
        _ => {}
    }
    call
}

fn put(call: &mut Value, pointer: &str, value: Value) {
    let (way, name) = pointer.rsplit_once('/').unwrap();
    let mut here = call;
    for segment in way.split('/').skip(1) {
        if here.get(segment).is_none_or(|inner| !inner.is_object()) {
            here[segment] = json!({});
        }
        here = &mut here[segment];
    }
    here[name] = value;
}
