//! The shapes of answers that are not errors: 200 and a body.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::Response,
};

/// The media type of nearly every answer.
pub const JSON: &str = "application/json";
/// RFC 9701 section 4.
pub const SIGNED_INTROSPECTION: &str = "application/token-introspection+jwt";

/// A JSON text.
pub fn json(body: impl Into<Body>) -> Response {
    typed(JSON, body)
}

/// A signed introspection answer.
pub fn signed_introspection(body: impl Into<Body>) -> Response {
    typed(SIGNED_INTROSPECTION, body)
}

fn typed(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Tells the nonce that the next proof must be made with. RFC 9449 section 8.
pub fn give_nonce(response: &mut Response, nonce: &str) {
    if let Ok(nonce) = HeaderValue::from_str(nonce) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
}

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A JSON text for everybody: web pages may read it, and it may be kept for five minutes.
pub fn public(body: impl Into<Body>) -> Response {
    let mut response = json(body);
    for_everybody(&mut response);
    response
}

/// Marks an answer as one that caches may keep.
pub fn for_everybody(response: &mut Response) {
    let headers = response.headers_mut();
    // Clients look for new keys every 300 s, and for an unknown one sooner.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
}
