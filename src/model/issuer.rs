//! Trusted issuers: whose tokens may start a delegation, and what they are worth here.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

use crate::base::{
    id::{Alias, ClientId},
    json::{Object, Value},
    time::Seconds,
};

use super::{ceiling::CeilingEntry, constraint::ClaimName, scope::ScopeToken};

/// An identity provider that an administrator registered.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the document")]
pub struct TrustedIssuer {
    /// The exact `iss` of its tokens.
    pub url: Arc<str>,
    /// The short name; fixed at registration.
    pub alias: Alias,
    /// Whether its subjects keep their own `sub` in our tokens; fixed at registration.
    pub primary: bool,
    /// Where its keys come from.
    pub keys: KeySource,
    /// The names of the signature algorithms it may use, for all its keys.
    pub algorithms: BTreeSet<String>,
    /// What its access tokens must look like; `None`: they are not accepted.
    pub access_tokens: Option<AccessTokenRules>,
    /// Whether its ID tokens are accepted.
    pub id_tokens: bool,
    /// The oldest token that is accepted, by `iat`.
    pub max_age: Seconds,
    /// Claims that every token must carry with one of these values (`hd`, `tid` …).
    pub required_claims: BTreeMap<String, Vec<Value>>,
    /// What its claims are called here, and which of them are to be relied on.
    pub claim_mapping: BTreeMap<ClaimName, MappedClaim>,
    /// Where it says which groups a person is in, and which of them are known here.
    pub groups: Vec<GroupClaim>,
    /// What its tokens are worth, and nothing else.
    pub grant_rules: Vec<GrantRule>,
    /// The client ids of our agents at this issuer.
    pub agents: BTreeMap<ClientId, BTreeSet<String>>,
    /// Whether any of our agents may present its access tokens, whoever they were issued to.
    pub any_agent: bool,
    /// Whether it may say in `act` who acts for the subject.
    pub asserts_actors: bool,
    /// A disabled issuer's tokens, and everything grown from them, are dead.
    pub enabled: bool,
}

/// One claim of an issuer, as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedClaim {
    /// The name of the claim in the issuer's tokens.
    pub claim: String,
    /// Whether the issuer itself vouches for it. A claim that its users can edit is none.
    pub authoritative: bool,
}

/// A claim that holds names of groups, or of roles: one text, or an array of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupClaim {
    /// The name of the claim; or, where it begins with `/`, the way to it (RFC 6901).
    pub claim: String,
    /// The names that are carried into our tokens. The person's other groups are nobody's business.
    pub keep: BTreeSet<String>,
}

impl GroupClaim {
    /// The names that a token with these claims has, of those that are kept. `None` where the claim is
    /// neither a text nor an array of texts: who cannot be told to be in a group must not pass for
    /// somebody who is in none.
    pub fn of(&self, claims: &Object) -> Option<BTreeSet<Arc<str>>> {
        let value = match self.claim.strip_prefix('/') {
            None => claims.get(&self.claim),
            Some(way) => {
                let mut names = way.split('/').map(|n| n.replace("~1", "/").replace("~0", "~"));
                let first = names.next().and_then(|name| claims.get(&name));
                names.fold(first, |value, name| value?.as_object()?.get(&name))
            }
        };
        let names: &[Value] = match value {
            Some(Value::Array(names)) => names,
            Some(name) => std::slice::from_ref(name),
            None => &[],
        };
        let names: Vec<&str> = names.iter().map(Value::as_str).collect::<Option<_>>()?;
        Some(names.into_iter().filter(|name| self.keep.contains(*name)).map(Arc::from).collect())
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// OpenID Connect Discovery, or RFC 8414.
    Discovery,
    /// This JWK Set.
    JwksUri(String),
    /// These keys, pinned by the administrator: the text of a JWK Set.
    Inline(String),
}

/// What a foreign access token must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenRules {
    /// The audiences registered for Deputy at that issuer.
    pub audiences: BTreeSet<String>,
    /// The issuer does not set `typ: at+jwt`; its access tokens are told by this claim.
    pub untyped_marker: Option<String>,
}

/// The kind of a foreign token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForeignKind {
    /// An access token.
    AccessToken,
    /// An OpenID Connect ID token.
    IdToken,
}

/// What tokens of one kind with these claims are worth.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantRule {
    /// The kind of token it speaks of.
    pub kind: ForeignKind,
    /// Claims that must have one of these values; an array claim must contain one of them.
    pub claims: BTreeMap<String, Vec<Value>>,
    /// The foreign scope that an access token must carry.
    pub foreign_scope: ForeignScope,
    /// What it gives.
    pub gives: Vec<CeilingEntry>,
}

/// Which scope a foreign access token must carry for a rule to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignScope {
    /// This one.
    Token(ScopeToken),
    /// The administrator said that the scope does not matter.
    Any,
}
