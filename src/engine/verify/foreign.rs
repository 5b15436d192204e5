//! Tokens of trusted issuers: access tokens and ID tokens, verified by their declared type and
//! never by sniffing (TX-6). What comes out says who the user is and nothing about what may be done.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{TokenFault, Verified, profiles};
use crate::{
    base::{
        claims,
        id::ClientId,
        json::{self, Object, Value},
        secret::Fingerprint,
        text,
        time::{Seconds, Timestamp},
    },
    engine::snapshot::Config,
    jose::{self, Algorithm, KeySet, Opened, Profile},
    model::{
        actor::ActorChain,
        issuer::{ForeignKind, TrustedIssuer},
        scope::Scope,
        subject::Subject,
        token::{Authentication, ForeignClaims, KeyThumbprint},
    },
    oauth::claims::TYP_ACCESS_TOKEN,
};

/// Clocks of issuers may differ from ours by this much. JW-10: at most 60 s.
pub const LEEWAY: Seconds = Seconds::new(60);
/// A token that claims to live longer than this is a mistake or an attack.
pub const MAX_LIFETIME: Seconds = Seconds::new(86_400);

/// Whose a token says it is. Nothing about it is verified.
#[derive(Debug)]
pub enum Claimed<'a> {
    /// It names us: our own verifier must be asked, and refuses what is not ours.
    Ours,
    /// It names a trusted issuer.
    Foreign(Box<Presented<'a>>),
}

/// A token that names a registered, enabled issuer. Whether it is of that issuer is not verified.
#[derive(Debug)]
pub struct Presented<'a> {
    token: &'a str,
    kind: ForeignKind,
    issuer: Arc<TrustedIssuer>,
    unverified: jose::Unverified<'a>,
}

/// Reads, without believing it, whose keys a token needs. Only registered issuers are ever asked.
pub fn present<'a>(
    config: &Config,
    token: &'a str,
    kind: ForeignKind,
) -> Result<Claimed<'a>, TokenFault> {
    let unverified = jose::open(token, profile(kind))?;
    let unverified_claims = json::parse(unverified.unverified_payload(), &json::Limits::DEFAULT);
    let unverified_claims = unverified_claims.map_err(|_| TokenFault::Kind)?;
    let unverified_claims = unverified_claims.as_object().ok_or(TokenFault::Kind)?;
    let unverified_issuer = claims::required_text(unverified_claims, "iss")?;
    if kind == ForeignKind::AccessToken && unverified_issuer == &*config.issuer {
        return Ok(Claimed::Ours);
    }
    // JW-3: `iss` is compared exactly, and selects the only keys that may verify the token.
    let issuer = config.issuer(unverified_issuer).filter(|i| i.enabled);
    let issuer = Arc::clone(issuer.ok_or(TokenFault::Issuer)?);
    Ok(Claimed::Foreign(Box::new(Presented { token, kind, issuer, unverified })))
}

impl Presented<'_> {
    /// The registered issuer that the token names.
    pub const fn issuer(&self) -> &Arc<TrustedIssuer> {
        &self.issuer
    }

    /// The key that its header names.
    pub fn kid(&self) -> Option<&str> {
        self.unverified.kid()
    }

    /// Verifies it against its issuer's keys.
    pub fn judge(
        self,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Verified<ForeignClaims>, TokenFault> {
        let Presented { token, kind, issuer, unverified } = self;
        // JW-1: the allow-list is the issuer's, compared by exact name.
        if !issuer.algorithms.iter().any(|a| Algorithm::from_name(a) == Some(unverified.alg())) {
            return Err(TokenFault::Key);
        }
        let opened = unverified.verify_with(keys)?;
        judge(&issuer, token, kind, opened, now)
    }
}

