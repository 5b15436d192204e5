//! Client assertions (RFC 7523 section 3): which client one names, whether that client signed it,
//! and whether it is meant for us and for now. That it is used once is for the commit to see.
//!
//! Until the signature is verified every fault is one and the same answer; after that, the client
//! is told what is wrong with its own assertion.

use std::sync::Arc;

use super::{
    authenticate::{Authenticated, ClientRefusal},
    snapshot::Config,
    verify::{foreign::LEEWAY, profiles},
};
use crate::{
    base::{
        claims::{self, ClaimError},
        id::ClientId,
        json::{self, Object},
        text,
        time::{Seconds, Timestamp},
    },
    jose::{self, KeySet},
    model::{
        client::{AssertionRules, AuthMethod, Client},
        effect::Once,
    },
};

/// The longest life of an assertion: as long as common clients make theirs.
pub const MAX_LIFETIME: Seconds = Seconds::new(300);
/// The same for a client that is registered to send old ones.
pub const LEGACY_MAX_LIFETIME: Seconds = Seconds::new(3_600);
/// The longest `jti`, in bytes: room for any identifier, none for a flood.
const MAX_JTI_BYTES: usize = 256;

/// What is wrong with an assertion that its client did sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionFault {
    /// A claim is missing or of the wrong type.
    Claim,
    /// `iss` and `sub` are not both the client.
    Parties,
    /// Not for us alone.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It lives too long.
    TooLong,
    /// Its `jti` names nothing that could be remembered.
    Id,
    /// It says who acts, or what happened: it is something else.
    Kind,
}

impl AssertionFault {
    /// What the client may read.
    pub const fn description(self) -> &'static str {
        match self {
            AssertionFault::Claim => {
                "the client assertion needs iss, sub, aud, exp and jti, each of its own type"
            }
            AssertionFault::Parties => {
                "iss and sub of the client assertion must both be the client_id"
            }
            AssertionFault::Audience => {
                "aud of the client assertion must be the issuer of our metadata and nothing else"
            }
            AssertionFault::Expired => "the client assertion has expired: make one per request",
            AssertionFault::NotYet => "the client assertion is not valid yet: check the clock",
            AssertionFault::TooLong => "exp of the client assertion must be within 300 seconds",
            AssertionFault::Id => {
                "jti of the client assertion must have 1 to 256 printable characters"
            }
            AssertionFault::Kind => "the client assertion carries claims of another kind of token",
        }
    }

    /// The machine code for the audit log.
    pub const fn reason(self) -> &'static str {
        match self {
            AssertionFault::Claim => "client_assertion_claims",
            AssertionFault::Parties => "client_assertion_parties",
            AssertionFault::Audience => "client_assertion_audience",
            AssertionFault::Expired => "client_assertion_expired",
            AssertionFault::NotYet => "client_assertion_not_yet_valid",
            AssertionFault::TooLong => "client_assertion_too_long",
            AssertionFault::Id => "client_assertion_jti",
            AssertionFault::Kind => "client_assertion_kind",
        }
    }
}

impl From<ClaimError> for AssertionFault {
    fn from(_: ClaimError) -> Self {
        AssertionFault::Claim
    }
}

/// An assertion that names a client. Whether it is of that client is not verified.
#[derive(Debug)]
pub struct Claimed<'a> {
    client: Arc<Client>,
    rules: Arc<AssertionRules>,
    unverified: jose::Unverified<'a>,
}

/// Reads, without believing it, whose keys an assertion needs. Only registered clients that
/// authenticate this way are ever looked up; `named` is the `client_id` beside it (CA-4).
pub fn present<'a>(
    config: &Config,
    assertion: &'a str,
    named: Option<&str>,
) -> Result<Claimed<'a>, ClientRefusal> {
    let wrong = ClientRefusal::Wrong;
    let unverified =
        jose::open(assertion, &profiles::CLIENT_ASSERTION).map_err(|_| ClientRefusal::Wrong)?;
    let payload = json::parse(unverified.unverified_payload(), &json::Limits::DEFAULT);
    let payload = payload.map_err(|_| wrong)?;
    let unverified_claims = payload.as_object().ok_or(wrong)?;
    // CA-1: the client is found by `sub`.
    let sub = claims::required_text(unverified_claims, "sub").map_err(|_| wrong)?;
    if named.is_some_and(|named| named != sub) {
        return Err(ClientRefusal::Contradiction);
    }
    let id = ClientId::parse(sub).map_err(|_| wrong)?;
    let client = config.client(&id).ok_or(wrong)?;
    let rules = client.assertions.clone().filter(|_| is_registered(client)).ok_or(wrong)?;
    Ok(Claimed { client: Arc::clone(client), rules, unverified })
}

