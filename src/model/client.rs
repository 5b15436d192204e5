//! Clients: whatever authenticates to Deputy. An agent, a resource server, or both.

use std::{collections::BTreeSet, sync::Arc};

use crate::base::{
    id::{ClientId, CredentialId},
    time::{Seconds, Timestamp},
};

use super::{
    ceiling::Ceiling, issuer::KeySource, resource::Effect, signing::SigningAlgorithm, uri::Uri,
};

/// A registered client. Clients are never deleted, so an id is never reassigned.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// The id; also `act.sub` on the wire.
    pub id: ClientId,
    /// A name for people.
    pub name: String,
    /// How it authenticates: exactly one way.
    pub auth_method: AuthMethod,
    /// Whether it gets tokens that are bound to its key, and no others (RFC 9449 section 5.2).
    pub dpop_bound: bool,
    /// What its introspection answers are signed with, when it asks for signed ones (RFC 9701).
    pub introspection_signing: SigningAlgorithm,
    /// Present when the client may act for people.
    pub agent: Option<Agent>,
    /// Present when it authenticates by assertions that it signs, and only then.
    pub assertions: Option<Arc<AssertionRules>>,
    /// Its live secrets: two while one is being replaced.
    pub credentials: Vec<Credential>,
    /// A disabled client can do nothing, and every chain it stands in is dead.
    pub enabled: bool,
}

/// How a client authenticates at the token, introspection and revocation endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// RFC 6749 section 2.3.1, in the `Authorization` header.
    ClientSecretBasic,
    /// RFC 6749 section 2.3.1, in the request body.
    ClientSecretPost,
    /// RFC 7523 section 2.2: an assertion signed by a key of its own.
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Every method, as metadata lists them.
    pub const ALL: [AuthMethod; 3] =
        [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost, AuthMethod::PrivateKeyJwt];

    /// The registered name (RFC 7591 section 2).
    pub const fn as_str(self) -> &'static str {
        match self {
            AuthMethod::ClientSecretBasic => "client_secret_basic",
            AuthMethod::ClientSecretPost => "client_secret_post",
            AuthMethod::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of that name.
    pub fn parse(name: &str) -> Option<AuthMethod> {
        AuthMethod::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// How a client's own assertions are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionRules {
    /// Its keys: two while one is being replaced. Never by discovery.
    pub keys: KeySource,
    /// Whether it may send what older clients send: the token endpoint as audience, and an hour's
    /// life.
    pub legacy: bool,
}

/// What makes a client an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The URI that hand-overs to it are addressed to. Never a resource.
    pub uri: Uri,
    /// The most it may do for people.
    pub allowance: Ceiling,
    /// The most it may do for itself; empty unless an administrator says otherwise.
    pub own_allowance: Ceiling,
}

/// One stored secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Which one; a remembered success names it and is worth nothing once it is gone.
    pub id: CredentialId,
    /// The argon2id hash in PHC form.
    pub hash: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops to work, if ever.
    pub expires: Option<Timestamp>,
}

/// An administrator's permission for one agent (or server) to hand authority to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Who hands over, or (for onward entries) whose token carries them.
    pub from: ClientId,
    /// Who receives.
    pub to: ClientId,
    /// The most that may be handed over. `None`: whatever the other ceilings allow.
    pub ceiling: Option<Ceiling>,
    /// The effects that may be handed over.
    pub effects: BTreeSet<Effect>,
    /// The most actors of a chain that passes, the receiver included. `None`: as many as any chain.
    pub max_depth: Option<usize>,
    /// The longest life of what passes. `None`: that of its kind.
    pub max_ttl: Option<Seconds>,
    /// A disabled edge lets nothing through.
    pub enabled: bool,
}
