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

/// An optional NumericDate. RFC 7519 section 2 allows fractions; they are cut off. JW-10.
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

/// A NumericDate that must be there.
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
    value
        .as_i64()
        .and_then(|n| u64::try_from(n).ok())
        .ok_or(ClaimError::Malformed(name))
}
