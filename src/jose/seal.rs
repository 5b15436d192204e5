//! Secrets at rest: AES-256-GCM under a key-encryption key that is never in the database.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::base::{
    random::{NoRandomness, Random},
    secret::Secret,
};

/// A key-encryption key; and while it is being replaced another one, which opens and does not seal.
pub struct Kek {
    own: LessSafeKey,
    other: Option<LessSafeKey>,
}

/// Why something could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system gave no nonce, or the library failed.
    #[error("sealing failed: the cryptographic library or the random source gave up")]
    Failed,
    /// Another key, another purpose, or altered bytes: which of them cannot be told.
    #[error("the sealed secret does not open: it was sealed under another key or altered")]
    DoesNotOpen,
}

impl Kek {
    /// The key with these bytes.
    pub fn from_bytes(bytes: &Secret<[u8; 32]>) -> Result<Kek, SealError> {
        Ok(Kek { own: key(bytes)?, other: None })
    }

    /// The same, which also opens what another key sealed.
    pub fn beside(self, other: &Secret<[u8; 32]>) -> Result<Kek, SealError> {
        Ok(Kek { other: Some(key(other)?), ..self })
    }

    /// Fresh bytes for a key, which the caller stores where the database is not.
    pub fn generate(random: &Random) -> Result<Secret<[u8; 32]>, NoRandomness> {
        Ok(Secret::new(random.bytes()?))
    }

    /// Seals `plain`. `aad` says what the secret is and whose (`signing-key:KID`); the same must
    /// be said to open it, so a sealed secret moved to another row does not open.
    ///
    /// A random nonce of 96 bits is safe for 2^32 secrets under one key; Deputy seals a handful a
    /// month.
    pub fn seal(
        &self,
        aad: &str,
        plain: &Secret<Vec<u8>>,
        random: &Random,
    ) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = random.bytes().map_err(|_| SealError::Failed)?;
        let mut text = plain.expose().clone();
        let tag = self
            .own
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad.as_bytes()),
                &mut text,
            )
            .map_err(|_| SealError::Failed)?;
        Ok([&nonce, text.as_slice(), tag.as_ref()].concat())
    }

    /// Opens what [`Kek::seal`] made for the same `aad`.
    pub fn open(&self, aad: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
        match (opened(&self.own, aad, sealed), &self.other) {
            (Err(SealError::DoesNotOpen), Some(other)) => opened(other, aad, sealed),
            (own, _) => own,
        }
    }

    /// Whether it was sealed under the key that seals now.
    pub fn is_own(&self, aad: &str, sealed: &[u8]) -> bool {
        opened(&self.own, aad, sealed).is_ok()
    }
}

fn key(bytes: &Secret<[u8; 32]>) -> Result<LessSafeKey, SealError> {
    let key = UnboundKey::new(&AES_256_GCM, bytes.expose()).map_err(|_| SealError::Failed)?;
    Ok(LessSafeKey::new(key))
}

fn opened(key: &LessSafeKey, aad: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
    let failed = SealError::DoesNotOpen;
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(failed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed)?;
    let mut buffer = text.to_vec();
    let plain =
        key.open_in_place(nonce, Aad::from(aad.as_bytes()), &mut buffer).map_err(|_| failed)?.len();
    // Wiped with the rest when the secret is dropped: `zeroize` covers the whole capacity.
    buffer.truncate(plain);
    Ok(Secret::new(buffer))
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(…)")
    }
}