fn is_registered(client: &Client) -> bool {
    client.auth_method == AuthMethod::PrivateKeyJwt
}

impl Claimed<'_> {
    /// The client that it names.
    pub fn client(&self) -> &ClientId {
        &self.client.id
    }

    /// Where that client's keys are.
    pub fn rules(&self) -> &AssertionRules {
        &self.rules
    }

    /// The key that its header names.
    pub fn kid(&self) -> Option<&str> {
        self.unverified.kid()
    }

    /// Verifies it against its client's keys. It must still be used up: once, and with whatever is
    /// answered.
    pub fn judge(
        self,
        config: &Config,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<(Authenticated, Once), ClientRefusal> {
        let Claimed { client, rules, unverified } = self;
        let opened = unverified.verify_with(keys).map_err(|_| ClientRefusal::Wrong)?;
        let once = judge(config, &client, &rules, &opened.claims, now);
        let once = once.map_err(ClientRefusal::Assertion)?;
        Ok((Authenticated::by_assertion(client)?, once))
    }
}

fn judge(
    config: &Config,
    client: &Client,
    rules: &AssertionRules,
    claims: &Object,
    now: Timestamp,
) -> Result<Once, AssertionFault> {
    let id = client.id.as_str();
    if claims::required_text(claims, "iss")? != id || claims::required_text(claims, "sub")? != id {
        return Err(AssertionFault::Parties);
    }
    if claims.get("act").is_some() || claims.get("events").is_some() {
        return Err(AssertionFault::Kind);
    }
    audience(config, rules, claims)?;
    let expires_at = times(rules, claims, now)?;
    let jti = claims::required_text(claims, "jti")?;
    if !text::is_printable_ascii(jti, MAX_JTI_BYTES) {
        return Err(AssertionFault::Id);
    }
    Ok(Once::assertion(&client.id, jti, expires_at.plus(LEEWAY)))
}

/// CA-2: our issuer as the sole value, compared as a string. Anything else could have been made for
/// another server, and be replayed here. CA-5: old clients name the token endpoint.
fn audience(
    config: &Config,
    rules: &AssertionRules,
    claims: &Object,
) -> Result<(), AssertionFault> {
    let audience = claims::texts(claims, "aud")?;
    let [only] = audience.as_slice() else { return Err(AssertionFault::Audience) };
    let is_token_endpoint = only.strip_prefix(&*config.issuer) == Some("/token");
    if *only == &*config.issuer || (rules.legacy && is_token_endpoint) {
        Ok(())
    } else {
        Err(AssertionFault::Audience)
    }
}

fn times(
    rules: &AssertionRules,
    claims: &Object,
    now: Timestamp,
) -> Result<Timestamp, AssertionFault> {
    let expires_at = claims::required_time(claims, "exp")?;
    if now >= expires_at.plus(LEEWAY) {
        return Err(AssertionFault::Expired);
    }
    let issued_at = claims::time(claims, "iat")?;
    let latest = now.plus(LEEWAY);
    let not_before = claims::time(claims, "nbf")?;
    if issued_at.into_iter().chain(not_before).any(|time| latest < time) {
        return Err(AssertionFault::NotYet);
    }
    let life = if rules.legacy { LEGACY_MAX_LIFETIME } else { MAX_LIFETIME };
    // What does not say when it was made was made now, by a clock that may differ from ours.
    if issued_at.unwrap_or(latest).plus(life) < expires_at || latest.plus(life) < expires_at {
        return Err(AssertionFault::TooLong);
    }
    Ok(expires_at)
}