/// Judges what a token of `issuer` says, now that its signature is verified.
fn judge(
    issuer: &TrustedIssuer,
    token: &str,
    kind: ForeignKind,
    opened: Opened,
    now: Timestamp,
) -> Result<Verified<ForeignClaims>, TokenFault> {
    let typed = opened.typ == Some(TYP_ACCESS_TOKEN);
    let claims = &opened.claims;
    if claims::required_text(claims, "iss")? != &*issuer.url {
        return Err(TokenFault::Issuer);
    }
    is_of_kind(issuer, kind, claims, typed)?;
    let (issued_at, expires_at) = times(issuer, claims, now)?;
    required_claims(issuer, claims)?;
    Ok(Verified(ForeignClaims {
        kind,
        subject: subject(issuer, claims)?,
        token_id: token_id(claims, token)?,
        presenter: presenter(claims)?,
        audience: claims::texts(claims, "aud")?.into_iter().map(str::to_owned).collect(),
        scope: scope(claims)?,
        asserted: asserted(issuer, &opened)?,
        may_act: may_act(claims)?,
        issued_at,
        expires_at,
        authentication: authentication(claims)?,
        bound: bound(claims)?,
        claims: opened.claims,
    }))
}

const fn profile(kind: ForeignKind) -> &'static Profile {
    match kind {
        ForeignKind::AccessToken => &profiles::FOREIGN_ACCESS_TOKEN,
        ForeignKind::IdToken => &profiles::ID_TOKEN,
    }
}

/// Kinds are mutually exclusive (JW-5): an ID token never passes as an access token, nor the
/// reverse, nor an event as either.
fn is_of_kind(
    issuer: &TrustedIssuer,
    kind: ForeignKind,
    claims: &Object,
    typed: bool,
) -> Result<(), TokenFault> {
    if claims.get("events").is_some() {
        return Err(TokenFault::Kind);
    }
    match kind {
        ForeignKind::IdToken if !issuer.id_tokens => Err(TokenFault::KindNotAccepted),
        // An untyped access token of the same issuer must not pass for an ID token.
        ForeignKind::IdToken if has_marker(issuer, claims) || has_scope(claims) => {
            Err(TokenFault::Kind)
        }
        ForeignKind::IdToken => Ok(()),
        ForeignKind::AccessToken => {
            let rules = issuer.access_tokens.as_ref().ok_or(TokenFault::KindNotAccepted)?;
            if !typed && !has_marker(issuer, claims) {
                return Err(TokenFault::Kind);
            }
            // RFC 9068 section 4: `aud` MUST contain an identifier that is meant for us.
            let audience = claims::texts(claims, "aud")?;
            if audience.iter().any(|a| rules.audiences.contains(*a)) {
                Ok(())
            } else {
                Err(TokenFault::Audience)
            }
        }
    }
}

/// No ID token carries the scope of an access token.
fn has_scope(claims: &Object) -> bool {
    claims.get("scope").is_some() || claims.get("scp").is_some()
}

fn has_marker(issuer: &TrustedIssuer, claims: &Object) -> bool {
    let marker = issuer.access_tokens.as_ref().and_then(|r| r.untyped_marker.as_deref());
    marker.is_some_and(|name| claims.get(name).is_some())
}

fn times(
    issuer: &TrustedIssuer,
    claims: &Object,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), TokenFault> {
    let issued_at = claims::required_time(claims, "iat")?;
    let expires_at = claims::required_time(claims, "exp")?;
    if now >= expires_at.plus(LEEWAY) {
        return Err(TokenFault::Expired);
    }
    let not_before = claims::time(claims, "nbf")?.unwrap_or(issued_at);
    let latest = now.plus(LEEWAY);
    if latest < not_before || latest < issued_at {
        return Err(TokenFault::NotYet);
    }
    if issued_at.plus(issuer.max_age) <= now || issued_at.plus(MAX_LIFETIME) < expires_at {
        return Err(TokenFault::TooOld);
    }
    Ok((issued_at, expires_at))
}

/// Whether the claims that every token of the issuer must carry are there.
pub(in crate::engine) fn required_claims(
    issuer: &TrustedIssuer,
    claims: &Object,
) -> Result<(), TokenFault> {
    let unmet = issuer.required_claims.iter().find(|(name, values)| !matches(claims, name, values));
    unmet.map_or(Ok(()), |(name, _)| Err(TokenFault::RequiredClaim(name.clone())))
}

/// Whether a claim has one of the values, or is an array that contains one of them.
pub fn matches(claims: &Object, name: &str, values: &[Value]) -> bool {
    match claims.get(name) {
        None => false,
        Some(Value::Array(have)) => have.iter().any(|v| values.contains(v)),
        Some(have) => values.contains(have),
    }
}

