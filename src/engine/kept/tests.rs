use super::*;
use crate::model::event::Kind;

fn object(text: &str) -> Object {
    let parsed = json::parse(text.as_bytes(), &json::Limits::DEFAULT).unwrap();
    parsed.as_object().unwrap().clone()
}

fn pointers(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

#[test]
fn all_is_kept_only_where_every_value_stands_at_a_pointer() {
    let call = object(r#"{"order":{"id":1,"note":"x"},"a/b":[1,2]}"#);
    for (keeps, whole) in [
        (&["/order", "/a~1b"][..], true),
        (&["/order/id", "/order/note", "/a~1b"], true),
        (&["/order/id", "/a~1b"], false),
        (&["/order"], false),
        (&["/a/b", "/order"], false),
        (&[], false),
    ] {
        assert_eq!(are_all_at(&call, &pointers(keeps), ""), whole, "{keeps:?}");
    }
    assert!(are_all_at(&object("{}"), &[], ""), "nothing to keep");
    assert!(!are_all_at(&object(r#"{"empty":{}}"#), &pointers(&["/empty/x"]), ""));
}

#[test]
fn what_was_kept_is_put_together_again() {
    let call = object(r#"{"order":{"id":1,"note":"x"},"a/b":[1,{"c":null}]}"#);
    let mut event = Event::new(Kind::Decision, "x", crate::base::time::Timestamp::MAX, 0);
    for pointer in ["/order/id", "/order/note", "/a~1b"] {
        let value = at_pointer(&call, pointer).unwrap().to_json();
        event.detail.push((format!("{VALUE_AT}{pointer}").into(), value));
    }
    event.detail.push((ARGUMENT.into(), "/order/id".to_owned()));
    assert_eq!(arguments(&event), call);
}
