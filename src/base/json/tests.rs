//! What the reader promises: strictness, exactness, and no panic.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::{JsonError, Limits, Number, Object, Value, parse, quote, raw_members};

fn read(text: &str) -> Result<Value, JsonError> {
    parse(text.as_bytes(), &Limits::DEFAULT)
}

fn number(text: &str) -> Number {
    read(text).unwrap().as_number().unwrap()
}

#[test]
fn json_keeps_the_order_of_members_but_ignores_it_when_comparing() {
    let value = read(r#" {"b":1, "a":[true,false,null,"x"], "c":{}} "#).unwrap();
    assert_eq!(value.to_json(), r#"{"b":1,"a":[true,false,null,"x"],"c":{}}"#);
    assert_eq!(value.canonical(), r#"{"a":[true,false,null,"x"],"b":1,"c":{}}"#);
    assert_eq!(value, read(r#"{"c":{},"a":[true,false,null,"x"],"b":1.0}"#).unwrap());
    assert_ne!(value, read(r#"{"c":{},"a":[true,false,null,"x"],"d":1.0}"#).unwrap());
}

#[test]
fn json_refuses_what_two_readers_could_read_differently() {
    for text in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[{"x":{"a":1,"b":2,"a":1}}]"#,
        "\u{feff}{}",
        "{} {}",
        "{}x",
        "",
        " ",
        "[1,]",
        r#"{"a":1,}"#,
        "[,1]",
        "{,}",
        "[1 2]",
        r#"{"a" 1}"#,
        "{a:1}",
        "{'a':1}",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "tru",
        "nul",
        "True",
        "\"",
        "\"a",
        "\"\u{1}\"",
        "\"a\nb\"",
        r#""\x41""#,
        r#""\u12""#,
        r#""\u+123""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#""\udc00\ud800""#,
        "// c\n1",
        "/**/1",
        "\u{a0}1",
        "[1",
        r#"{"a":"#,
        "\0",
    ] {
        assert!(read(text).is_err(), "{text:?} was read as {:?}", read(text));
    }
    for bytes in [&b"\"\xff\""[..], b"\xff\xfe[\0]\0", b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\""] {
        assert!(matches!(parse(bytes, &Limits::DEFAULT), Err(JsonError::NotUtf8 { .. })));
    }
}

#[test]
fn json_reads_every_escape() {
    let value = read(r#""\"\\\/\b\f\n\r\t\u0041\ud83d\uDE00\u0000é""#).unwrap();
    assert_eq!(value.as_str(), Some("\"\\/\u{8}\u{c}\n\r\tA😀\0é"));
    assert_eq!(quote("\"\\/\u{8}\n\u{1}é"), "\"\\\"\\\\/\\b\\n\\u0001é\"");
}

#[test]
fn json_stops_at_each_limit() {
    let limits = Limits { max_bytes: 40, max_depth: 2, max_members: 3 };
    let fails = |text: &str| parse(text.as_bytes(), &limits).unwrap_err();
    assert!(parse(b"[[1,2,3]]", &limits).is_ok());
    assert_eq!(fails("[[[1]]]"), JsonError::TooDeep { max: 2, at: 2 });
    assert_eq!(fails("[1,2,3,4]"), JsonError::TooMany { max: 3, at: 7 });
    let many = r#"{"a":1,"b":2,"c":3,"d":4}"#;
    assert!(matches!(fails(many), JsonError::TooMany { max: 3, .. }));
    assert_eq!(fails(&" ".repeat(41)), JsonError::TooLong { max: 40 });
    let deep = "[".repeat(30_000);
    assert!(matches!(read(&deep), Err(JsonError::TooDeep { max: 32, at: 32 })));
    let duplicate = JsonError::Duplicate { at: 1 };
    assert_eq!(read(r#"[{"a":1,"a":1}]"#), Err(duplicate));
}

#[test]
fn json_numbers_have_one_form_for_one_value() {
    for (text, canonical) in [
        ("0", "0"),
        ("-0.0e7", "0"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("100e-2", "1"),
        ("-12.50", "-12.5"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("123e-9", "1.23e-7"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("12345678901234567890.12", "12345678901234567890.12"),
        ("9007199254740993", "9007199254740993"),
        ("1234567890123456789012345678901234", "1.234567890123456789012345678901234e+33"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("1e-308", "1e-308"),
    ] {
        assert_eq!(number(text).to_string(), canonical, "{text}");
        assert_eq!(number(canonical), number(text));
    }
    for text in [
        "1e309",
        "1e-309",
        "10e308",
        "0.1e-308",
        "0e309",
        "1e99999999999999999999",
        "12345678901234567890123456789012345",
        "1.0000000000000000000000000000000001",
    ] {
        assert_eq!(read(text), Err(JsonError::BadNumber { at: 0 }), "{text}");
    }
    let zeros = format!("1.{}", "0".repeat(1000));
    assert_eq!(number(&zeros), number("1"));
    assert!(read(&format!("1{}", "0".repeat(400))).is_err());
    assert!(read(&format!("0.{}1", "0".repeat(400))).is_err());
}

#[test]
fn json_numbers_compare_by_value() {
    let sorted = [
        "-1e308", "-20", "-2.5", "-2", "-1e-308", "0", "1e-308", "0.1", "0.11", "2", "2.5", "11",
        "20", "1e21", "1.1e21", "1e308",
    ];
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            assert_eq!(number(a).cmp(&number(b)), i.cmp(&j), "{a} {b}");
        }
    }
    assert_eq!(number("1").cmp(&number("1.0")), Ordering::Equal);
}

#[test]
fn json_numbers_turn_into_integers_only_exactly() {
    assert_eq!(number("9223372036854775807").as_i64(), Some(i64::MAX));
    assert_eq!(number("-9223372036854775808").as_i64(), Some(i64::MIN));
    assert_eq!(number("9223372036854775808").as_i64(), None);
    assert_eq!(number("1.2e3").as_i64(), Some(1200));
    assert_eq!(number("1.5").as_i64(), None);
    assert_eq!(number("1e308").as_i64(), None);
    assert_eq!(number("1.9").floor_i64(), Some(1));
    assert_eq!(number("-1.1").floor_i64(), Some(-2));
    assert_eq!(number("1e-308").floor_i64(), Some(0));
    assert_eq!(number("-1e-308").floor_i64(), Some(-1));
    assert_eq!(number("1e300").floor_i64(), None);
}

#[test]
fn json_raw_members_are_the_bytes_that_were_written() {
    let text = " { \"a\" : {\"x\":1.0 ,\"y\":[ ]} ,\n\"\\u0062\":1e0, \"c\":\"\\u0041\" } ";
    let members = raw_members(text).unwrap();
    let expected = [("a", "{\"x\":1.0 ,\"y\":[ ]}"), ("b", "1e0"), ("c", "\"\\u0041\"")];
    let expected: Vec<_> = expected.map(|(name, raw)| (name.to_owned(), raw)).into();
    assert_eq!(members, expected);
    assert!(raw_members("[]").is_err());
    assert!(raw_members("{\"a\":1,\"a\":1}").is_err());
    assert!(raw_members("{\"a\":{\"b\":1,\"b\":1}}").is_err());
    assert_eq!(raw_members("{}").unwrap(), vec![]);
}

#[test]
fn json_canonical_sorts_by_utf16() {
    // U+FB33 sorts after U+1F600 in UTF-16, before it in UTF-8.
    let object: Object = [("\u{fb33}", 1), ("\u{1f600}", 2)].into_iter().collect();
    assert_eq!(object.canonical(), "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
}

#[test]
fn json_object_insert_replaces_in_place() {
    let mut object: Object = [("a", 1), ("b", 2)].into_iter().collect();
    assert_eq!(object.insert("a", "x"), Some(Value::from(1)));
    assert_eq!(object.insert("c", true), None);
    assert_eq!(object.to_json(), r#"{"a":"x","b":2,"c":true}"#);
    assert_eq!((object.len(), object.contains("b"), object.contains("z")), (3, true, false));
}

/// Whether both parsers read the same; `1.0` and `1` are two numbers to the common one only.
fn agree(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), theirs @ serde_json::Value::Number(number)) => {
            let same_integer = theirs.as_i64().is_none_or(|integer| ours.as_i64() == Some(integer));
            same_integer && ours.to_string().parse::<f64>().ok() == number.as_f64()
        }
        (Value::Array(ours), serde_json::Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| agree(a, b))
        }
        (Value::Object(ours), serde_json::Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && theirs.iter().all(|(name, b)| ours.get(name).is_some_and(|a| agree(a, b)))
        }
        (Value::String(ours), serde_json::Value::String(theirs)) => ours == theirs,
        (Value::Bool(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
        (Value::Null, serde_json::Value::Null) => true,
        _ => false,
    }
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e15..1e15_f64).prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,4}", inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &Limits::DEFAULT);
    }

    #[test]
    fn json_never_panics_on_near_misses(text in r#"[\[\]{}",:\\u0-9a-fntrseE.+ -]{0,60}"#) {
        if let Ok(value) = read(&text) {
            // Whatever we read, the common parser reads too.
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            prop_assert_eq!(read(&value.to_json()).unwrap(), value);
        }
    }

    #[test]
    fn json_agrees_with_the_common_parser(theirs in values(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&theirs) } else { serde_json::to_string(&theirs) };
        let ours = read(&text.unwrap()).unwrap();
        prop_assert!(agree(&ours, &theirs), "{ours:?} {theirs:?}");
        prop_assert_eq!(&read(&ours.to_json()).unwrap(), &ours);
        prop_assert_eq!(&read(&ours.canonical()).unwrap(), &ours);
    }

    #[test]
    fn json_number_spelling_does_not_matter(digits in -10_000_000_i64..10_000_000, shift in 0_usize..20, point in 0_i32..20) {
        let plain = number(&digits.to_string());
        prop_assert_eq!(plain, Number::from(digits));
        let longer = format!("{digits}{}e-{shift}", "0".repeat(shift));
        prop_assert_eq!(number(&longer), plain);
        let moved = number(&format!("{digits}e{point}"));
        prop_assert_eq!(number(&format!("{moved}")), moved);
        prop_assert_eq!(number(&format!("{digits}.0e{point}")), moved);
    }

    #[test]
    fn json_number_order_is_that_of_integers(a in any::<i64>(), b in any::<i64>()) {
        prop_assert_eq!(Number::from(a).cmp(&Number::from(b)), a.cmp(&b));
        prop_assert_eq!(Number::from(a).as_i64(), Some(a));
    }
}
