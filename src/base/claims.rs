//! Typed reads of JSON members: a member of the wrong type is an error, never "absent".

use super::{
    json::{Object, Value},
    time::Timestamp,
};

/// Why a member is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Required and not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// There, but of another type, too long, or out of range.
    #[error("`{0}` has the wrong type or range")]
    Malformed(&'static str),
}

/// The longest text claim, in bytes.
pub const MAX_TEXT_BYTES: usize = 4_096;
/// The most members of a text-or-array claim such as `aud`.
pub const MAX_TEXTS: usize = 64;

/// An optional text.
pub fn text<'a>(object: &'a Object, name: &'static str) -> Result<Option<&'a str>, ClaimError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text)),
        Some(_) => Err(ClaimError::Malformed(name)),
    }
}

/// A text that must be there and not be empty.
pub fn required_text<'a>(object: &'a Object, name: &'static str) -> Result<&'a str, ClaimError> {
    match text(object, name)? {
        None => Err(ClaimError::Missing(name)),
        Some("") => Err(ClaimError::Malformed(name)),
        Some(text) => Ok(text),
    }
}

/// An optional `NumericDate`. RFC 7519 section 2 allows fractions; they are cut off. JW-10.
pub fn time(object: &Object, name: &'static str) -> Result<Option<Timestamp>, ClaimError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => number
            .floor_i64()
            .and_then(Timestamp::from_epoch_s)
            .map(Some)
            .ok_or(ClaimError::Malformed(name)),
        Some(_) => Err(ClaimError::Malformed(name)),
    }
}

/// A `NumericDate` that must be there.
pub fn required_time(object: &Object, name: &'static str) -> Result<Timestamp, ClaimError> {
    time(object, name)?.ok_or(ClaimError::Missing(name))
}

/// A text or an array of texts, as `aud` may be (RFC 7519 section 4.1.3). Absent is empty.
pub fn texts<'a>(object: &'a Object, name: &'static str) -> Result<Vec<&'a str>, ClaimError> {
    let malformed = ClaimError::Malformed(name);
    match object.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(one)) if one.len() <= MAX_TEXT_BYTES => Ok(vec![one]),
        Some(Value::Array(many)) if many.len() <= MAX_TEXTS => {
            many.iter().map(|v| v.as_str().ok_or(malformed.clone())).collect()
        }
        Some(_) => Err(malformed),
    }
}

/// A whole number that is not negative.
pub fn required_u64(object: &Object, name: &'static str) -> Result<u64, ClaimError> {
    let value = object.get(name).ok_or(ClaimError::Missing(name))?;
    value.as_i64().and_then(|n| u64::try_from(n).ok()).ok_or(ClaimError::Malformed(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::json;

    fn object(text: &str) -> Object {
        match json::parse(text.as_bytes(), &json::Limits::DEFAULT) {
            Ok(Value::Object(object)) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn jw10_a_time_of_the_wrong_type_is_not_absent() {
        let time = |text: &str| time(&object(&format!(r#"{{"exp":{text}}}"#)), "exp");
        for (text, seconds) in
            [("0", 0), ("1700000000", 1_700_000_000), ("1.7e9", 1_700_000_000), ("12.99", 12)]
        {
            assert_eq!(time(text).unwrap(), Timestamp::from_epoch_s(seconds));
        }
        let bad = [
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
        ];
        for text in bad {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(super::time(&object("{}"), "exp"), Ok(None));
        assert!(required_time(&object("{}"), "exp").is_err());
    }

    #[test]
    fn a_text_or_array_is_nothing_else() {
        let aud = |text: &str| {
            let object = object(&format!(r#"{{"aud":{text}}}"#));
            texts(&object, "aud").map(|list| list.join(" "))
        };
        assert_eq!(aud("\"a\""), Ok("a".to_owned()));
        assert_eq!(aud("[\"a\",\"b\"]"), Ok("a b".to_owned()));
        for text in ["null", "[1]", "[\"a\",null]", "{}", "7"] {
            assert!(aud(text).is_err(), "{text}");
        }
        assert!(aud(&format!("[{}]", vec!["\"a\""; 65].join(","))).is_err());
        assert!(text(&object(r#"{"sub":null}"#), "sub").is_err());
        assert!(required_text(&object(r#"{"sub":""}"#), "sub").is_err());
    }
}
