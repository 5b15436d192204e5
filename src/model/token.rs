//! What a verified token says: our own kinds, and what we keep of a foreign one.

use std::sync::Arc;

use crate::base::{
    id::{ClientId, DelegationId, TransactionId},
    json::Object,
    time::Timestamp,
};

use super::{
    actor::ActorChain, authority::Authority, client::AuthMethod, event::Hop, issuer::ForeignKind,
    scope::Scope, subject::Subject,
};

/// The kinds of token that we issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OurKind {
    /// For one resource: `typ: at+jwt`.
    Call,
    /// For one agent, usable at no server: `typ: handover+jwt`.
    HandOver,
    /// An agent's own credential for `actor_token`: `typ: at+jwt`, `aud` our issuer, no scope.
    Agent,
}

impl OurKind {
    /// The word for it, in records and lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            OurKind::Call => "call_token",
            OurKind::HandOver => "hand_over",
            OurKind::Agent => "agent_token",
        }
    }
}

/// The claims of a token of ours. Holding one says nothing about liveness: the snapshot decides.
#[derive(Clone, Debug, PartialEq)]
pub struct OurClaims {
    /// Which kind.
    pub kind: OurKind,
    /// The delegation ids from root to self: at least one, at most nine; the last one is `jti`.
    pub path: Vec<DelegationId>,
    /// The transaction.
    pub txn: TransactionId,
    /// The originating user.
    pub subject: Subject,
    /// How the subject is written in `sub`.
    pub sub: Arc<str>,
    /// Whether the subject is an agent acting for itself.
    pub own: bool,
    /// The one audience: a resource's URI, an agent's URI, or our issuer.
    pub audience: Arc<str>,
    /// The client it was issued to.
    pub client: ClientId,
    /// Who acts, current actor first.
    pub chain: ActorChain,
    /// What proved the actors that authenticated here, current one first. Those of the chain that
    /// are beyond these stand in the foreign token, whose issuer asserts them.
    pub via: Vec<AuthMethod>,
    /// The scopes at `audience`; empty for the other kinds.
    pub scope: Scope,
    /// What it can do and pass on.
    pub authority: Authority,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The end of its life: live means `now < expires_at`.
    pub expires_at: Timestamp,
    /// The revision its root was judged at: tools that changed later are other tools.
    pub root_revision: u64,
    /// The revision it was judged at itself: cut-offs with a greater number end it.
    pub revision: u64,
    /// How and when the person was authenticated; carried, never raised (SU-2, SU-3).
    pub authentication: Authentication,
    /// The key that its holder must prove; `None` for a bearer token.
    pub bound: Option<KeyThumbprint>,
}

/// The name of a key that a token is bound to: the `jkt` of RFC 9449 section 6.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyThumbprint(Arc<str>);

impl KeyThumbprint {
    /// SHA-256 in base64url without padding.
    pub const CHARS: usize = 43;

    /// The thumbprint of a key that was read.
    pub fn of(thumbprint: &str) -> KeyThumbprint {
        KeyThumbprint(thumbprint.into())
    }

    /// A thumbprint as a token says it.
    pub fn parse(text: &str) -> Option<KeyThumbprint> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (text.len() == KeyThumbprint::CHARS && plain).then(|| KeyThumbprint(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl OurClaims {
    /// The longest path: a root and eight hops.
    pub const MAX_PATH: usize = 9;

    /// The delegation that this token is.
    pub fn id(&self) -> Option<DelegationId> {
        self.path.last().copied()
    }

    /// The chain with how we know of each actor.
    pub fn hops(&self) -> Vec<Hop> {
        Hop::all(&self.chain, &self.via, &self.subject.issuer)
    }
}

/// When and how the person proved who they are, as their issuer said. RFC 9470 section 6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// When.
    pub auth_time: Option<Timestamp>,
    /// The authentication context class.
    pub acr: Option<String>,
    /// The methods.
    pub amr: Vec<String>,
}

/// What a foreign token says, after everything about it was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignClaims {
    /// Which kind.
    pub kind: ForeignKind,
    /// Who it is about.
    pub subject: Subject,
    /// Its own identity at its issuer: `jti`, or a digest of the whole token where it has none.
    pub token_id: String,
    /// The foreign client it was issued to (`client_id`, else `azp`), for access tokens.
    pub presenter: Option<String>,
    /// Its audiences.
    pub audience: Vec<String>,
    /// Its foreign scope.
    pub scope: Scope,
    /// Actors that the issuer asserts; empty unless it is registered to.
    pub asserted: ActorChain,
    /// Who may act, if it says so: (issuer, sub).
    pub may_act: Option<(Option<String>, String)>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The end of its life.
    pub expires_at: Timestamp,
    /// How the person was authenticated.
    pub authentication: Authentication,
    /// The key that whoever presents it must prove.
    pub bound: Option<KeyThumbprint>,
    /// All claims, for grant rules.
    pub claims: Object,
}
