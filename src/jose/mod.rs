//! L2. JSON Web Signatures, keys, sealed secrets and passwords.
//!
//! The only layer that knows ring's signatures, josekit and argon2. Containers, headers and JWKs
//! are read by our own strict code; the libraries give the primitives and nothing else. What a
//! token means is decided elsewhere: here a token is only opened, by one function, under an
//! explicit [`Profile`].

pub mod password;
pub mod ring;

mod algorithm;
mod jwk;
mod key;
mod keyset;
mod mac;
mod open;
mod seal;
mod sign;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;

pub use algorithm::Algorithm;
pub use jwk::JwkError;
pub use key::{BadSignature, KeyError, SigningKey, VerifyingKey};
pub use keyset::KeySet;
pub use mac::MacKey;
pub use open::{JwtError, Opened, Profile, TypRule, Unverified, open, payload_of};
pub use seal::{Kek, SealError};
pub use sign::sign_compact;

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
