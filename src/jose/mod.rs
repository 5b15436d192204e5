//! L2. JSON Web Signatures, keys, sealed secrets and passwords.
//!
//! The only layer that knows ring's signatures, josekit and argon2. Containers, headers and JWKs
//! are read by our own strict code; the libraries give the primitives and nothing else. What a
//! token means is decided elsewhere: here a token is only opened, by one function, under an
//! explicit [`open::Profile`].

pub mod algorithm;
pub mod jwk;
pub mod key;
pub mod mac;
pub mod open;
pub mod password;
pub mod ring;
pub mod seal;
pub mod sign;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The one base64url spelling of `bytes` (RFC 7515 section 2).
fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding and without stray bits in the last character, so that two
/// different texts never mean the same bytes.
fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
