//! Sessions of protocol 2025-11-25 and before: who opened one continues it, and nobody else. The id
//! that a client sees is the server's own with a tag over it and over whose it is, so nothing has
//! to be remembered. The key is made at start: a session ends with its process.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderName,
    header::{Entry, HeaderValue},
};
use ring::{hmac, rand::SystemRandom};

use crate::{answer::Claims, error::SetupError};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// The key under which sessions are tagged.
#[derive(Debug)]
pub struct Sessions(hmac::Key);

/// The session that a request names is not one of its token's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotYours;

impl Sessions {
    /// A key for this process.
    pub fn new() -> Result<Sessions, SetupError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        key.map(Sessions).map_err(|_| SetupError::NoRandomness)
    }

    /// Puts the server's own id in place of the one that the client knows.
    pub fn enter(&self, headers: &mut HeaderMap, whose: &Claims) -> Result<(), NotYours> {
        let Entry::Occupied(mut entry) = headers.entry(SESSION_ID) else { return Ok(()) };
        let own = {
            let mut values = entry.iter();
            let (Some(value), None) = (values.next(), values.next()) else { return Err(NotYours) };
            let (own, tag) =
                value.to_str().ok().and_then(|id| id.rsplit_once('.')).ok_or(NotYours)?;
            let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| NotYours)?;
            hmac::verify(&self.0, &tagged(own, whose), &tag).map_err(|_| NotYours)?;
            HeaderValue::from_str(own).map_err(|_| NotYours)?
        };
        entry.insert(own);
        Ok(())
    }

    /// Tags the id that the server gives out.
    pub fn leave(&self, headers: &mut HeaderMap, whose: &Claims) {
        let Entry::Occupied(mut entry) = headers.entry(SESSION_ID) else { return };
        let known = entry.get().to_str().ok().and_then(|own| {
            let tag = hmac::sign(&self.0, &tagged(own, whose));
            HeaderValue::from_str(&format!("{own}.{}", URL_SAFE_NO_PAD.encode(tag))).ok()
        });
        // An id that cannot be tagged is of no use to the client either.
        match known {
            Some(known) => drop(entry.insert(known)),
            None => drop(entry.remove()),
        }
    }
}

/// The id, the agent and the person. Lengths keep them apart.
fn tagged(own: &str, whose: &Claims) -> Vec<u8> {
    let mut out = Vec::new();
    for part in [own, whose.iss(), whose.sub(), whose.client_id()] {
        out.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}
