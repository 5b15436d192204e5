//! Shapes: the world is closed at every level, and each argument has one name.

use super::*;

fn shape(pointers: &[&str]) -> Result<Shape, PointerError> {
    let one = || Argument::Required(Constraint::Exact(value("1")));
    let named = pointers.iter().map(|&pointer| (pointer.to_owned(), one()));
    Shape::of(named).map_err(|misplaced| misplaced.why)
}

fn violation(pointers: &[&str], call: &str) -> (String, ViolationKind) {
    let arguments = Arguments::Closed(shape(pointers).unwrap());
    let violation = arguments.check(&object(call)).unwrap_err();
    (violation.pointer, violation.kind)
}

#[test]
fn ra9_the_world_is_closed_at_every_level() {
    use ViolationKind::{Missing, NotPermitted, Unexpected};
    let wanted = ["x", "/o/id", "/o/p/q"];
    let arguments = Arguments::Closed(shape(&wanted).unwrap());
    assert_eq!(arguments.check(&object(r#"{"x":1,"o":{"id":1,"p":{"q":1}}}"#)), Ok(()));
    let cases = [
        (r#"{"x":1,"y":1,"o":{"id":1,"p":{"q":1}}}"#, "/y", Unexpected),
        (r#"{"x":1,"o":{"id":1,"z~/":1,"p":{"q":1}}}"#, "/o/z~0~1", Unexpected),
        (r#"{"x":1,"o":{"id":1,"p":{"q":1,"r":null}}}"#, "/o/p/r", Unexpected),
        (r#"{"o":{"id":1,"p":{"q":1}}}"#, "/x", Missing),
        (r#"{"x":1,"o":{"p":{"q":1}}}"#, "/o/id", Missing),
        (r#"{"x":1}"#, "/o", Missing),
        (r#"{"x":1,"o":{"id":1,"p":{"q":2}}}"#, "/o/p/q", NotPermitted),
        (r#"{"x":1,"o":{"id":1,"p":[1]}}"#, "/o/p", NotPermitted),
        (r#"{"x":1,"o":null}"#, "/o", NotPermitted),
    ];
    for (call, pointer, kind) in cases {
        assert_eq!(violation(&wanted, call), (pointer.to_owned(), kind), "{call}");
    }
}

#[test]
fn ra9_one_argument_has_one_constraint() {
    for pointers in [["x", "x"], ["x", "/x"], ["/x", "/x/y"], ["/x/y", "x"], ["/a~1b", "/a~1b"]] {
        assert_eq!(shape(&pointers), Err(PointerError::Overlaps), "{pointers:?}");
    }
    assert!(shape(&["/x/y", "/x/z", "y", "/a~1b", "/a/b"]).is_ok());
}

#[test]
fn ra9_arrays_are_constrained_whole() {
    for pointer in ["/x/0", "/0", "0", "17", "-", "/x/-"] {
        assert_eq!(shape(&[pointer]), Err(PointerError::ArrayIndex), "{pointer}");
    }
    assert!(shape(&["x0", "/x/a1", "-1"]).is_ok());
}

#[test]
fn rfc6901_a_pointer_is_well_formed_or_refused() {
    let long = "x".repeat(257);
    for pointer in ["", "/", "/x/", "//x", "/x~2", "/x~", "x~0", "a/b", long.as_str()] {
        assert_eq!(shape(&[pointer]), Err(PointerError::Syntax), "{pointer}");
    }
    // RFC 6901 section 4: `~01` is `~1`, not `/`.
    assert_eq!(shape(&["/~01"]).unwrap().pointers()[0].0, "/~01");
}

#[test]
fn bounds_hold_at_their_edges() {
    assert!(shape(&["/a".repeat(Shape::<Never>::MAX_LEVELS).as_str()]).is_ok());
    let deep = "/a".repeat(Shape::<Never>::MAX_LEVELS + 1);
    assert_eq!(shape(&[&deep]), Err(PointerError::TooMany));
    let names: Vec<String> = (0..=Shape::<Never>::MAX_POINTERS).map(|i| format!("a{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(shape(&names[1..]).is_ok());
    assert_eq!(shape(&names), Err(PointerError::TooMany));
}

#[test]
fn ra9_a_shape_without_arguments_cannot_be_made() {
    assert_eq!(shape(&[]), Err(PointerError::Nothing));
}

#[test]
fn ra9_only_an_optional_argument_may_be_absent() {
    use ViolationKind::{Missing, NotPermitted, Unexpected};
    let one = || Constraint::Exact(value("1"));
    let arguments = closed([
        ("must", Argument::Required(one())),
        ("may", Argument::Optional(one())),
        ("not", Argument::Absent),
        ("/o/may", Argument::Optional(one())),
        ("/p/may", Argument::Optional(one())),
        ("/p/must", Argument::Required(one())),
    ]);
    for call in [
        r#"{"must":1,"p":{"must":1}}"#,
        r#"{"must":1,"may":1,"o":{},"p":{"must":1,"may":1}}"#,
        r#"{"must":1,"o":{"may":1},"p":{"must":1}}"#,
    ] {
        assert_eq!(arguments.check(&object(call)), Ok(()), "{call}");
    }
    for (call, pointer, kind) in [
        (r#"{"must":1,"may":2,"p":{"must":1}}"#, "/may", NotPermitted),
        (r#"{"must":1,"may":null,"p":{"must":1}}"#, "/may", NotPermitted),
        (r#"{"must":1,"not":1,"p":{"must":1}}"#, "/not", Unexpected),
        (r#"{"must":1,"not":null,"p":{"must":1}}"#, "/not", Unexpected),
        (r#"{"must":1,"o":null,"p":{"must":1}}"#, "/o", NotPermitted),
        (r#"{"must":1,"o":{"x":1},"p":{"must":1}}"#, "/o/x", Unexpected),
        (r#"{"must":1}"#, "/p", Missing),
        (r#"{"must":1,"p":{"may":1}}"#, "/p/must", Missing),
        (r#"{"p":{"must":1}}"#, "/must", Missing),
    ] {
        let violation = arguments.check(&object(call)).unwrap_err();
        assert_eq!((violation.pointer.as_str(), violation.kind), (pointer, kind), "{call}");
    }
}

#[test]
fn ra9_an_argument_that_is_not_named_is_absent() {
    let wildcard = || Constraint::Wildcard;
    let required = || ("a", Argument::Required(wildcard()));
    let parent = closed([required(), ("b", Argument::Optional(wildcard()))]);
    let left_out = closed([required()]);
    let forbidden = closed([required(), ("b", Argument::Absent)]);
    for child in [&left_out, &forbidden] {
        assert!(child.is_narrower_than(&parent) && !parent.is_narrower_than(child));
    }
    assert!(left_out.is_narrower_than(&forbidden) && forbidden.is_narrower_than(&left_out));
    let without_a = closed([("b", Argument::Optional(wildcard()))]);
    assert!(!without_a.is_narrower_than(&parent), "what must be there is not left out");
    let more = closed([required(), ("c", Argument::Optional(wildcard()))]);
    assert!(!more.is_narrower_than(&parent), "nothing is added");
    let none = closed([("b", Argument::Absent)]);
    assert!(none.is_narrower_than(&without_a) && !Arguments::Any.is_narrower_than(&none));
}

#[test]
fn ra9_an_object_is_a_value_only_where_it_must_be_there() {
    let wildcard = || Constraint::Wildcard;
    let required = closed([("o", Argument::Required(wildcard()))]);
    let optional = closed([("o", Argument::Optional(wildcard()))]);
    let must = closed([("/o/x", Argument::Required(wildcard()))]);
    let may = closed([("/o/x", Argument::Optional(wildcard()))]);
    let closed_up = closed([("/o/x", Argument::Absent)]);
    assert!(must.is_narrower_than(&required) && must.is_narrower_than(&optional));
    for absent in [&may, &closed_up] {
        assert!(!absent.is_narrower_than(&required) && absent.is_narrower_than(&optional));
    }
    assert!(must.is_narrower_than(&may) && closed_up.is_narrower_than(&may));
    assert!(!may.is_narrower_than(&must) && !required.is_narrower_than(&must));
    // `{"o": {}}` is permitted there, and not where `o` is not named.
    let nothing = closed([("q", Argument::Absent)]);
    assert!(!closed_up.is_narrower_than(&nothing) && nothing.is_narrower_than(&closed_up));
}

proptest! {
    #[test]
    fn pointers_rebuild_the_shape(wanted in prop::collection::vec("(/[ab~0/1é]{0,3}){1,3}", 1..5)) {
        let wanted = wanted.into_iter().map(|pointer| (pointer, Argument::Required(Constraint::Wildcard)));
        if let Ok(shape) = Shape::<Never>::of(wanted) {
            let again = shape.pointers().into_iter().map(|(pointer, argument)| (pointer, argument.clone()));
            prop_assert_eq!(Shape::of(again).unwrap(), shape);
        }
    }
}
