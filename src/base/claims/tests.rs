//! A claim of the wrong type is an error, never "absent" (CVE-2026-25537).

use crate::base::{
    claims,
    json::{self, Object},
    time::Timestamp,
};

#[test]
fn claims_of_the_wrong_type_are_not_absent() {
    let claims = |text: &str| -> Object {
        let value = json::parse(text.as_bytes(), &json::Limits::DEFAULT).unwrap();
        value.as_object().unwrap().clone()
    };
    let time = |text: &str| claims::time(&claims(&format!(r#"{{"exp":{text}}}"#)), "exp");
    for (text, seconds) in
        [("0", 0), ("1700000000", 1_700_000_000), ("1.7e9", 1_700_000_000), ("12.99", 12)]
    {
        assert_eq!(time(text).unwrap(), Timestamp::from_epoch_s(seconds));
    }
    for text in [
        "null",
        "true",
        "\"1700000000\"",
        "[]",
        "{}",
        "-1",
        "-0.5",
        "1700000000000",
        "9223372036854775808",
        "1e308",
    ] {
        assert!(time(text).is_err(), "{text}");
    }
    assert_eq!(claims::time(&claims("{}"), "exp"), Ok(None));
    assert!(claims::required_time(&claims("{}"), "exp").is_err());
    let aud = |text: &str| {
        let claims = claims(&format!(r#"{{"aud":{text}}}"#));
        let read = claims::texts(&claims, "aud");
        read.map(|list| list.join(" "))
    };
    assert_eq!(aud("\"a\""), Ok("a".into()));
    assert_eq!(aud("[\"a\",\"b\"]"), Ok("a b".into()));
    for text in ["null", "[1]", "[\"a\",null]", "{}", "7"] {
        assert!(aud(text).is_err(), "{text}");
    }
    assert!(aud(&format!("[{}]", vec!["\"a\""; 65].join(","))).is_err());
    assert!(claims::text(&claims(r#"{"sub":null}"#), "sub").is_err());
}
