//! Shapes: the world is closed at every level, and each argument has one name.

use super::*;

fn shape(pointers: &[&str]) -> Result<Shape, PointerError> {
    let mut shape = Shape::default();
    for pointer in pointers {
        shape.constrain(pointer, Constraint::Exact(value("1")))?;
    }
    Ok(shape)
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
    assert!(shape(&["/a".repeat(Shape::MAX_LEVELS).as_str()]).is_ok());
    let deep = "/a".repeat(Shape::MAX_LEVELS + 1);
    assert_eq!(shape(&[&deep]), Err(PointerError::TooMany));
    let names: Vec<String> = (0..=Shape::MAX_POINTERS).map(|i| format!("a{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(shape(&names[1..]).is_ok());
    assert_eq!(shape(&names), Err(PointerError::TooMany));
}

proptest! {
    #[test]
    fn pointers_rebuild_the_shape(wanted in prop::collection::vec("(/[ab~0/1é]{0,3}){1,3}", 0..5)) {
        let mut shape = Shape::default();
        for pointer in &wanted {
            let mut with = shape.clone();
            if with.constrain(pointer, Constraint::Wildcard).is_ok() {
                shape = with;
            }
        }
        let mut again = Shape::default();
        for (pointer, constraint) in shape.pointers() {
            again.constrain(&pointer, constraint.clone()).unwrap();
        }
        prop_assert_eq!(again, shape);
    }
}
