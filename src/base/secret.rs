//! Values that must not be printed, and the fingerprints we keep of them instead.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret: no `Debug` of its content, no `Display`, no serde, wiped when dropped.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub const fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The value, at the one line that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Secret(self.0.clone())
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret in a text that somebody else holds: no `Debug` of its content, no `Display`. Nothing is
/// copied, so that there is nothing to wipe.
#[derive(Clone, Copy)]
pub struct Lent<'a>(&'a str);

impl<'a> Lent<'a> {
    /// Takes the value in.
    pub const fn new(value: &'a str) -> Lent<'a> {
        Lent(value)
    }

    /// The value, at the one line that needs it.
    pub const fn expose(&self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Lent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent(…)")
    }
}

/// SHA-256 of something presented to us. Equality takes the same time for every pair.
#[derive(Clone, Copy, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "equal bytes hash equally")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of `bytes`.
    pub fn of(bytes: &[u8]) -> Fingerprint {
        let mut out = [0_u8; 32];
        for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
            *to = *from;
        }
        Fingerprint(out)
    }

    /// A fingerprint that was stored earlier.
    pub const fn from_bytes(bytes: [u8; 32]) -> Fingerprint {
        Fingerprint(bytes)
    }

    /// A fingerprint as [`Fingerprint::text`] writes it.
    pub fn parse(text: &str) -> Option<Fingerprint> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Fingerprint)
    }

    /// Base64url, 43 characters.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The 32 bytes, for storage.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}
