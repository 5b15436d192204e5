//! When a tool is the same tool, and when it is another.

use super::{AT_THIS_WRITE, found, pending::settle, replace};
use crate::{
    base::time::Timestamp,
    model::resource::Tool,
    registry::{
        change::Settlement,
        tool::{ToolDraft, parse_draft},
    },
};

fn draft(effect: &str, enabled: bool) -> ToolDraft {
    let text = format!(
        r#"{{"resource":"refunds","name":"refunds.list","scopes":["refunds:read"],
        "effect":"{effect}","input_schema":{{"type":"object"}},"enabled":{enabled}}}"#
    );
    parse_draft(&text).unwrap().1
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_epoch_s(seconds).unwrap()
}

fn known() -> Tool {
    draft("read", true).into_tool(7, at(100))
}

#[test]
fn a_new_tool_changes_at_the_revision_that_writes_it() {
    let tool = replace(None, draft("read", true), at(200)).unwrap();
    assert_eq!((tool.changed_at, tool.changed_on), (AT_THIS_WRITE, at(200)));
}

#[test]
fn an_import_that_says_nothing_new_writes_nothing() {
    assert_eq!(replace(Some(&known()), draft("read", true), at(200)), None);
}

#[test]
fn another_effect_makes_another_tool() {
    let tool = replace(Some(&known()), draft("egress", true), at(200)).unwrap();
    assert_eq!((tool.changed_at, tool.changed_on), (AT_THIS_WRITE, at(200)));
}

#[test]
fn turning_a_tool_off_leaves_it_the_same_tool() {
    let tool = replace(Some(&known()), draft("read", false), at(200)).unwrap();
    assert_eq!((tool.changed_at, tool.changed_on, tool.enabled), (7, at(100), false));
}

#[test]
fn an_import_without_a_word_about_it_leaves_a_tool_off() {
    let off = Tool { enabled: false, ..known() };
    let silent = ToolDraft { enabled: None, ..draft("read", true) };
    assert_eq!(replace(Some(&off), silent, at(200)), None);
    let tool = replace(Some(&off), draft("read", true), at(200)).unwrap();
    assert!(tool.enabled);
}

#[test]
fn an_import_without_a_word_about_them_keeps_the_arguments_that_are_kept() {
    let said = |pointers: &[&str]| Some(pointers.iter().map(|p| (*p).to_owned()).collect());
    let keeping = ToolDraft { keep_arguments: said(&["/order_id"]), ..draft("read", true) };
    let known = replace(Some(&known()), keeping, at(200)).unwrap();
    assert_eq!((known.changed_at, known.keep_arguments.as_slice()), (7, &["/order_id".into()][..]));
    assert_eq!(found(Some(&known), draft("read", true), at(300)), None);
    let silent = ToolDraft { description: "Sends.".to_owned(), ..draft("read", true) };
    let waiting = found(Some(&known), silent.clone(), at(300)).unwrap();
    let accepted = settle(&waiting, Settlement::Accept, at(400)).unwrap();
    assert_eq!(accepted.keep_arguments, ["/order_id"]);
    let other = ToolDraft { keep_arguments: said(&["/email"]), ..silent };
    let waiting = found(Some(&waiting), other, at(400)).unwrap();
    assert_eq!(waiting.keep_arguments, ["/email"], "an administrator's word does not wait");
    let none = ToolDraft { keep_arguments: said(&[]), ..draft("read", true) };
    assert!(replace(Some(&known), none, at(400)).unwrap().keep_arguments.is_empty());
}

#[test]
fn a_document_put_by_hand_leaves_a_waiting_change_waiting_unless_it_is_that_change() {
    let poisoned = ToolDraft { description: "Sends.".to_owned(), ..draft("read", true) };
    let waiting = found(Some(&known()), poisoned.clone(), at(200)).unwrap();
    assert_eq!((waiting.changed_at, waiting.pending.is_some()), (7, true));
    let off = replace(Some(&waiting), draft("read", false), at(300)).unwrap();
    assert!(off.pending.is_some() && !off.enabled);
    let taken = replace(Some(&waiting), poisoned, at(300)).unwrap();
    assert_eq!((taken.changed_at, taken.pending), (AT_THIS_WRITE, None));
}
