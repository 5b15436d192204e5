//! Typed access to claims. A claim of the wrong type is an error and never "absent"
//! (CVE-2026-25537); what a claim must say is for the caller.

use crate::base::{
    json::{Object, Value},
    time::Timestamp,
};

/// The most audiences of one token: an honest one has a handful.
pub const MAX_VALUES: usize = 64;

/// Why a claim could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It must be there.
    #[error("the claim `{name}` is missing")]
    Missing {
        /// Which.
        name: String,
    },
    /// It has another type or is out of range.
    #[error("the claim `{name}` must be {expected}")]
    Malformed {
        /// Which.
        name: String,
        /// What it should have been.
        expected: &'static str,
    },
}

/// A `NumericDate` (RFC 7519 section 2): a JSON number from 1970 to 9999, a fraction cut off.
pub fn time(claims: &Object, name: &str) -> Result<Option<Timestamp>, ClaimError> {
    typed(claims, name, "a number of seconds from 1970 to 9999", |value| {
        Timestamp::from_epoch_s(value.as_number()?.floor_i64()?)
    })
}

/// As [`time`], and missing is an error.
pub fn required_time(claims: &Object, name: &str) -> Result<Timestamp, ClaimError> {
    required(time(claims, name)?, name)
}

/// A string, possibly empty.
pub fn string<'a>(claims: &'a Object, name: &str) -> Result<Option<&'a str>, ClaimError> {
    typed(claims, name, "a string", Value::as_str)
}

/// As [`string`], and missing is an error.
pub fn required_string<'a>(claims: &'a Object, name: &str) -> Result<&'a str, ClaimError> {
    required(string(claims, name)?, name)
}

/// A string or an array of 1 to [`MAX_VALUES`] strings, as `aud` is (RFC 7519 section 4.1.3).
pub fn string_or_array<'a>(
    claims: &'a Object,
    name: &str,
) -> Result<Option<Vec<&'a str>>, ClaimError> {
    typed(claims, name, "a string or an array of 1 to 64 strings", |value| match value {
        Value::String(one) => Some(vec![one.as_str()]),
        Value::Array(many) if (1..=MAX_VALUES).contains(&many.len()) => {
            many.iter().map(Value::as_str).collect()
        }
        _ => None,
    })
}

/// As [`string_or_array`], and missing is an error.
pub fn required_string_or_array<'a>(
    claims: &'a Object,
    name: &str,
) -> Result<Vec<&'a str>, ClaimError> {
    required(string_or_array(claims, name)?, name)
}

/// An object.
pub fn object<'a>(claims: &'a Object, name: &str) -> Result<Option<&'a Object>, ClaimError> {
    typed(claims, name, "an object", Value::as_object)
}

fn typed<'a, T>(
    claims: &'a Object,
    name: &str,
    expected: &'static str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, ClaimError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    read(value).map(Some).ok_or_else(|| ClaimError::Malformed { name: name.to_owned(), expected })
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, ClaimError> {
    value.ok_or_else(|| ClaimError::Missing { name: name.to_owned() })
}
