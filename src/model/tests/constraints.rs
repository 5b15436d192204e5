//! Constraints: what is narrower is sound, for every value.

use super::*;

/// A small world, so that values meet often.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec!["1", "1.0", "10e-1", "2", "0", "-0"]).prop_map(value),
        "[ab]{0,1}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..2).prop_map(Value::Array),
            prop::collection::vec(("[ab]", inner), 0..2)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_constraint() -> impl Strategy<Value = Constraint> {
    prop_oneof![
        any_value().prop_map(Constraint::Exact),
        prop::collection::vec(any_value(), 1..4).prop_map(Constraint::OneOf),
        Just(Constraint::Wildcard),
    ]
}

/// A constraint that permits only what `parent` permits, picked by `choice`.
fn narrowed(parent: &Constraint, choice: prop::sample::Index, other: Constraint) -> Constraint {
    match parent {
        Constraint::Wildcard => other,
        Constraint::Exact(value) if choice.index(2) == 0 => Constraint::Exact(value.clone()),
        Constraint::Exact(value) => Constraint::OneOf(vec![value.clone()]),
        Constraint::OneOf(values) if choice.index(2) == 0 => {
            Constraint::Exact(values[choice.index(values.len())].clone())
        }
        Constraint::OneOf(values) => {
            Constraint::OneOf(values[choice.index(values.len())..].to_vec())
        }
    }
}

/// Up to three arguments, on one or two levels.
fn any_arguments() -> impl Strategy<Value = Arguments> {
    let pointer = prop::sample::select(vec!["a", "b", "/c/a", "/c/b"]);
    prop_oneof![
        Just(Arguments::Any),
        prop::collection::btree_map(pointer, any_constraint(), 1..4).prop_map(closed),
    ]
}

fn closed(constraints: BTreeMap<&'static str, Constraint>) -> Arguments {
    let mut shape = Shape::default();
    for (pointer, constraint) in constraints {
        shape.constrain(pointer, constraint).unwrap();
    }
    Arguments::Closed(shape)
}

/// Objects of the same small world, with absent and surplus members.
fn any_call() -> impl Strategy<Value = Object> {
    let inner = prop::collection::btree_map("[abx]", any_value(), 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()));
    (prop::collection::btree_map("[abx]", any_value(), 0..3), prop::option::of(inner)).prop_map(
        |(members, inner)| {
            let mut object: Object = members.into_iter().collect();
            if let Some(inner) = inner {
                object.insert("c", inner);
            }
            object
        },
    )
}

/// A call that `arguments` names member by member, so that many are permitted.
fn call_for(arguments: &Arguments, choice: prop::sample::Index, free: &Value) -> Object {
    let mut call = Object::new();
    let mut inner = Object::new();
    if let Arguments::Closed(shape) = arguments {
        for (pointer, constraint) in shape.pointers() {
            let value = match constraint {
                Constraint::Exact(value) => value.clone(),
                Constraint::OneOf(values) => values[choice.index(values.len())].clone(),
                Constraint::Wildcard => free.clone(),
            };
            match pointer.strip_prefix("/c/") {
                Some(name) => drop(inner.insert(name, value)),
                None => drop(call.insert(pointer.trim_start_matches('/'), value)),
            }
        }
    }
    if !inner.is_empty() {
        call.insert("c", inner);
    }
    call
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn ra7_narrower_is_sound(child in any_constraint(), parent in any_constraint(), v in any_value()) {
        if child.is_narrower_than(&parent) && child.check(&v) {
            prop_assert!(parent.check(&v));
        }
    }

    #[test]
    fn ra7_what_was_narrowed_is_narrower(
        parent in any_constraint(), other in any_constraint(), choice: prop::sample::Index, v in any_value(),
    ) {
        let child = narrowed(&parent, choice, other);
        prop_assert!(child.is_narrower_than(&parent));
        prop_assert!(!child.check(&v) || parent.check(&v));
    }

    #[test]
    fn ra7_narrower_is_a_preorder(a in any_constraint(), b in any_constraint(), c in any_constraint()) {
        prop_assert!(a.is_narrower_than(&a));
        if a.is_narrower_than(&b) && b.is_narrower_than(&c) {
            prop_assert!(a.is_narrower_than(&c));
        }
    }

    #[test]
    fn ra7_narrower_arguments_are_sound(
        child in any_arguments(), parent in any_arguments(),
        random in any_call(), choice: prop::sample::Index, free in any_value(),
    ) {
        if child.is_narrower_than(&parent) {
            for call in [random, call_for(&child, choice, &free)] {
                prop_assert!(child.check(&call).is_err() || parent.check(&call).is_ok());
            }
        }
    }

    #[test]
    fn ra7_arguments_narrowed_one_by_one_are_narrower_and_sound(
        parent in any_arguments(), other in any_constraint(), choice: prop::sample::Index, free in any_value(),
    ) {
        let child = match &parent {
            Arguments::Any => Arguments::Any,
            Arguments::Closed(shape) => {
                let mut child = Shape::default();
                for (pointer, constraint) in shape.pointers() {
                    let narrow = narrowed(constraint, choice, other.clone());
                    child.constrain(&pointer, narrow).unwrap();
                }
                Arguments::Closed(child)
            }
        };
        prop_assert!(child.is_narrower_than(&parent));
        let call = call_for(&child, choice, &free);
        prop_assert!(child.check(&call).is_err() || parent.check(&call).is_ok());
    }
}

#[test]
fn numbers_compare_by_value_and_never_by_text() {
    let one = Constraint::Exact(value("1"));
    assert!(one.check(&value("1.0")) && one.check(&value("10e-1")));
    assert!(!one.check(&value("\"1\"")) && !one.check(&value("true")));
    assert!(!one.check(&value("1.0000000000000000000001")));
    let two53 = Constraint::Exact(value("9007199254740993"));
    assert!(!two53.check(&value("9007199254740992")));
}

#[test]
fn a_closed_parent_never_yields_an_open_child() {
    let parent = closed(BTreeMap::from([("a", Constraint::Wildcard)]));
    assert!(!Arguments::Any.is_narrower_than(&parent));
    let more = closed(BTreeMap::from([("a", Constraint::Wildcard), ("b", Constraint::Wildcard)]));
    assert!(!more.is_narrower_than(&parent) && !parent.is_narrower_than(&more));
}
