//! `operator`: who may use the admin API, known by the hash of a token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::form::{self, Read};
use crate::base::{json::Object, secret::Fingerprint};

/// Somebody who may use the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// A name for the audit log.
    pub name: String,
    /// SHA-256 of the token.
    pub token_hash: Fingerprint,
    /// What this operator may do.
    pub role: Role,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Read everything, change nothing.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 2] = [Role::Admin, Role::Auditor];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Auditor => "auditor",
        }
    }
}

/// Reads an operator. The role has no default.
pub fn parse(text: &str) -> Read<Operator> {
    form::document(text, |form| {
        let name = form.required("name", form::label);
        let token_hash = form.required("token_hash", form::parsed(fingerprint));
        let role = form.required("role", form::word(&Role::ALL.map(|r| (r.as_str(), r))));
        Some(Operator { name: name?, token_hash: token_hash?, role: role? })
    })
}

fn fingerprint(text: &str) -> Result<Fingerprint, &'static str> {
    let expected = "expected SHA-256 of the token, 43 characters of base64url";
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| expected)?;
    bytes.try_into().map(Fingerprint::from_bytes).map_err(|_| expected)
}

/// Writes an operator.
pub fn write(operator: &Operator) -> String {
    let hash = URL_SAFE_NO_PAD.encode(operator.token_hash.as_bytes());
    let mut document = Object::new();
    document.insert("name", operator.name.as_str());
    document.insert("token_hash", hash);
    document.insert("role", operator.role.as_str());
    document.to_json()
}
