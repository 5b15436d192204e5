//! `credential`: one stored secret of a client, as a hash. The secret itself is never here.

use super::form::{self, Read};
use crate::{
    base::{
        id::{ClientId, CredentialId},
        json::Object,
        time::Timestamp,
    },
    model::client::Credential,
};

/// Reads a credential and the client it belongs to.
pub fn parse(text: &str) -> Read<(ClientId, Credential)> {
    form::document(text, |form| {
        let time = form::number(0..=Timestamp::MAX.epoch_s());
        let client = form.required("client_id", form::parsed(ClientId::parse));
        let id = form.required("id", form::parsed(CredentialId::parse));
        let hash = form.required("hash", form::text);
        if hash.as_ref().is_some_and(|hash| !hash.starts_with("$argon2id$")) {
            form.problem("hash", "must be an argon2id hash in PHC form");
        }
        let created = form.required("created", &time);
        let expires = form.maybe("expires", &time);
        let credential = Credential {
            id: id?,
            hash: hash?,
            created: Timestamp::from_epoch_s(created?)?,
            expires: expires?.and_then(Timestamp::from_epoch_s),
        };
        Some((client?, credential))
    })
}

/// Writes a credential.
pub fn write(client: &ClientId, credential: &Credential) -> String {
    let mut document = Object::new();
    document.insert("client_id", client.as_str());
    document.insert("id", credential.id.to_string());
    document.insert("hash", credential.hash.as_str());
    document.insert("created", credential.created.epoch_s());
    if let Some(expires) = credential.expires {
        document.insert("expires", expires.epoch_s());
    }
    document.to_json()
}
