//! `operator`: who may use the admin API, known by the hash of a token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::form::{self, Read};
use crate::base::{id::OperatorName, json::Object, secret::Fingerprint};

/// Somebody who may use the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The name by which the audit log knows it, for good.
    pub name: OperatorName,
    /// SHA-256 of the token.
    pub token_hash: Fingerprint,
    /// What this operator may do.
    pub role: Role,
    /// Whether its token opens anything. An operator is ended and never deleted: its name stands in
    /// the audit log.
    pub enabled: bool,
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
        let name = form.required("name", form::parsed(OperatorName::parse));
        let token_hash = form.required("token_hash", form::parsed(fingerprint));
        let role = form.required("role", form::word(&Role::ALL.map(|r| (r.as_str(), r))));
        let enabled = form.or("enabled", true, form::flag);
        Some(Operator { name: name?, token_hash: token_hash?, role: role?, enabled: enabled? })
    })
}

/// Reads what is sent to make an operator: a name and a role.
pub fn parse_new(text: &str) -> Read<(OperatorName, Role)> {
    form::document(text, |form| {
        let name = form.required("name", form::parsed(OperatorName::parse));
        let role = form.required("role", form::word(&Role::ALL.map(|r| (r.as_str(), r))));
        Some((name?, role?))
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
    document.insert("enabled", operator.enabled);
    document.to_json()
}
