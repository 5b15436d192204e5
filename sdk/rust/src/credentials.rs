//! How a program proves to Deputy which client it is.

use std::sync::Arc;

use crate::{error::SetupError, key::PrivateKey, secret::Secret, wire::encoded};

/// A client id, and what proves it.
#[derive(Clone, Debug)]
pub struct Credentials {
    client_id: String,
    proof: Proof,
}

#[derive(Clone, Debug)]
enum Proof {
    Secret(Secret),
    Key(Arc<PrivateKey>),
}

/// How one request says who asks.
pub(crate) enum Shown {
    /// User and password of the `Authorization` header.
    Basic(String, Secret),
    /// Fields of the form.
    Fields(Vec<(&'static str, String)>),
}

impl Credentials {
    /// `client_secret_basic`: the id and the secret, as Deputy showed them once.
    pub fn secret(client_id: &str, client_secret: &str) -> Credentials {
        let proof = Proof::Secret(Secret::new(client_secret.to_owned()));
        Credentials { client_id: client_id.to_owned(), proof }
    }

    /// `private_key_jwt` (RFC 7523): the id, and the private key whose public half is registered as
    /// `kid`: PKCS #8 in PEM, on P-256 or Ed25519. [`SetupError::PrivateKey`] for anything else.
    pub fn private_key(client_id: &str, pem: &str, kid: &str) -> Result<Credentials, SetupError> {
        let proof = Proof::Key(Arc::new(PrivateKey::from_pem(pem, kid)?));
        Ok(Credentials { client_id: client_id.to_owned(), proof })
    }

    /// What one request to this issuer shows; `None` if the random source gave up.
    pub(crate) fn shown(&self, issuer: &str) -> Option<Shown> {
        Some(match &self.proof {
            // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
            Proof::Secret(secret) => {
                Shown::Basic(encoded(&self.client_id), Secret::new(encoded(secret.expose())))
            }
            Proof::Key(key) => Shown::Fields(key.fields(&self.client_id, issuer)?),
        })
    }
}
