//! What `authorization_details` says, and that it cannot say anything else.

use proptest::prelude::*;

use super::*;
use crate::base::id::DelegationId;
use crate::model::{
    constraint::{
        Argument, Arguments, Bound, Clauses, Constraint, Moment, Range, Root, Shape, TimeWindow,
        Values,
    },
    scope::Scope,
};

const STORY: &str = r#"[{"type":"mcp_tool_call","locations":["https://refunds.example"],"tools":{"refunds.list":{"order_id":{"constraint_type":"exact","value":"A-17"}}}}]"#;

fn authority(entries: Vec<RequestedEntry>) -> Authority {
    Authority::new(
        entries
            .into_iter()
            .map(|entry| entry.resolve(&SubjectClaims::default()).unwrap())
            .map(|e| {
                let id = DelegationId::from_bytes([7; 16]);
                let max_calls = MaxCalls::default().narrowed(id, e.max_calls).unwrap();
                let tools = Tools::Named(e.tools);
                (e.location, Entry { scope: Scope::default(), tools, max_calls })
            })
            .collect(),
    )
}

fn entry_of(tools: Tools) -> Entry {
    Entry { scope: Scope::default(), tools, max_calls: MaxCalls::default() }
}

/// An array of one entry.
fn entry(host: &str, tools: &str) -> String {
    format!(
        r#"[{{"type":"mcp_tool_call","locations":["https://{host}.example"],"tools":{tools}}}]"#
    )
}

fn refused_tools(tools: &str) -> String {
    parse(&entry("a", tools)).unwrap_err().to_string()
}

#[test]
fn ra9_the_story_reads_and_prints_the_same() {
    let entries = parse(STORY).unwrap();
    assert_eq!(entries[0].location.as_str(), "https://refunds.example");
    assert_eq!(write(&authority(entries)), STORY);
}

