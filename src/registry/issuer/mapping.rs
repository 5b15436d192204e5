//! The claim mapping: what an issuer's claims are called here, and which are to be relied on.

use std::collections::BTreeMap;

use crate::{
    base::json::{Object, Value},
    model::{constraint::ClaimName, issuer::MappedClaim},
    registry::form::{self, Form, Read},
};

/// The most claims of one mapping: all of them are looked up in every exchange.
const MAX_CLAIMS: usize = 32;

/// Reads `{name: {claim, authoritative}}`; a claim is not authoritative unless it is said.
pub(super) fn read(value: &Value, at: &str) -> Read<BTreeMap<ClaimName, MappedClaim>> {
    let mapped = |value: &Value, at: &str| form::object(value, at, mapped);
    form::map(0..=MAX_CLAIMS, ClaimName::parse, mapped)(value, at)
}

fn mapped(form: &mut Form<'_>) -> Option<MappedClaim> {
    let claim = form.required("claim", form::text);
    let authoritative = form.or("authoritative", false, form::flag);
    Some(MappedClaim { claim: claim?, authoritative: authoritative? })
}

/// Writes the mapping.
pub(super) fn to_json(mapping: &BTreeMap<ClaimName, MappedClaim>) -> Object {
    let members = mapping.iter().map(|(name, mapped)| {
        let mut object = Object::new();
        object.insert("claim", mapped.claim.as_str());
        object.insert("authoritative", mapped.authoritative);
        (name.to_string(), object)
    });
    members.collect()
}
