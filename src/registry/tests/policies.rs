//! A policy set as a document.

use super::problems;
use crate::{
    base::time::Timestamp,
    model::policy::Fault,
    registry::policy_set::{self, MAX_TEXT_BYTES, MAX_TEXTS},
};

const SET: &str = r#"{"delegation":[{"name":"delegation/a.cedar","text":"forbid\n"}],"access":{"schema":{"name":"access/schema.cedarschema","text":""},"policies":[{"name":"access/b.cedar","text":"permit"}]},"by":"Ada","rolled_back_to":0}"#;

#[test]
fn a_set_is_written_as_it_was_read() {
    let read = policy_set::parse(SET).unwrap();
    assert_eq!((read.by.as_str(), read.rolled_back_to), ("Ada", Some(0)));
    assert_eq!(policy_set::write(&read), SET);
    let empty = policy_set::parse("{}").unwrap();
    assert_eq!(policy_set::parse(&policy_set::write(&empty)).unwrap(), empty);
    // Who wrote it and what came of it are the server's word.
    let draft = SET.replace(r#""by":"Ada""#, r#""by":7,"rules":[],"warnings":[],"at":1"#);
    assert_eq!(policy_set::parse_draft(&draft).unwrap(), read.sources);
}

#[test]
fn texts_have_names_of_their_own_and_bounds() {
    let text = |name: &str, text: &str| format!(r#"{{"name":"{name}","text":"{text}"}}"#);
    let set = |texts: &[String]| format!(r#"{{"delegation":[{}]}}"#, texts.join(","));
    let told = |set: &str| problems(policy_set::parse_draft(set));
    let twice = set(&[text("a", ""), text("b", ""), text("a", "")]);
    assert_eq!(
        told(&twice),
        ["/delegation/2/name: `a` is the name of another text: give each its own"]
    );
    for name in ["", "a b", "a\\n", "ä", &"a".repeat(65)] {
        let told = told(&set(&[text(name, "")]));
        assert!(told.len() == 1 && told[0].starts_with("/delegation/0/name: must be"), "{told:?}");
    }
    let long = set(&[text("a", &"x".repeat(MAX_TEXT_BYTES + 1))]);
    assert!(told(&long)[0].starts_with("/delegation/0/text: must be at most 65536 bytes"));
    let many: Vec<String> = (0..MAX_TEXTS).map(|n| text(&format!("t{n}"), "")).collect();
    assert!(told(&set(&many)).is_empty());
    let one_more = set(&many).replace("]}", r#"],"access":{"schema":{"name":"s","text":""}}}"#);
    assert_eq!(told(&one_more), ["the document: must have at most 100 texts in all"]);
    assert!(told(r#"{"delegation":[],"permit":[]}"#)[0].starts_with("/permit: is unknown here"));
}

#[test]
fn a_fault_stands_where_its_text_does() {
    let sources = policy_set::parse(SET).unwrap().sources;
    let at = |file: &str| {
        let file = file.to_owned();
        let fault = Fault { file, line: 1, column: 1, message: String::new() };
        policy_set::place(&sources, &fault)
    };
    assert_eq!(at("delegation/a.cedar"), "/delegation/0/text");
    assert_eq!(at("access/schema.cedarschema"), "/access/schema/text");
    assert_eq!(at("access/b.cedar"), "/access/policies/0/text");
    assert_eq!(at("elsewhere"), "");
}

#[test]
fn a_replay_has_a_draft_and_bounds() {
    let order = policy_set::parse_replay(r#"{"policies":{"version":3,"delegation":[]}}"#).unwrap();
    assert_eq!((order.since, order.limit), (None, 1_000));
    let order = policy_set::parse_replay(r#"{"policies":{},"since":7,"limit":10000}"#).unwrap();
    assert_eq!((order.since.map(Timestamp::epoch_s), order.limit), (Some(7), 10_000));
    for (bad, place) in [
        ("{}", "/policies: is missing"),
        (r#"{"policies":{"x":1}}"#, "/policies/x: is unknown here"),
        (r#"{"policies":{},"limit":10001}"#, "/limit: must be"),
        (r#"{"policies":{},"since":-1}"#, "/since: must be"),
    ] {
        let told = problems(policy_set::parse_replay(bad));
        assert!(told.len() == 1 && told[0].starts_with(place), "{told:?}");
    }
}

#[test]
fn an_order_to_go_back_may_name_a_version() {
    let order = |text: &str| policy_set::parse_rollback(text).map(|order| order.version);
    assert_eq!(order("{}"), Ok(None));
    assert_eq!(order(r#"{"version":0}"#), Ok(Some(0)));
    for bad in [r#"{"version":-1}"#, r#"{"version":1.5}"#, r#"{"to":1}"#] {
        assert!(order(bad).is_err(), "{bad}");
    }
}
