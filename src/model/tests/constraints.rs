//! Constraints kind by kind, in the form in which they are written: what each permits, what is under
//! what, and what is none. That "narrower" is sound for all of them is held in `tests/it/narrowing`.

use super::*;
use crate::model::details::{Fault, tools_from_json, tools_to_json};

fn read(argument: &str) -> Result<Arguments<ClaimName>, Fault> {
    let tools = tools_from_json(&object(&format!(r#"{{"t":{{"x":{argument}}}}}"#)), "")?;
    Ok(tools.into_values().next().unwrap())
}

fn arguments(argument: &str) -> Arguments {
    let read = read(argument).unwrap_or_else(|fault| panic!("{argument}: {fault}"));
    read.resolve(&SubjectClaims::default()).unwrap()
}

/// `{"constraint_type": kind, members}`.
fn of(kind: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"constraint_type":"{kind}"{comma}{members}}}"#)
}

#[track_caller]
fn permits(argument: &str, accepted: &[&str], refused: &[&str]) {
    let arguments = arguments(argument);
    let permits = |value: &&&str| arguments.check(&object(&format!(r#"{{"x":{value}}}"#))).is_ok();
    let not_accepted: Vec<_> = accepted.iter().filter(|value| !permits(value)).collect();
    let not_refused: Vec<_> = refused.iter().filter(permits).collect();
    assert!(not_accepted.is_empty(), "{argument} refuses {not_accepted:?}");
    assert!(not_refused.is_empty(), "{argument} accepts {not_refused:?}");
}

#[test]
fn ra9_numbers_compare_by_value_and_never_by_text() {
    let same = ["1", "1.0", "1e0", "10e-1", "0.1E1"];
    permits(
        &of("exact", r#""value":1"#),
        &same,
        &["\"1\"", "true", "[1]", "1.0000000000000000000001"],
    );
    permits(
        &of("exact", r#""value":9007199254740993"#),
        &["9007199254740993"],
        &["9007199254740992"],
    );
    permits(
        &of("one_of", r#""values":[0,"a"]"#),
        &["0", "-0", "0e5", "\"a\""],
        &["\"0\"", "false", "null"],
    );
    let range = of("range", r#""min":0.1,"max":1e2,"max_inclusive":false"#);
    let within = ["0.1", "1e-1", "99.9999999999999999999999", "1"];
    permits(
        &range,
        &within,
        &["0.09999999999999999999", "100", "1e308", "-1e-308", "\"1\"", "null", "[1]"],
    );
    let above = of("range", r#""min":5,"min_inclusive":false"#);
    permits(&above, &["5.0000000000000001", "1e308"], &["5", "4", "-1e308"]);
    for beyond in ["1e309", "-1e309", "1e-309", "12345678901234567890123456789012345"] {
        let text = format!(r#"{{"x":{beyond}}}"#);
        assert!(
            json::parse(text.as_bytes(), &Limits::DEFAULT).is_err(),
            "{beyond} is no number here"
        );
    }
}

#[test]
fn ra9_what_lists_and_combinations_permit() {
    let excluded = of("not_one_of", r#""excluded":["a",1,[]]"#);
    permits(&excluded, &["\"b\"", "2", "[[]]", "null", "{}"], &["\"a\"", "1", "1.0", "[]"]);
    let contains = of("contains", r#""required":["a",1]"#);
    permits(
        &contains,
        &[r#"["a",1]"#, r#"[1.0,"b","a"]"#],
        &["[]", r#"["a"]"#, "\"a\"", r#"{"a":1}"#],
    );
    let subset = of("subset", r#""allowed":["a",1]"#);
    permits(
        &subset,
        &["[]", r#"["a","a"]"#, "[1.0]"],
        &[r#"["a","b"]"#, "\"a\"", "{}", "null", "[[]]"],
    );
    permits(&of("wildcard", ""), &["null", "1", "{}", "[[]]", "\"\""], &[]);
    let clauses = |kind| {
        let range = of("range", r#""min":0,"max":10"#);
        let others = of("not_one_of", r#""excluded":[5]"#);
        of(kind, &format!(r#""constraints":[{range},{others}]"#))
    };
    permits(&clauses("all"), &["0", "10", "4.9"], &["5", "11", "\"a\""]);
    permits(&clauses("any"), &["0", "5", "11", "\"a\""], &[]);
}

#[test]
fn ra9_what_the_kinds_of_our_own_permit() {
    let prefix = of("prefix", r#""prefix":"EU-é""#);
    permits(
        &prefix,
        &["\"EU-é\"", "\"EU-é7\""],
        &["\"EU-\"", "\"eu-é\"", "\"EU-e\u{301}\"", "[\"EU-é\"]", "7"],
    );
    let length = of("max_length", r#""max":2"#);
    permits(
        &length,
        &["\"\"", "\"ab\"", "\"😀é\"", "[]", "[1,[1,2,3]]"],
        &["\"abc\"", "[1,2,3]", "1", "null", "{}"],
    );
    let window =
        of("time_window", r#""from":"2026-03-01T00:00:00Z","until":"2026-03-02T01:00:00+01:00""#);
    let within = [
        "\"2026-03-01T00:00:00Z\"",
        "\"2026-03-01T01:00:00.000+01:00\"",
        "\"2026-02-28T23:00:00-01:00\"",
        "\"2026-03-01T23:59:59.999999999Z\"",
    ];
    let without = [
        "\"2026-02-28T23:59:59.999999999Z\"",
        "\"2026-03-02T00:00:00Z\"",
        "\"2026-03-01T12:00:00\"",
        "\"2026-03-01\"",
        "1772366400",
    ];
    permits(&window, &within, &without);
}

#[test]
fn ra9_a_path_that_could_be_read_in_two_ways_is_none() {
    let inside = ["\"/data/eu\"", "\"/data/eu/a\"", "\"/data/eu/a b/.c/d..e\"", "\"/data/eu/é\""];
    let outside = [
        "\"/data/europe\"",
        "\"/data\"",
        "\"data/eu/a\"",
        "\"/Data/eu/a\"",
        "\"/data/eu/\"",
        "\"/data//eu/a\"",
        "\"//data/eu/a\"",
        "\"/data/eu/./a\"",
        "\"/data/eu/../us\"",
        "\"/data/eu/..\"",
        "\"/data/eu/... /a\"",
        "\"/data/eu/.. /us\"",
        "\"/data/eu/ /a\"",
        "\"/data/eu/%2e%2e/us\"",
        "\"/data/eu/%252e%252e/us\"",
        "\"/data/eu/100%\"",
        r#""/data/eu\\..\\us""#,
        r#""/data/eu/a\u0000""#,
        r#""/data/eu/a\n""#,
        r#""/data/eu/a\u0085""#,
        "\"file:///data/eu/a\"",
        "\"\"",
        "[\"/data/eu\"]",
    ];
    permits(&of("path", r#""root":"/data/eu""#), &inside, &outside);
    permits(
        &of("path", r#""root":"/""#),
        &["\"/\"", "\"/a\""],
        &["\"a\"", "\"//\"", "\"/a/\"", "\"\""],
    );
    permits(
        &of("path", r#""root":"a/b""#),
        &["\"a/b\"", "\"a/b/c\""],
        &["\"/a/b\"", "\"a/bc\"", "\"a\""],
    );
    for root in ["", "/a/", "a//b", ".", "a/../b", r"a\\b", "a%20b", " "] {
        assert!(read(&of("path", &format!(r#""root":"{root}""#))).is_err(), "{root}");
        assert!(Root::parse(root).is_none());
    }
}

#[test]
fn rfc3339_a_moment_has_its_offset_and_one_spelling() {
    let same = ["2026-11-25T07:00:00Z", "2026-11-25T08:00:00+01:00", "2026-11-25T02:30:00.0-04:30"];
    for text in same {
        let moment = Moment::parse(text).unwrap();
        assert_eq!(moment.as_str(), text);
    }
    for text in [
        "",
        "2026-11-25",
        "2026-11-25T07:00:00",
        "2026-11-25T07:00Z",
        "2026-11-25 07:00:00Z",
        "2026-11-25t07:00:00Z",
        "2026-11-25T07:00:00z",
        "2026-11-25T07:00:00-00:00",
        "2026-11-25T07:00:00+24:00",
        "2026-11-25T07:00:00+01:60",
        "2026-11-25T07:00:00+0100",
        "2026-11-25T07:00:00+01",
        "2026-11-25T07:00:00.Z",
        "2026-11-25T07:00:00.0123456789Z",
        "2026-11-25T07:00:00,5Z",
        "2026-11-25T07:00:60Z",
        "2026-11-25T24:00:00Z",
        "2026-02-30T07:00:00Z",
        "2026-13-01T07:00:00Z",
        "20261125T070000Z",
        "+2026-11-25T07:00:00Z",
        "2026-11-25T07:00:00Z[Europe/Berlin]",
        "2026-11-25T07:00:00Z ",
        "２026-11-25T07:00:00Z",
    ] {
        assert_eq!(Moment::parse(text), None, "{text}");
    }
}

/// Pairs of (child, parent), and whether the child is narrower.
#[track_caller]
fn under(pairs: &[(&str, &str)], expected: bool) {
    for (child, parent) in pairs {
        let is = arguments(child).is_narrower_than(&arguments(parent));
        assert_eq!(is, expected, "{child} under {parent}");
    }
}

fn range(members: &str) -> String {
    of("range", members)
}

fn values(kind: &str, values: &str) -> String {
    let (_, members) = crate::model::details::KINDS.iter().find(|(name, _)| *name == kind).unwrap();
    of(kind, &format!(r#""{}":{values}"#, members[0]))
}

#[test]
fn ra9_bounds_only_tighten() {
    let parent = range(r#""min":0,"max":10,"max_inclusive":false"#);
    for child in [
        r#""min":0,"max":10,"max_inclusive":false"#,
        r#""min":0,"min_inclusive":false,"max":9.99"#,
        r#""min":3,"max":3"#,
    ] {
        under(&[(&range(child), &parent)], true);
    }
    for child in [
        r#""min":0"#,
        r#""max":9"#,
        r#""min":0,"max":10"#,
        r#""min":-0.0001,"max":9"#,
        r#""min":0,"max":10.0001,"max_inclusive":false"#,
    ] {
        under(&[(&range(child), &parent)], false);
    }
    let half = range(r#""min":0"#);
    under(&[(&parent, &half), (&half, &range(r#""min":-1"#))], true);
    let window = |from: &str, until: &str| {
        of("time_window", &format!(r#""from":"{from}","until":"{until}""#))
    };
    let wide = window("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    let same = window("2026-01-01T02:00:00+02:00", "2026-02-01T00:00:00.0Z");
    let later = window("2026-01-01T00:00:00Z", "2026-02-01T00:00:00.000000001Z");
    let open = of("time_window", r#""from":"2026-01-02T00:00:00Z""#);
    under(&[(&same, &wide), (&wide, &same), (&wide, &later)], true);
    under(&[(&later, &wide), (&open, &wide)], false);
}

#[test]
fn ra9_lists_shrink_and_exclusions_and_demands_grow() {
    for (kind, wider_is_longer) in
        [("one_of", true), ("subset", true), ("not_one_of", false), ("contains", false)]
    {
        let (short, long) = (values(kind, r#"[1,"a"]"#), values(kind, r#"["b","a",1.0]"#));
        under(&[(&short, &long)], wider_is_longer);
        under(&[(&long, &short)], !wider_is_longer);
        under(&[(&values(kind, "[2]"), &short), (&short, &values(kind, "[2]"))], false);
    }
    let prefix = |text: &str| of("prefix", &format!(r#""prefix":"{text}""#));
    let path = |text: &str| of("path", &format!(r#""root":"{text}""#));
    let length = |n: u32| of("max_length", &format!(r#""max":{n}"#));
    under(
        &[(&prefix("ab"), &prefix("a")), (&path("/a/b"), &path("/a")), (&length(1), &length(2))],
        true,
    );
    under(
        &[(&prefix("a"), &prefix("ab")), (&path("/ab"), &path("/a")), (&length(3), &length(2))],
        false,
    );
    under(&[(&path("a"), &path("/")), (&path("/"), &path("/a"))], false);
}

#[test]
fn ra9_a_pair_that_is_not_written_down_is_refused() {
    let five = of("exact", r#""value":5"#);
    let to_ten = range(r#""min":0,"max":10"#);
    let in_all = of("all", &format!(r#""constraints":[{to_ten}]"#));
    let in_any = of("any", &format!(r#""constraints":[{to_ten}]"#));
    let not_six = values("not_one_of", "[6]");
    // All of these are narrower in truth; a chain with them would be invalid elsewhere.
    under(
        &[
            (&five, &not_six),
            (&five, &in_all),
            (&five, &in_any),
            (&to_ten, &in_all),
            (&in_all, &to_ten),
            (&in_any, &to_ten),
            (&values("one_of", "[5]"), &five),
            (&values("one_of", "[5,6]"), &to_ten),
            (&values("one_of", "[5,7]"), &not_six),
            (&of("exact", r#""value":[]"#), &values("subset", "[1]")),
        ],
        false,
    );
    // RA-9: an exclusion is never under a list.
    under(&[(&not_six, &values("one_of", "[6,7]"))], false);
    let wildcard = of("wildcard", "");
    under(&[(&five, &wildcard), (&in_all, &wildcard), (&wildcard, &wildcard)], true);
    under(&[(&wildcard, &five), (&wildcard, &in_any), (&wildcard, &not_six)], false);
}

#[test]
fn ra9_listed_values_are_held_against_our_kinds_one_by_one() {
    let list = r#"["/a/b","/a/c"]"#;
    for parent in [
        of("prefix", r#""prefix":"/a/""#),
        of("path", r#""root":"/a""#),
        of("max_length", r#""max":4"#),
    ] {
        let one_of = values("one_of", list);
        under(&[(&of("exact", r#""value":"/a/b""#), &parent), (&one_of, &parent)], true);
        under(&[(&values("one_of", r#"["/a/b","/b/cde"]"#), &parent), (&parent, &one_of)], false);
    }
    let day = of("time_window", r#""from":"2026-01-01T00:00:00Z""#);
    under(&[(&of("exact", r#""value":"2026-01-01T00:00:00Z""#), &day)], true);
    under(&[(&of("exact", r#""value":"2026-01-01T00:00:00""#), &day)], false);
}

#[test]
fn ra9_every_clause_of_an_all_has_a_clause_of_its_own() {
    let all = |clauses: &[&str]| of("all", &format!(r#""constraints":[{}]"#, clauses.join(",")));
    let any = |clauses: &[&str]| of("any", &format!(r#""constraints":[{}]"#, clauses.join(",")));
    let (low, high) = (range(r#""min":0"#), range(r#""max":10"#));
    let (three, four) = (range(r#""min":3,"max":3"#), range(r#""min":4,"max":4"#));
    under(
        &[
            (&all(&[&high, &low]), &all(&[&low, &high])),
            (&all(&[&low, &high, &three]), &all(&[&low, &high])),
            // The greedy choice would give `three` to `low` and leave nothing for `high`.
            (&all(&[&three, &low]), &all(&[&low, &high])),
            (&any(&[&three]), &any(&[&low, &high])),
            (&any(&[&three, &four, &low]), &any(&[&low, &high])),
        ],
        true,
    );
    under(
        &[
            (&all(&[&three]), &all(&[&low, &high])),
            (&all(&[&low, &low]), &all(&[&low, &high])),
            (&any(&[&three, &low]), &any(&[&three, &high])),
        ],
        false,
    );
    let eight = |clause: &str| vec![clause.to_owned(); 8].join(",");
    let full = |clause: &str| of("all", &format!(r#""constraints":[{}]"#, eight(clause)));
    under(&[(&full(&three), &full(&low))], true);
    under(&[(&full(&low), &full(&three))], false);
}

#[test]
fn ra9_absence_is_never_gained() {
    let wildcard = of("wildcard", "");
    let five = of("exact", r#""value":5"#);
    let optional = |of_what: &str| of("optional", &format!(r#""of":{of_what}"#));
    let absent = of("absent", "");
    under(
        &[
            (&five, &optional(&five)),
            (&optional(&five), &optional(&wildcard)),
            (&absent, &optional(&five)),
            (&absent, &absent),
        ],
        true,
    );
    under(
        &[
            (&optional(&five), &five),
            (&optional(&five), &wildcard),
            (&absent, &wildcard),
            (&five, &absent),
            (&optional(&five), &absent),
            (&optional(&wildcard), &optional(&five)),
        ],
        false,
    );
}

#[test]
fn ra2_what_is_no_constraint_is_refused_with_its_place() {
    let cases = [
        (of("range", ""), "/t/x: needs `min`, `max` or both"),
        (of("range", r#""min":2,"max":1"#), "/t/x: needs `min`, `max` or both, and a number"),
        (of("range", r#""min":1,"max":1,"max_inclusive":false"#), "/t/x: needs `min`"),
        (of("range", r#""min":"1""#), "/t/x/min: must be a number"),
        (of("range", r#""min":null"#), "/t/x/min: must be a number"),
        (of("range", r#""max":1,"min_inclusive":true"#), "/t/x/min_inclusive: speaks of a missing"),
        (of("range", r#""max":1,"max_inclusive":1"#), "/t/x/max_inclusive: must be `true`"),
        (of("not_one_of", r#""excluded":[]"#), "/t/x/excluded: must be an array of 1 to 256"),
        (of("subset", r#""values":[1]"#), "/t/x/values: `subset` has no such member"),
        (of("contains", r#""required":"a""#), "/t/x/required: must be an array"),
        (of("all", r#""constraints":[]"#), "/t/x/constraints: must have 1 to 8"),
        (
            of("any", r#""constraints":[1]"#),
            "/t/x/constraints/0: is a number, expected a constraint",
        ),
        (of("prefix", r#""prefix":"""#), "/t/x/prefix: must not be empty"),
        (of("path", r#""root":"a/../b""#), "/t/x/root: must be a normal path"),
        (of("time_window", ""), "/t/x: needs `from`, `until` or both"),
        (
            of("time_window", r#""from":"2026-11-25""#),
            "/t/x/from: must be a moment with its offset",
        ),
        (of("max_length", r#""max":-1"#), "/t/x/max: must be a whole number from 0 to 65536"),
        (of("max_length", r#""max":1.5"#), "/t/x/max: must be a whole number"),
        (of("max_length", r#""max":65537"#), "/t/x/max: must be a whole number"),
        (of("optional", ""), "/t/x: `optional` needs `of`"),
        (of("absent", r#""of":1"#), "/t/x/of: `absent` has no such member"),
        (of("subject_claim", r#""claim":"""#), "/t/x/claim: a claim name is 1 to 128"),
        (
            of("optional", &format!(r#""of":{}"#, of("optional", ""))),
            "/t/x/of: `optional` stands outermost only",
        ),
        (
            of("all", &format!(r#""constraints":[{}]"#, of("absent", ""))),
            "/t/x/constraints/0: `absent` stands outermost only",
        ),
    ];
    for (argument, start) in cases {
        let fault = read(&argument).unwrap_err().to_string();
        assert!(fault.starts_with(start), "{argument}: {fault}");
    }
}

#[test]
fn ra9_bounds_of_nesting_hold_at_their_edges() {
    let nested = |levels: usize| {
        (1..levels)
            .fold(of("wildcard", ""), |inner, _| of("all", &format!(r#""constraints":[{inner}]"#)))
    };
    let optional = |levels: usize| of("optional", &format!(r#""of":{}"#, nested(levels)));
    assert!(read(&nested(8)).is_ok() && read(&nested(9)).is_err());
    assert!(read(&optional(7)).is_ok() && read(&optional(8)).is_err());
    let wide = |clauses: usize, inner: &str| {
        of("any", &format!(r#""constraints":[{}]"#, vec![inner.to_owned(); clauses].join(",")))
    };
    assert!(read(&wide(8, &of("wildcard", ""))).is_ok());
    assert!(read(&wide(9, &of("wildcard", ""))).is_err());
    // Seven of eight with their own heads, and the head of all: 64 in all.
    assert!(read(&wide(7, &wide(8, &of("wildcard", "")))).is_ok());
    assert!(read(&wide(8, &wide(8, &of("wildcard", "")))).is_err());
    assert!(Clauses::<Never>::new(Vec::new()).is_none());
    assert!(Values::new(vec![Value::Null; Values::MAX]).is_some());
    assert!(Values::new(vec![Value::Null; Values::MAX + 1]).is_none());
}

#[test]
fn a_claim_of_the_subject_becomes_exactly_its_value() {
    let claim = of("subject_claim", r#""claim":"customer""#);
    let within =
        of("optional", &format!(r#""of":{}"#, of("any", &format!(r#""constraints":[{claim}]"#))));
    let mut known = SubjectClaims::default();
    known.tell(ClaimName::parse("customer").unwrap(), Some(&"C-17".into()));
    for (open, closed) in [
        (claim.clone(), of("exact", r#""value":"C-17""#)),
        (within.clone(), within.replace(&claim, &of("exact", r#""value":"C-17""#))),
    ] {
        let resolved = read(&open).unwrap().resolve(&known).unwrap();
        assert_eq!(resolved, arguments(&closed));
        let written = tools_to_json(&BTreeMap::from([(tool_name("t"), read(&open).unwrap())]));
        assert_eq!(
            written.to_json(),
            format!(r#"{{"t":{{"x":{open}}}}}"#),
            "a ceiling keeps it open"
        );
        let unknown = read(&open).unwrap().resolve(&SubjectClaims::default());
        assert!(matches!(unknown, Err(ClaimFault::NotAuthoritative(_))));
    }
}
