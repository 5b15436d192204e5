//! The documents that everybody may read, and the one endpoint that only says no.

#[cfg(test)]
mod tests;

use axum::{
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT, ETAG, IF_NONE_MATCH, VARY},
    },
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{error, reply, routes::Asked};
use crate::{
    base::{id::ResourceId, secret::Fingerprint},
    oauth::metadata,
    registry::issuer::ALGORITHMS,
};

/// RFC 8414, under all three names. MD-1.
pub fn authorization_server(asked: &Asked<'_>) -> Response {
    let snapshot = asked.deputy.snapshot();
    reply::public(metadata::authorization_server(&snapshot.config.issuer, &ALGORITHMS))
}

/// The keys that verify our tokens. RFC 7517 section 5.
pub fn jwks(asked: &Asked<'_>) -> Response {
    let snapshot = asked.deputy.snapshot();
    let keys = snapshot.config.keys.jwks();
    let etag =
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(Fingerprint::of(keys.as_bytes()).as_bytes()));
    let known = is_known(&asked.parts.headers, &etag);
    let Ok(etag) = HeaderValue::try_from(etag) else { return reply::public(keys.to_owned()) };
    let mut response = if known { error::not_modified() } else { reply::json(keys.to_owned()) };
    response.headers_mut().insert(ETAG, etag);
    reply::for_everybody(&mut response);
    response
}

/// RFC 9110 section 13.1.2: `*`, or a list in which weak and strong tags are the same.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// RFC 9728, for a resource's server to serve or proxy. PR-1.
pub fn protected_resource(asked: &Asked<'_>) -> Response {
    let snapshot = asked.deputy.snapshot();
    let id = ResourceId::parse(asked.param("id")).ok();
    let resource = id.and_then(|id| snapshot.config.resource(&id)).filter(|r| r.enabled);
    match resource {
        Some(resource) => {
            let issuer = &snapshot.config.issuer;
            reply::public(metadata::protected_resource(issuer, resource))
        }
        None => error::not_found(),
    }
}

/// Nobody logs in here, and no parameter of the request is even looked at.
pub fn authorize(asked: &Asked<'_>) -> Response {
    let mut response = error::no_login(is_a_person(&asked.parts.headers).then_some(PAGE));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

fn is_a_person(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accepted| accepted.to_ascii_lowercase().contains("text/html"))
}

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Nobody logs in here</title>
<h1>Nobody logs in here</h1>
<p>This server is Deputy. It does not know people and has no login page: it exchanges a token
that you got elsewhere for a narrower one (OAuth 2.0 Token Exchange, RFC 8693).</p>
<p>If a program sent you here, configure it to log you in at your organisation's identity
provider, and to exchange the token it gets there at this server's token endpoint.</p>
</html>
"#;
