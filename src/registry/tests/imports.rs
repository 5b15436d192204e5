//! What a server lists, and what an administrator assigns.

use super::problems;
use crate::{
    model::resource::Effect,
    registry::{import, tools_list},
};

const LIST: &str = r#"{"tools":[{"name":"refunds.list","title":"List","description":"Lists refunds","inputSchema":{"type":"object"},"outputSchema":{},"annotations":{"readOnlyHint":true},"_meta":{}},{"name":"refunds.issue","inputSchema":{"type":"object"}}],"_meta":{}}"#;

fn document(assign: &str) -> String {
    format!(r#"{{"tools_list":{LIST},"assign":{assign}}}"#)
}

#[test]
fn the_result_and_the_whole_response_are_read_alike() {
    let tools = tools_list::parse(LIST.as_bytes()).unwrap();
    assert_eq!(tools.len(), 2);
    assert_eq!(tools[0].description, "Lists refunds");
    assert_eq!(tools[1].description, "");
    let response = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{LIST}}}"#);
    assert_eq!(tools_list::parse(response.as_bytes()).unwrap(), tools);
}

#[test]
fn a_list_that_is_not_whole_or_not_one_is_refused() {
    let cases = [
        (r#"{"tools":[],"nextCursor":"2"}"#, "/nextCursor: says that the list is incomplete"),
        (r#"{"error":{"code":1}}"#, "/error: is an error response"),
        (r#"{"result":{},"error":{}}"#, "/error: is an error response"),
        ("{}", "the document: must be the result of `tools/list`"),
        (r#"{"result":{}}"#, "/result/tools: is missing"),
        (r#"{"tools":[{"name":"a"}]}"#, "/tools/0/inputSchema: is missing"),
        (r#"{"tools":[{"name":"a","inputSchema":true}]}"#, "/tools/0/inputSchema: is a boolean"),
        (
            r#"{"tools":[{"name":"a","inputSchema":[]}]}"#,
            "/tools/0/inputSchema: is an array, must be",
        ),
        (r#"{"tools":[{"name":"a b","inputSchema":{}}]}"#, "/tools/0/name: `a b` is refused"),
        (
            r#"{"tools":[{"name":"a","inputSchema":{}},{"name":"a","inputSchema":{}}]}"#,
            "/tools/1/name: is listed a second time",
        ),
        (
            r#"{"tools":[],"tools":[]}"#,
            "the document: the object at byte 0 has two members of one name",
        ),
    ];
    for (text, start) in cases {
        let problems = problems(tools_list::parse(text.as_bytes()));
        assert_eq!(problems.len(), 1, "{text}");
        assert!(problems[0].starts_with(start), "{text}: {}", problems[0]);
    }
    assert!(tools_list::parse(br#"{"tools":[],"nextCursor":null}"#).is_ok());
}

#[test]
fn an_import_takes_the_administrators_word_and_not_the_servers() {
    let drafts = import::parse(&document(
        r#"{"refunds.list":{"scopes":["refunds:read"],"effect":"egress","keep_arguments":["order_id"]},"refunds.issue":{"skip":true}}"#,
    ))
    .unwrap();
    assert_eq!(drafts.len(), 1);
    assert_eq!(drafts[0].name.as_str(), "refunds.list");
    assert_eq!(drafts[0].effect, Effect::Egress);
    assert_eq!(drafts[0].keep_arguments.as_deref(), Some(&["/order_id".to_owned()][..]));
    assert_eq!(drafts[0].enabled, None);
}

#[test]
fn a_listed_tool_that_nobody_spoke_of_is_a_problem() {
    let read = import::parse(&document(
        r#"{"refunds.list":{"scopes":["a"],"effect":"read"},"refunds.gone":{"skip":true}}"#,
    ));
    assert_eq!(
        problems(read),
        [
            "/assign/refunds.issue: is missing: assign `scopes` and `effect`, or leave the tool \
             out with `\"skip\": true`",
            "/assign/refunds.gone: is not in `tools_list`: remove it, or fetch the list again",
        ]
    );
}

#[test]
fn an_assignment_is_complete_or_refused() {
    let read = import::parse(&document(
        r#"{"refunds.list":{"effect":"harmless"},"refunds.issue":{"skip":true,"effect":"read"}}"#,
    ));
    assert_eq!(
        problems(read),
        [
            "/assign/refunds.list/scopes: is missing",
            "/assign/refunds.list/effect: must be one of `read`, `write`, `destructive`, `egress`",
            "/assign/refunds.issue/effect: is unknown here: the members are `skip`",
        ]
    );
}
