//! How a program proves to Deputy which client it is.

use crate::{secret::Secret, wire::encoded};

/// A client id, and what proves it.
#[derive(Clone, Debug)]
pub struct Credentials {
    client_id: String,
    secret: Secret,
}

impl Credentials {
    /// `client_secret_basic`: the id and the secret, as Deputy showed them once.
    pub fn secret(client_id: &str, client_secret: &str) -> Credentials {
        let (client_id, secret) = (client_id.to_owned(), Secret::new(client_secret.to_owned()));
        Credentials { client_id, secret }
    }

    /// User and password of the `Authorization` header.
    pub(crate) fn basic(&self) -> (String, Secret) {
        // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
        (encoded(&self.client_id), Secret::new(encoded(self.secret.expose())))
    }
}
