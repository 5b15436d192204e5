//! Who is calling: the client behind a request, proved against the current snapshot.
//!
//! `needs` says which stored hashes a presented secret must be checked against; the shell checks
//! (slowly, on its bounded pool, or from memory); `judge` accepts only a credential that is live in
//! *this* snapshot. Unknown client and wrong secret are one and the same answer.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    assertion::AssertionFault,
    snapshot::{Config, Snapshot},
};
use crate::{
    base::{
        id::{ClientId, CredentialId},
        secret::Secret,
        time::Timestamp,
    },
    jose::MacKey,
    model::client::{AuthMethod, Client},
};

/// Credentials as they were presented: nothing is proved.
#[derive(Debug)]
pub enum PresentedClient {
    /// A secret.
    Secret(PresentedSecret),
    /// An assertion that it signed.
    Assertion(PresentedAssertion),
}

/// An assertion as it was presented.
#[derive(Debug)]
pub struct PresentedAssertion {
    /// The JWT.
    pub jwt: Secret<String>,
    /// The client id beside it, if there is one.
    pub id: Option<String>,
}

/// A secret as it was presented.
#[derive(Debug)]
pub struct PresentedSecret {
    /// The client id it claims.
    pub id: String,
    /// The secret.
    pub secret: Secret<String>,
    /// Where it stood.
    pub method: AuthMethod,
}

/// Why a client was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRefusal {
    /// No credentials at all.
    Absent,
    /// Credentials in two places. RFC 6749 section 2.3: not more than one method per request.
    TwoMethods,
    /// `client_id` in the body contradicts the authenticated client.
    Contradiction,
    /// No such client, or another secret or key, or another method than the registered one.
    Wrong,
    /// The client signed it, and it is no good all the same.
    Assertion(AssertionFault),
    /// The client was disabled.
    Disabled,
    /// Too many wrong secrets from this source; says nothing about the client.
    Throttled,
}

impl ClientRefusal {
    /// What the caller may read; the same for unknown, wrong and disabled. That the source is
    /// throttled says nothing of the client, and who is right must not be told that it is wrong.
    pub const fn description(self) -> &'static str {
        match self {
            ClientRefusal::Absent => {
                "authenticate the client: HTTP Basic, client_id and client_secret in the body, or \
                 a client_assertion, whichever it is registered for"
            }
            ClientRefusal::TwoMethods => "use one client authentication method, not two",
            ClientRefusal::Contradiction => "client_id contradicts the authenticated client",
            ClientRefusal::Assertion(fault) => fault.description(),
            ClientRefusal::Wrong | ClientRefusal::Disabled => "client authentication failed",
            ClientRefusal::Throttled => {
                "wrong credentials came from this address just now, so these were not looked at: \
                 try again in a second"
            }
        }
    }

    /// The machine code for the audit log.
    pub const fn reason(self) -> &'static str {
        match self {
            ClientRefusal::Absent => "client_credentials_absent",
            ClientRefusal::TwoMethods => "client_two_methods",
            ClientRefusal::Contradiction => "client_id_contradiction",
            ClientRefusal::Wrong => "client_authentication_failed",
            ClientRefusal::Assertion(fault) => fault.reason(),
            ClientRefusal::Disabled => "client_disabled",
            ClientRefusal::Throttled => "client_authentication_throttled",
        }
    }
}

/// The stored hashes that a presented secret must be checked against.
#[derive(Debug)]
pub struct Needs {
    /// The client it claims to be.
    pub client: ClientId,
    /// (which credential, its argon2id hash), newest first; at most two.
    pub hashes: Vec<(CredentialId, String)>,
}

/// A client that proved who it is, at one snapshot. Only [`judge`] makes one, and
/// [`Claimed::judge`](super::assertion::Claimed::judge).
#[derive(Clone, Debug)]
pub struct Authenticated {
    client: Arc<Client>,
    proof: Proof,
}

/// What proved a client.
#[derive(Clone, Copy, Debug)]
enum Proof {
    /// This secret, sent this way.
    Secret(AuthMethod, CredentialId),
    /// A key of its own.
    Key,
}

