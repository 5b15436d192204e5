//! Claims of the subject in a constraint: named in ceilings and requests, looked up when a token is
//! minted, and unsayable in what a token carries.

use std::{collections::BTreeMap, fmt};

use crate::base::json::Value;

/// Nothing: a constraint without open places. There is no value of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl AsRef<str> for Never {
    fn as_ref(&self) -> &str {
        match *self {}
    }
}

/// The name under which an issuer's mapping knows a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimName(String);

/// Not a claim name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a claim name is 1 to 128 bytes without control characters")]
pub struct NotAClaimName;

impl ClaimName {
    /// Reads a name.
    pub fn parse(raw: &str) -> Result<ClaimName, NotAClaimName> {
        if raw.is_empty() || raw.len() > 128 || raw.contains(char::is_control) {
            return Err(NotAClaimName);
        }
        Ok(ClaimName(raw.to_owned()))
    }
}

impl AsRef<str> for ClaimName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a claim cannot be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimFault {
    /// The subject's issuer is not registered as an authority on it.
    NotAuthoritative(ClaimName),
    /// It is not known: the token does not carry it, or not as a text, a number or a truth value.
    Absent(ClaimName),
}

/// What is known about a subject on good authority. Empty: nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectClaims(BTreeMap<ClaimName, Option<Value>>);

impl SubjectClaims {
    /// Makes a claim known to be authoritative, with its value if it has one. Only scalars are
    /// kept: what an array of claims would mean for one argument is anybody's guess.
    pub fn tell(&mut self, name: ClaimName, value: Option<&Value>) {
        let scalar = value.filter(|value| match value {
            Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        });
        self.0.insert(name, scalar.cloned());
    }

    /// The value of a claim.
    pub fn value(&self, name: &ClaimName) -> Result<&Value, ClaimFault> {
        let known = self.0.get(name).ok_or_else(|| ClaimFault::NotAuthoritative(name.clone()))?;
        known.as_ref().ok_or_else(|| ClaimFault::Absent(name.clone()))
    }
}