fn subject(issuer: &TrustedIssuer, claims: &Object) -> Result<Subject, TokenFault> {
    let sub = claims::required_text(claims, "sub")?;
    // BCP-5: no subject may be taken for a client, nor for another issuer's subject.
    let looks_like_a_client = sub.starts_with(ClientId::PREFIX);
    if looks_like_a_client || !text::is_printable_ascii(sub, Subject::MAX_BYTES) {
        return Err(TokenFault::Subject);
    }
    Ok(Subject { issuer: Arc::clone(&issuer.url), sub: sub.into() })
}

/// `jti`, or a digest of what was signed. Signature bytes are left out: an ECDSA signature has a
/// twin that is valid too, and must not make a second token of it.
fn token_id(claims: &Object, token: &str) -> Result<String, TokenFault> {
    if let Some(jti) = claims::text(claims, "jti")?.filter(|jti| !jti.is_empty()) {
        return Ok(format!("jti:{jti}"));
    }
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let digest = Fingerprint::of(signed.as_bytes());
    Ok(format!("sha256:{}", URL_SAFE_NO_PAD.encode(digest.as_bytes())))
}

fn presenter(claims: &Object) -> Result<Option<String>, TokenFault> {
    let client = claims::text(claims, "client_id")?;
    let authorized = claims::text(claims, "azp")?;
    Ok(client.or(authorized).map(str::to_owned))
}

/// `scope` as text (RFC 9068) or the `scp` that some issuers send, as text or array.
pub(in crate::engine) fn scope(claims: &Object) -> Result<Scope, TokenFault> {
    let name = if claims.get("scope").is_some() { "scope" } else { "scp" };
    let malformed = TokenFault::Claim(claims::ClaimError::Malformed(name));
    match claims.get(name) {
        None => Ok(Scope::default()),
        Some(Value::String(text)) => Scope::parse(text).map_err(|_| malformed),
        Some(Value::Array(_)) => Scope::of(claims::texts(claims, name)?).map_err(|_| malformed),
        Some(_) => Err(malformed),
    }
}

fn asserted(issuer: &TrustedIssuer, opened: &Opened) -> Result<ActorChain, TokenFault> {
    if opened.claims.get("act").is_none() {
        return Ok(ActorChain::default());
    }
    if !issuer.asserts_actors {
        return Err(TokenFault::ForeignActor);
    }
    let members = json::raw_members(&opened.payload_text);
    let members = members.map_err(|_| TokenFault::ForeignActor)?;
    let act = members.iter().find(|(name, _)| name == "act").map(|(_, raw)| *raw);
    ActorChain::from_act(act.unwrap_or_default()).map_err(|_| TokenFault::ForeignActor)
}

/// RFC 8693 section 4.4, read strictly: one that cannot be understood fails closed.
fn may_act(claims: &Object) -> Result<Option<(Option<String>, String)>, TokenFault> {
    let Some(value) = claims.get("may_act") else { return Ok(None) };
    let malformed = TokenFault::Claim(claims::ClaimError::Malformed("may_act"));
    let object = value.as_object().ok_or(malformed)?;
    let issuer = claims::text(object, "iss")?.map(str::to_owned);
    Ok(Some((issuer, claims::required_text(object, "sub")?.to_owned())))
}

/// The key that a bound token is bound to. It must be proved when the token is exchanged, and what
/// cannot be proved here (a certificate, several methods at once) is refused.
fn bound(claims: &Object) -> Result<Option<KeyThumbprint>, TokenFault> {
    let Some(cnf) = claims.get("cnf") else { return Ok(None) };
    let cnf = cnf.as_object().ok_or(TokenFault::Bound)?;
    let jkt = claims::text(cnf, "jkt")?.and_then(KeyThumbprint::parse);
    match (jkt, cnf.iter().count()) {
        (Some(jkt), 1) => Ok(Some(jkt)),
        (Some(_) | None, _) => Err(TokenFault::Bound),
    }
}

/// When and how the person was authenticated.
pub(in crate::engine) fn authentication(claims: &Object) -> Result<Authentication, TokenFault> {
    Ok(Authentication {
        auth_time: claims::time(claims, "auth_time")?,
        acr: claims::text(claims, "acr")?.map(str::to_owned),
        amr: claims::texts(claims, "amr")?.into_iter().map(str::to_owned).collect(),
    })
}