#[test]
fn ra9_an_empty_object_permits_any_arguments() {
    let text = STORY.replace(r#"{"order_id":{"constraint_type":"exact","value":"A-17"}}"#, "{}");
    let entries = parse(&text).unwrap();
    assert_eq!(entries[0].tools.values().next(), Some(&Arguments::Any));
    assert_eq!(write(&authority(entries)), text);
}

#[test]
fn ra2_what_is_not_understood_is_refused_with_its_place() {
    let cases = [
        ("{", "authorization_details: expected a member name at byte 1"),
        ("{}", ": authorization_details must be a JSON array of objects"),
        ("[]", ": authorization_details must have 1 to 16 entries"),
        ("[3]", "/0: must be an object with type, locations and tools"),
        ("[{}]", "/0/type: must be `mcp_tool_call`"),
        (r#"[{"type":"payment"}]"#, "/0/type: unknown type `payment`, expected `mcp_tool_call`"),
        (
            r#"[{"type":"mcp_tool_call","min_calls":1}]"#,
            "/0/min_calls: `mcp_tool_call` has no such member: it has type, locations, tools and \
             max_calls",
        ),
        (r#"[{"type":"mcp_tool_call"}]"#, "/0/locations: must be an array with one URI"),
        (
            r#"[{"type":"mcp_tool_call","locations":["https://a.example#f"]}]"#,
            "/0/locations/0: must not have a fragment",
        ),
        (
            r#"[{"type":"mcp_tool_call","locations":["https://a.example","https://b.example"]}]"#,
            "/0/locations: must have one location: write one entry for each",
        ),
        (
            r#"[{"type":"mcp_tool_call","locations":["https://a.example"]}]"#,
            "/0/tools: must be an object that names tools",
        ),
    ];
    for (text, error) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn ra2_what_is_not_understood_in_tools_is_refused_with_its_place() {
    let exact = r#"{"constraint_type":"exact","value":1}"#;
    let cases = [
        ("{}".to_owned(), "/0/tools: names no tool: name at least one, or leave `tools` out"),
        (
            r#"{"rm -rf":{}}"#.to_owned(),
            "/0/tools/rm -rf: a tool name is 1 to 128 of A-Z, a-z, 0-9, `_`, `.` and `-`",
        ),
        (
            r#"{"t":null}"#.to_owned(),
            "/0/tools/t: is null, expected {argument: constraint}, or {} for any arguments",
        ),
        (
            r#"{"t":{"x":{}}}"#.to_owned(),
            "/0/tools/t/x: needs `constraint_type`: `exact`, `one_of`, `range` or another",
        ),
        (
            r#"{"refunds.list":{"order_id":{"constraint_type":"regex","value":".*"}}}"#.to_owned(),
            "/0/tools/refunds.list/order_id: unknown constraint_type `regex`",
        ),
        (
            r#"{"t":{"x":{"constraint_type":"exact"}}}"#.to_owned(),
            "/0/tools/t/x: `exact` needs `value`",
        ),
        (
            r#"{"t":{"x":{"constraint_type":"wildcard","value":1}}}"#.to_owned(),
            "/0/tools/t/x/value: `wildcard` has no such member",
        ),
        (
            r#"{"t":{"x":{"constraint_type":"one_of","values":[]}}}"#.to_owned(),
            "/0/tools/t/x/values: must be an array of 1 to 256 values",
        ),
        (
            format!(r#"{{"t":{{"x":{exact},"/x":{exact}}}}}"#),
            "/0/tools/t/~1x: is the same as, or runs through, another argument of this tool",
        ),
        (
            format!(r#"{{"t":{{"/x/0":{exact}}}}}"#),
            "/0/tools/t/~1x~10: must not point into an array: constrain the array as a whole",
        ),
    ];
    for (tools, error) in cases {
        assert_eq!(refused_tools(&tools), error);
    }
}

#[test]
fn ra2_bounds_hold_at_their_edges() {
    let one_of = |n: usize| {
        let values = vec!["1"; n].join(",");
        format!(r#"{{"t":{{"x":{{"constraint_type":"one_of","values":[{values}]}}}}}}"#)
    };
    assert!(parse(&entry("a", &one_of(Values::MAX))).is_ok());
    assert!(parse(&entry("a", &one_of(Values::MAX + 1))).is_err());
    let tools = |n: usize| {
        let tools: Vec<String> = (0..n).map(|i| format!(r#""t{i}":{{}}"#)).collect();
        format!("{{{}}}", tools.join(","))
    };
    assert!(parse(&entry("a", &tools(Authority::MAX_TOOLS))).is_ok());
    assert!(parse(&entry("a", &tools(Authority::MAX_TOOLS + 1))).is_err());
    let entries = |n: usize| {
        let entries: Vec<String> = (0..n)
            .map(|i| entry(&format!("h{i}"), r#"{"t":{}}"#))
            .map(|array| array.trim_matches(['[', ']']).to_owned())
            .collect();
        format!("[{}]", entries.join(","))
    };
    assert!(parse(&entries(Authority::MAX_LOCATIONS)).is_ok());
    assert!(parse(&entries(Authority::MAX_LOCATIONS + 1)).is_err());
    let padded = |n: usize| format!("{STORY}{}", " ".repeat(n - STORY.len()));
    assert!(parse(&padded(MAX_BYTES)).is_ok());
    assert!(parse(&padded(MAX_BYTES + 1)).is_err());
}

#[test]
fn ra9_one_location_is_one_entry() {
    let entry = STORY.trim_start_matches('[').trim_end_matches(']');
    // The host is spelled otherwise and is the same.
    let text = format!("[{entry},{}]", entry.replace("refunds.example", "REFUNDS.example"));
    let error = parse(&text).unwrap_err().to_string();
    assert_eq!(error, "/1/locations/0: names a location twice: put all its tools into one entry");
}

#[test]
fn ra2_max_calls_is_a_whole_number_of_calls() {
    let with =
        |max_calls: &str| STORY.replace("}}}]", &format!("}}}},\"max_calls\":{max_calls}}}]"));
    let read = |max_calls| parse(&with(max_calls)).map(|entries| entries[0].max_calls);
    for (written, calls) in [("1", 1), ("7", 7), ("1e1", 10), ("2.0", 2), ("1000000", 1_000_000)] {
        assert_eq!(read(written).unwrap(), Some(calls), "{written}");
    }
    assert_eq!(parse(STORY).unwrap()[0].max_calls, None);
    assert_eq!(write(&authority(parse(&with("7")).unwrap())), with("7"));
    for bad in ["0", "-1", "0.5", "1000001", "1e30", "null", "true", "\"3\"", "[1]", "{}"] {
        let message = read(bad).unwrap_err().to_string();
        assert_eq!(message, "/0/max_calls: must be a whole number from 1 to 1000000", "{bad}");
    }
}

#[test]
fn a_repeated_member_is_refused_before_anything_is_read() {
    assert!(parse(&STORY.replace(r#""value":"A-17""#, r#""value":"A-17","value":"*""#)).is_err());
}

#[test]
fn an_entry_that_permits_nothing_is_never_printed_as_one_that_permits_anything() {
    let uri = Uri::parse("https://a.example").unwrap();
    let tool = ToolName::parse("t").unwrap();
    let no_tool = entry_of(Tools::Named(BTreeMap::new()));
    let text = write_entry(uri.as_str(), &no_tool).unwrap();
    assert!(parse(&format!("[{text}]")).is_err());
    let no_argument = STORY.replace(
        r#"{"constraint_type":"exact","value":"A-17"}"#,
        r#"{"constraint_type":"absent"}"#,
    );
    assert_eq!(write(&authority(parse(&no_argument).unwrap())), no_argument);
    let undetailed = entry_of(Tools::Undetailed);
    assert_eq!(write_entry(uri.as_str(), &undetailed), None);
    assert_eq!(write_tool(uri.as_str(), &undetailed, &tool), None);
}

#[test]
fn what_is_read_is_never_too_deep_for_a_token() {
    let nested = |n: usize| {
        let value = format!("{}{}", "[".repeat(n), "]".repeat(n));
        STORY.replace("\"A-17\"", &value)
    };
    // Array, entry, tools, tool, argument: five levels around the value.
    assert!(parse(&nested(MAX_DEPTH - 5)).is_ok());
    assert!(parse(&nested(MAX_DEPTH - 4)).is_err());
    let answer = format!(
        r#"{{"decision":{{"remediation":{{"authorization_details":{}}}}}}}"#,
        nested(MAX_DEPTH - 5)
    );
    assert!(json::parse(answer.as_bytes(), &Limits::DEFAULT).is_ok());
}

#[test]
fn one_tool_is_printed_alone() {
    let entries = parse(&STORY.replace(r#""tools":{"#, r#""tools":{"other":{},"#)).unwrap();
    let authority = authority(entries);
    let (uri, entry) = authority.iter().next().unwrap();
    let tool = ToolName::parse("refunds.list").unwrap();
    assert_eq!(format!("[{}]", write_tool(uri.as_str(), entry, &tool).unwrap()), STORY);
    assert_eq!(write_tool(uri.as_str(), entry, &ToolName::parse("absent").unwrap()), None);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_constraint() -> impl Strategy<Value = Constraint<ClaimName>> {
    let values =
        || prop::collection::vec(any_value(), 1..4).prop_map(|values| Values::new(values).unwrap());
    let leaf = prop_oneof![
        any_value().prop_map(Constraint::Exact),
        values().prop_map(Constraint::OneOf),
        values().prop_map(Constraint::NotOneOf),
        values().prop_map(Constraint::Contains),
        values().prop_map(Constraint::Subset),
        Just(Constraint::Wildcard),
        any_range(),
        ".{1,8}".prop_map(Constraint::Prefix),
        "/?[a-z]{1,4}(/[a-zé .]{0,3}x){0,2}"
            .prop_filter_map("a root", |text| Root::parse(&text).map(Constraint::Path)),
        any_window(),
        (0..=Constraint::<ClaimName>::MAX_LENGTH).prop_map(Constraint::MaxLength),
        "[a-z:/.]{1,20}"
            .prop_map(|name| Constraint::SubjectClaim(ClaimName::parse(&name).unwrap())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let clauses = prop::collection::vec(inner, 1..4);
        let clauses = clauses.prop_filter_map("small enough", Clauses::new);
        prop_oneof![clauses.clone().prop_map(Constraint::All), clauses.prop_map(Constraint::Any),]
    })
}

fn any_range() -> impl Strategy<Value = Constraint<ClaimName>> {
    let bound = || {
        (any::<i64>(), -300_i32..290, any::<bool>()).prop_map(|(digits, exponent, inclusive)| {
            let text = format!("{digits}e{exponent}");
            let value = json::parse(text.as_bytes(), &Limits::DEFAULT).unwrap();
            Bound { value: value.as_number().unwrap(), inclusive }
        })
    };
    (prop::option::of(bound()), prop::option::of(bound()))
        .prop_filter_map("holds a number", |(min, max)| Range::new(min, max).map(Constraint::Range))
}

fn any_window() -> impl Strategy<Value = Constraint<ClaimName>> {
    let moment = || {
        "20[0-9]{2}-0[1-9]-[12][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]1[0-9]:[0-5][0-9])"
        .prop_filter_map("a day", |text| Moment::parse(&text))
    };
    (prop::option::of(moment()), prop::option::of(moment()))
        .prop_filter_map("holds a moment", |(from, until)| {
            TimeWindow::new(from, until).map(Constraint::TimeWindow)
        })
}

fn any_argument() -> impl Strategy<Value = Argument<ClaimName>> {
    prop_oneof![
        4 => any_constraint().prop_map(Argument::Required),
        2 => any_constraint().prop_map(Argument::Optional),
        1 => Just(Argument::Absent),
    ]
}

fn any_arguments() -> impl Strategy<Value = Arguments<ClaimName>> {
    let pointer = prop::collection::vec("[a-c~/é ]{1,3}", 1..4).prop_map(|segments| {
        let escape = |s: &String| s.replace('~', "~0").replace('/', "~1");
        format!("/{}", segments.iter().map(escape).collect::<Vec<_>>().join("/"))
    });
    prop::collection::vec((pointer, any_argument()), 0..6).prop_map(|wanted| {
        let mut kept: Vec<(String, Argument<ClaimName>)> = Vec::new();
        for named in wanted {
            // Pointers that overlap are left out.
            let with = || kept.iter().cloned().chain([named.clone()]);
            if Shape::of(with()).is_ok() {
                kept.push(named);
            }
        }
        Shape::of(kept).map_or(Arguments::Any, Arguments::Closed)
    })
}

/// What an administrator's document says of these tools, claims of the subject included.
fn written(entries: &[RequestedEntry]) -> String {
    let entries = entries.iter().map(|entry| {
        let id = DelegationId::from_bytes([7; 16]);
        let max_calls = MaxCalls::default().narrowed(id, entry.max_calls).unwrap();
        write_tools(entry.location.as_str(), &entry.tools, &max_calls)
    });
    format!("[{}]", entries.collect::<Vec<_>>().join(","))
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(
        tools in prop::collection::btree_map("[a-zA-Z0-9_.-]{1,12}", any_arguments(), 1..4),
        hosts in prop::collection::btree_set("[a-z]{1,6}", 1..4),
        max_calls in prop::option::of(1..=MaxCalls::MOST),
    ) {
        let tools: NamedTools<ClaimName> =
            tools.into_iter().map(|(n, a)| (ToolName::parse(&n).unwrap(), a)).collect();
        let entries: Vec<RequestedEntry> = hosts
            .iter()
            .map(|host| RequestedEntry {
                location: Uri::parse(&format!("https://{host}.example/mcp")).unwrap(),
                tools: tools.clone(),
                max_calls,
            })
            .collect();
        let text = written(&entries);
        let limits = Limits { max_bytes: usize::MAX, ..Limits::DEFAULT };
        prop_assert_eq!(read(&json::parse(text.as_bytes(), &limits).unwrap()).unwrap(), entries);
    }

    #[test]
    fn no_text_makes_the_reader_fall(text in ".{0,200}") {
        let _ = parse(&text);
    }
}
