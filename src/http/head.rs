//! The strict reading of a request's head: which fields may come once, what the content type is,
//! and how the client tries to authenticate. Whether it succeeds is never decided here.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::form;
use crate::base::secret::Secret;

/// Bytes of one `Authorization` or `Content-Type` field: common proxies refuse longer lines.
pub const FIELD_BYTES_MAX: usize = 8 * 1024;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A DPoP proof (RFC 9449 section 4.3: not more than one such field).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Fields of which a second one would let two programs read two different requests.
const ONCE: [HeaderName; 5] = [HOST, CONTENT_TYPE, CONTENT_LENGTH, AUTHORIZATION, DPOP];

/// Why a head was refused: always 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A field came twice that may come once.
    #[error("the header `{0}` is repeated; send it once")]
    Repeated(HeaderName),
    /// No `Host` (RFC 9112 section 3.2).
    #[error("the header `host` is missing")]
    NoHost,
    /// Longer than [`FIELD_BYTES_MAX`].
    #[error("the header `{0}` is longer than {FIELD_BYTES_MAX} bytes")]
    TooLong(HeaderName),
    /// Not what its grammar allows.
    #[error("the header `{0}` is malformed")]
    Malformed(HeaderName),
}

/// Refuses a head without exactly one `Host`, or with a second field of the kinds that may come
/// once. For every request, before anything else is read.
pub fn check(headers: &HeaderMap) -> Result<(), HeadError> {
    let repeats = headers.len() > headers.keys_len();
    for name in ONCE.iter().filter(|_| repeats) {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(HeadError::Repeated(name.clone()));
        }
    }
    if headers.contains_key(HOST) { Ok(()) } else { Err(HeadError::NoHost) }
}

/// A request's `Content-Type`, as far as we care: the essence and whether the text is UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    essence: &'a str,
    utf8: bool,
}

impl ContentType<'_> {
    /// Whether the body is `essence` (any case) in UTF-8: no `charset`, or `charset=utf-8`.
    pub fn is(&self, essence: &str) -> bool {
        self.utf8 && self.essence.eq_ignore_ascii_case(essence)
    }

    /// `application/x-www-form-urlencoded`.
    pub fn is_form(&self) -> bool {
        self.is(FORM)
    }

    /// `application/json`.
    pub fn is_json(&self) -> bool {
        self.is(JSON)
    }
}

/// Reads `Content-Type`; `None` when there is none. Other parameters than `charset` are ignored.
pub fn content_type(headers: &HeaderMap) -> Result<Option<ContentType<'_>>, HeadError> {
    let Some(text) = field(headers, &CONTENT_TYPE)? else { return Ok(None) };
    if text == FORM || text == JSON {
        // As nearly everybody writes it: nothing to take apart.
        return Ok(Some(ContentType { essence: text, utf8: true }));
    }
    let malformed = || HeadError::Malformed(CONTENT_TYPE);
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().filter(|essence| is_media_type(essence)).ok_or_else(malformed)?;
    let mut charset = None;
    // `a; ` with nothing behind it is sent by real clients (RFC 9110 section 5.6.6 allows it).
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or_else(malformed)?;
        if name.eq_ignore_ascii_case("charset") && charset.replace(unquoted(value)).is_some() {
            return Err(malformed());
        }
    }
    let utf8 = charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
    Ok(Some(ContentType { essence, utf8 }))
}

/// A DPoP proof, as it was sent; there is at most one field. What is no text proves nothing.
pub fn proof(headers: &HeaderMap) -> Option<&str> {
    headers.get(DPOP).map(|proof| proof.to_str().unwrap_or_default())
}

/// Whether `Accept` names `media`, not by a wildcard, and `other` no more urgently (RFC 9110 section
/// 12.5.1). What cannot be read asks for nothing.
pub fn prefers(headers: &HeaderMap, media: &str, other: &str) -> bool {
    let quality = |wanted: &str| {
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|list| list.to_str().ok());
        let ranges = ranges.flat_map(|list| list.split(',')).filter_map(range);
        let named = ranges.filter(|(range, _)| range.eq_ignore_ascii_case(wanted));
        named.map(|(_, quality)| quality).fold(0.0, f32::max)
    };
    let wanted = quality(media);
    wanted > 0.0 && wanted >= quality(other)
}

/// One range of an `Accept` list, with its quality from 0 to 1.
fn range(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next()?;
    let quality = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    let quality = quality.map_or(Some(1.0), |q| q.parse().ok());
    quality.filter(|q| (0.0..=1.0).contains(q)).map(|quality| (range, quality))
}

/// How a client presents itself in `Authorization`. Nothing in it is proved.
#[derive(Debug)]
pub enum Authorization {
    /// No such field.
    None,
    /// RFC 6749 section 2.3.1, both halves decoded.
    Basic {
        /// The presented client id.
        id: String,
        /// The presented secret.
        secret: Secret<String>,
    },
    /// RFC 6750 section 2.1.
    Bearer(Secret<String>),
    /// A scheme we do not read, or credentials that do not parse: an attempt that cannot succeed.
    Other,
}

/// Reads `Authorization`.
pub fn authorization(headers: &HeaderMap) -> Result<Authorization, HeadError> {
    let Some(text) = field(headers, &AUTHORIZATION)? else { return Ok(Authorization::None) };
    let Some((scheme, credentials)) = text.split_once(' ') else {
        return Ok(Authorization::Other);
    };
    let credentials = credentials.trim_matches(' ');
    Ok(if scheme.eq_ignore_ascii_case("basic") {
        basic(credentials).unwrap_or(Authorization::Other)
    } else if scheme.eq_ignore_ascii_case("bearer") && is_token68(credentials) {
        Authorization::Bearer(Secret::new(credentials.to_owned()))
    } else {
        Authorization::Other
    })
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before base64. Many clients send them
/// raw, and some encode even `-` and `_`. Our ids and secrets hold `[A-Za-z0-9_-]` only, so a half
/// that contains `%` or `+` was encoded, and every other half reads the same both ways.
fn basic(credentials: &str) -> Option<Authorization> {
    let bytes = Zeroizing::new(STANDARD.decode(credentials).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    let secret = Secret::new(half(secret)?.into_owned());
    Some(Authorization::Basic { id: half(id)?.into_owned(), secret })
}

/// One half, decoded; as it is where decoding fails. `None` for control characters (RFC 7617
/// section 2).
fn half(raw: &str) -> Option<Cow<'_, str>> {
    let text = form::decode(raw.as_bytes()).unwrap_or(Cow::Borrowed(raw));
    // A client's id and secret are ASCII, and bytes are looked through sooner than characters.
    let controls = if text.is_ascii() {
        text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    };
    if controls { None } else { Some(text) }
}

fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, HeadError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    if value.len() > FIELD_BYTES_MAX {
        return Err(HeadError::TooLong(name.clone()));
    }
    HeaderValue::to_str(value).map(Some).map_err(|_| HeadError::Malformed(name.clone()))
}

fn is_media_type(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let marks = b"!#$%&'*+-.^_`|~";
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

/// RFC 6750 section 2.1.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let marks = b"-._~+/";
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}