impl Authenticated {
    /// The client.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The same client as it stands in a newer snapshot: with its allowance of now, or refused if
    /// it was disabled or its credential ended meanwhile.
    pub fn again(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Authenticated, ClientRefusal> {
        match self.proof {
            Proof::Secret(method, credential) => {
                accepted(snapshot, &self.client.id, method, credential, now)
            }
            Proof::Key => {
                let client = snapshot.config.client(&self.client.id).ok_or(ClientRefusal::Wrong)?;
                // Other keys may have been registered meanwhile: then this one proves nothing.
                if client.assertions != self.client.assertions {
                    return Err(ClientRefusal::Wrong);
                }
                Authenticated::by_assertion(Arc::clone(client))
            }
        }
    }

    /// A client whose assertion was verified.
    pub(super) fn by_assertion(client: Arc<Client>) -> Result<Authenticated, ClientRefusal> {
        if client.auth_method != AuthMethod::PrivateKeyJwt {
            return Err(ClientRefusal::Wrong);
        }
        if !client.enabled {
            return Err(ClientRefusal::Disabled);
        }
        Ok(Authenticated { client, proof: Proof::Key })
    }

    /// What proved it: goes to the record as `via`.
    pub const fn via(&self) -> AuthMethod {
        match self.proof {
            Proof::Secret(method, _) => method,
            Proof::Key => AuthMethod::PrivateKeyJwt,
        }
    }
}

/// What a secret of ours looks like: `ds_`, 43 characters of randomness, 22 of a keyed tag.
pub const SECRET_PREFIX: &str = "ds_";
const RANDOM_CHARS: usize = 43;
const TAG_BYTES: usize = 16;

/// A new secret for `client` from 32 fresh bytes: only `[A-Za-z0-9_-]`, so that every way of
/// writing HTTP Basic reads the same.
pub fn new_secret(tag: &MacKey, client: &ClientId, random: &[u8; 32]) -> Secret<String> {
    let random = URL_SAFE_NO_PAD.encode(random);
    let tag = URL_SAFE_NO_PAD.encode(tag_of(tag, client, &random));
    Secret::new(format!("{SECRET_PREFIX}{random}{tag}"))
}

fn tag_of(key: &MacKey, client: &ClientId, random: &str) -> [u8; TAG_BYTES] {
    key.short_tag(&[client.as_str().as_bytes(), random.as_bytes()])
}

/// What must be checked before the client can be judged; refused at once where nothing could help.
pub fn needs(
    config: &Config,
    presented: &PresentedSecret,
    now: Timestamp,
) -> Result<Needs, ClientRefusal> {
    let id = ClientId::parse(&presented.id).map_err(|_| ClientRefusal::Wrong)?;
    // The keyed tag first: a made-up secret costs microseconds, whether or not the client exists.
    if !has_good_tag(&config.macs.secret_tag, &id, presented.secret.expose()) {
        return Err(ClientRefusal::Wrong);
    }
    let client = config.client(&id).ok_or(ClientRefusal::Wrong)?;
    if client.auth_method != presented.method {
        return Err(ClientRefusal::Wrong);
    }
    let live = client.credentials.iter().filter(|c| c.expires.is_none_or(|end| now < end));
    let hashes = live.map(|c| (c.id, c.hash.clone())).collect();
    Ok(Needs { client: id, hashes })
}

fn has_good_tag(key: &MacKey, client: &ClientId, secret: &str) -> bool {
    let Some(body) = secret.strip_prefix(SECRET_PREFIX) else { return false };
    let Some((random, tag)) = body.split_at_checked(RANDOM_CHARS) else { return false };
    let Ok(tag) = URL_SAFE_NO_PAD.decode(tag) else { return false };
    subtle::ConstantTimeEq::ct_eq(tag.as_slice(), tag_of(key, client, random).as_slice()).into()
}

/// Accepts the client if the credential that its secret matched is live in this snapshot.
pub fn judge(
    snapshot: &Snapshot,
    presented: &PresentedSecret,
    matched: CredentialId,
    now: Timestamp,
) -> Result<Authenticated, ClientRefusal> {
    let id = ClientId::parse(&presented.id).map_err(|_| ClientRefusal::Wrong)?;
    accepted(snapshot, &id, presented.method, matched, now)
}

fn accepted(
    snapshot: &Snapshot,
    id: &ClientId,
    method: AuthMethod,
    credential: CredentialId,
    now: Timestamp,
) -> Result<Authenticated, ClientRefusal> {
    let client = snapshot.config.client(id).ok_or(ClientRefusal::Wrong)?;
    let live = |c: &&crate::model::client::Credential| {
        c.id == credential && c.expires.is_none_or(|end| now < end)
    };
    if client.auth_method != method || !client.credentials.iter().any(|c| live(&c)) {
        return Err(ClientRefusal::Wrong);
    }
    if !client.enabled {
        return Err(ClientRefusal::Disabled);
    }
    let proof = Proof::Secret(method, credential);
    Ok(Authenticated { client: Arc::clone(client), proof })
}
