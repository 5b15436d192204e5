//! Where an issuer's keys come from: discovery, one URL, or keys written into the document.

use super::{Query, checked_url};
use crate::{
    base::json::{Object, Value},
    model::issuer::KeySource,
    registry::form::{self, Form, Read},
};

/// The most keys in a pinned set.
const MAX_KEYS: usize = 32;
/// RFC 7518 sections 6.2.2, 6.3.2 and 6.4: the members that only private or symmetric keys have.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Reads exactly one of `discovery`, `jwks_uri` and `jwks`.
pub(super) fn read(form: &mut Form<'_>) -> Option<KeySource> {
    let discovery = form.or("discovery", false, form::flag);
    let uri = form.maybe("jwks_uri", jwks_uri);
    let inline = form.maybe("jwks", jwks);
    match (discovery?, uri?, inline?) {
        (true, None, None) => Some(KeySource::Discovery),
        (false, Some(uri), None) => Some(KeySource::JwksUri(uri)),
        (false, None, Some(text)) => Some(KeySource::Inline(text)),
        _ => {
            form.problem_here("must be one of {\"discovery\": true}, `jwks_uri` and `jwks`");
            None
        }
    }
}

/// Where a key set is published.
pub fn jwks_uri(value: &Value, at: &str) -> Read<String> {
    checked_url(value, at, Query::Accepted)
}

/// RFC 7517 section 5. What the keys are good for is found out where they are used.
pub fn jwks(value: &Value, at: &str) -> Read<String> {
    form::foreign(value, at, |form| form.required("keys", form::list(1..=MAX_KEYS, public_key)))?;
    Ok(value.to_json())
}

fn public_key(value: &Value, at: &str) -> Read<()> {
    let key = form::as_object(value, at)?;
    let kind = key.get("kty").and_then(Value::as_str);
    if kind.is_none() {
        return Err(form::problem(at, "must be a JWK: an object with `kty`"));
    }
    if kind == Some("oct") || PRIVATE.iter().any(|name| key.contains(name)) {
        let message = "has a private or symmetric part: register the public key only, and replace \
                       this one, because it has been shown";
        return Err(form::problem(at, message));
    }
    Ok(())
}

/// Writes a key source.
pub fn to_json(keys: &KeySource) -> Object {
    match keys {
        KeySource::Discovery => [("discovery", Value::from(true))].into_iter().collect(),
        KeySource::JwksUri(uri) => [("jwks_uri", Value::from(uri.as_str()))].into_iter().collect(),
        KeySource::Inline(text) => {
            // What is not JSON was never read by us; it is written so that it is refused.
            let jwks = form::value(text.as_bytes()).unwrap_or(Value::Null);
            [("jwks", jwks)].into_iter().collect()
        }
    }
}
