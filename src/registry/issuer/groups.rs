//! Which of an issuer's groups are known here: the names that policies may ask for. What is not
//! named is not carried, so that a token holds no more about a person than somebody decides by.

use std::collections::BTreeSet;

use crate::{
    base::json::{Object, Value},
    model::issuer::GroupClaim,
    registry::form::{self, Form, Read},
};

/// The most claims that hold groups.
const MAX_CLAIMS: usize = 8;
/// The most names that are kept of one claim: every one of them may stand in every token.
const MAX_NAMES: usize = 64;
/// The longest name of a group, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Reads `[{claim, keep}]`.
pub(super) fn read(value: &Value, at: &str) -> Read<Vec<GroupClaim>> {
    form::list(0..=MAX_CLAIMS, |value, at| form::object(value, at, group_claim))(value, at)
}

fn group_claim(form: &mut Form<'_>) -> Option<GroupClaim> {
    let claim = form.required("claim", form::text);
    let keep = form.required("keep", form::list(1..=MAX_NAMES, name));
    Some(GroupClaim { claim: claim?, keep: keep?.into_iter().collect::<BTreeSet<String>>() })
}

fn name(value: &Value, at: &str) -> Read<String> {
    let name = form::text(value, at)?;
    if name.len() > MAX_NAME_BYTES {
        return Err(form::problem(at, format!("must be at most {MAX_NAME_BYTES} bytes")));
    }
    Ok(name)
}

/// Writes the claims.
pub(super) fn to_json(claims: &[GroupClaim]) -> Value {
    let one = |claim: &GroupClaim| {
        let mut object = Object::new();
        object.insert("claim", claim.claim.as_str());
        object.insert("keep", form::texts(claim.keep.iter().map(String::as_str)));
        Value::Object(object)
    };
    Value::Array(claims.iter().map(one).collect())
}
