//! The small world of values in which sets are compared. *Literals* are what constraints are made
//! of; *witnesses* are never part of one, so that a constraint which permits endlessly many values
//! permits at least one that no list of literals holds. Hand-made, so that the oracle needs no
//! parser for moments and paths.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// Numbers that constraints are made of; `1.0` and `1` are one value.
pub static NUMBERS: LazyLock<Vec<Value>> =
    LazyLock::new(|| vec![json!(0), json!(1), json!(1.0), json!(2), json!(3)]);

/// Texts that prefixes are made of.
pub const PREFIXES: [&str; 6] = ["a", "ab", "b", "/a", "/a/b", "a/b"];
/// Paths that roots are made of, outer ones first.
pub const ROOTS: [&str; 4] = ["/", "/a", "/a/b", "a/b"];
/// Moments that windows are made of, in order.
pub const MOMENTS: [&str; 3] =
    ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"];
/// Elements that lists over arrays are made of.
pub static ELEMENTS: LazyLock<Vec<Value>> =
    LazyLock::new(|| vec![json!("a"), json!("b"), json!(1)]);

/// Texts that a path constraint must never permit, whatever its root.
pub const HOSTILE: [&str; 11] = [
    "/a/../b",
    "/a//b",
    "/a/",
    "/a/./b",
    "/a/.. /b",
    "/a/b/..",
    "/a/b/%2e%2e",
    "/a/b/%252e",
    "/a/b\\..",
    "/a/b\u{0}",
    "a/b/",
];

/// When a moment is, in half days since the year's beginning; `None`: it is none.
pub fn half_day(text: &str) -> Option<i64> {
    const TIMES: [(&str, i64); 10] = [
        ("2026-01-01T00:00:00Z", 0),
        ("2026-02-01T00:00:00Z", 62),
        ("2026-03-01T00:00:00Z", 118),
        ("2025-12-31T00:00:00Z", -2),
        ("2026-01-01T01:00:00+01:00", 0),
        ("2026-01-15T10:00:00-02:00", 29),
        ("2026-02-15T00:00:00.0Z", 90),
        ("2026-02-28T23:59:59.999999999+00:00", 117),
        ("2026-03-01T00:00:00.000Z", 118),
        ("2026-04-01T00:00:00Z", 180),
    ];
    TIMES.iter().find(|(known, _)| *known == text).map(|(_, at)| *at)
}

/// Values that `exact` and the lists are made of.
pub static LITERALS: LazyLock<Vec<Value>> = LazyLock::new(literals);

fn literals() -> Vec<Value> {
    let mut all = NUMBERS.clone();
    all.push(json!(""));
    all.extend(PREFIXES.map(Value::from));
    all.extend(MOMENTS.map(Value::from));
    all.extend([
        json!(null),
        json!(true),
        json!({ "x": 1 }),
        json!([]),
        json!(["a"]),
        json!(["b"]),
        json!([1]),
        json!(["a", "b"]),
        json!(["a", 1.0]),
        json!(["a", "b", 1]),
    ]);
    all
}

fn witnesses() -> Vec<Value> {
    let mut all = vec![json!(-1), json!(0.5), json!(1.5), json!(2.5), json!(4), json!(1e2)];
    all.extend(
        ["z", "azz", "abzz", "bzzz", "zzzz", "/", "/z", "/azz", "/a/zz", "/a/b/z", "a/b/z", "a/zz"]
            .map(Value::from),
    );
    all.extend(HOSTILE.map(Value::from));
    all.extend(
        [
            "2025-12-31T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            "2026-01-15T10:00:00-02:00",
            "2026-02-15T00:00:00.0Z",
            "2026-02-28T23:59:59.999999999+00:00",
            "2026-03-01T00:00:00.000Z",
            "2026-04-01T00:00:00Z",
            "2026-02-01T00:00:00",
            "2026-02-01T00:00:00-00:00",
            "2026-02-01t00:00:00z",
            "2026-02-01",
        ]
        .map(Value::from),
    );
    all.extend([
        json!(false),
        json!({}),
        json!([9]),
        json!(["a", "a", "a", "a"]),
        json!(["b", "b", "b", "b"]),
        json!([1, 1, 1, 1]),
        json!(["a", 9, 9, 9]),
        json!(["b", 9, 9, 9]),
        json!([1, 9, 9, 9]),
        json!(["a", "b", 9, 9]),
        json!(["a", 1, 9, 9]),
        json!(["b", 1, 9, 9]),
        json!(["a", "b", 1, 9]),
        json!([["a"], 9, 9, 9]),
    ]);
    all
}

/// Everything that an argument can be in this world; the first is: not there.
pub static VALUES: LazyLock<Vec<Option<Value>>> = LazyLock::new(values);

fn values() -> Vec<Option<Value>> {
    let all: Vec<Option<Value>> =
        [None].into_iter().chain(literals().into_iter().chain(witnesses()).map(Some)).collect();
    assert!(all.len() <= 128, "a set is one word of 128 bits: {}", all.len());
    all
}
