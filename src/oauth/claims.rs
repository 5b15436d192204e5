//! The claims of our own tokens: written when one is minted, read back when one is presented.
//!
//! RFC 9068 section 2.2 names the required ones. Ours are `dlg` (the delegation ids from root to
//! self), `via` (what proved the actors), `txn`, `sub_id` (RFC 9493) and `rev` (the configuration revisions that the root and the
//! token itself were judged at), so that introspection needs no database.

use std::collections::BTreeMap;

use super::details::{self, RequestedEntry};
use crate::{
    base::{
        claims::{self, ClaimError},
        compose::ObjectWriter,
        id::{ClientId, DelegationId, TransactionId},
        json::{self, Object, Value},
    },
    model::{
        actor::ActorChain,
        authority::{Authority, Entry, Tools},
        client::AuthMethod,
        constraint::{Never, SubjectClaims},
        max_calls::{Limit, MaxCalls},
        scope::Scope,
        subject::Subject,
        token::{Authentication, KeyThumbprint, OurClaims, OurKind},
        uri::Uri,
    },
};

/// `typ` of an access token. RFC 9068 section 2.1.
pub const TYP_ACCESS_TOKEN: &str = "at+jwt";
/// `typ` of a hand-over: usable at no resource server.
pub const TYP_HAND_OVER: &str = "handover+jwt";

/// Why a token that we signed cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OurClaimsError {
    /// A claim is missing or of the wrong type.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A claim has a value that we never write.
    #[error("`{0}` is not one of ours")]
    NotOurs(&'static str),
}

/// The JSON payload of a token.
///
/// `scopes` of onward and handed-over locations are not written: they are those of the tools named.
pub fn write(issuer: &str, claims: &OurClaims) -> String {
    let id = claims.id().map(|id| id.to_string()).unwrap_or_default();
    let path: Vec<String> = claims.path.iter().map(ToString::to_string).collect();
    let details = details::write(&claims.authority);
    let scope = claims.scope.to_string();
    ObjectWriter::new()
        .text("iss", issuer)
        .text("sub", &claims.sub)
        .text("sub_profile", if claims.own { "ai_agent" } else { "user" })
        .raw("sub_id", &sub_id(&claims.subject))
        .text("aud", &claims.audience)
        .text("client_id", claims.client.as_str())
        .maybe_raw("act", claims.chain.act())
        .maybe_text("scope", (!scope.is_empty()).then_some(&scope))
        .maybe_raw("authorization_details", (details != "[]").then_some(&details))
        .number("iat", claims.issued_at.epoch_s())
        .number("exp", claims.expires_at.epoch_s())
        .text("jti", &id)
        .text("txn", &claims.txn.to_string())
        .texts("dlg", path.iter().map(String::as_str))
        .maybe_raw("via", via(claims).as_deref())
        .raw("rev", &format!("[{},{}]", claims.root_revision, claims.revision))
        .maybe_raw("calls", calls(&claims.authority).as_deref())
        .maybe_raw("auth_time", claims.authentication.auth_time.map(|t| t.to_string()).as_deref())
        .maybe_text("acr", claims.authentication.acr.as_deref())
        .maybe_raw("amr", amr(&claims.authentication).as_deref())
        .maybe_raw("cnf", claims.bound.as_ref().map(cnf).as_deref())
        .finish()
}

/// What proved the actors of the chain; the rest of them are asserted.
fn via(claims: &OurClaims) -> Option<String> {
    // The names need no escapes.
    let names: Vec<&str> = claims.via.iter().map(|method| method.as_str()).collect();
    (!names.is_empty()).then(|| format!("[\"{}\"]", names.join("\",\"")))
}

/// The limits behind each `max_calls`, by location: which delegation set which.
fn calls(authority: &Authority) -> Option<String> {
    let limits = |entry: &Entry| {
        let limit = |limit: &Limit| format!("[\"{}\",{}]", limit.delegation, limit.calls);
        let limits: Vec<String> = entry.max_calls.limits().iter().map(limit).collect();
        format!("[{}]", limits.join(","))
    };
    let counted = authority.iter().filter(|(_, entry)| !entry.max_calls.limits().is_empty());
    let calls: Vec<String> = counted
        .map(|(location, entry)| format!("{}:{}", json::quote(location.as_str()), limits(entry)))
        .collect();
    (!calls.is_empty()).then(|| format!("{{{}}}", calls.join(",")))
}

/// The subject as the pair that it is. RFC 9493 section 3.2.3.
pub fn sub_id(subject: &Subject) -> String {
    ObjectWriter::new()
        .text("format", "iss_sub")
        .text("iss", &subject.issuer)
        .text("sub", &subject.sub)
        .finish()
}

fn amr(authentication: &Authentication) -> Option<String> {
    let quoted: Vec<String> = authentication.amr.iter().map(|m| json::quote(m)).collect();
    (!quoted.is_empty()).then(|| format!("[{}]", quoted.join(",")))
}

/// Reads the claims of a token whose signature, by one of our keys, has been verified.
///
/// `typ` is the verified header's; `text` is the payload's exact text, so that `act` is carried
/// byte for byte.
pub fn read(
    issuer: &str,
    typ: &str,
    text: &str,
    object: &Object,
) -> Result<OurClaims, OurClaimsError> {
    if claims::required_text(object, "iss")? != issuer {
        return Err(OurClaimsError::NotOurs("iss"));
    }
    let audience = claims::required_text(object, "aud")?;
    let kind = match typ {
        TYP_HAND_OVER => OurKind::HandOver,
        TYP_ACCESS_TOKEN if audience == issuer => OurKind::Agent,
        TYP_ACCESS_TOKEN => OurKind::Call,
        _ => return Err(OurClaimsError::NotOurs("typ")),
    };
    let scope = claims::text(object, "scope")?.map_or(Ok(Scope::default()), Scope::parse);
    let scope = scope.map_err(|_| OurClaimsError::NotOurs("scope"))?;
    let path = path(object)?;
    let subject = subject(object)?;
    let (root_revision, revision) = revisions(object)?;
    let authority = authority(object, kind, audience, &scope)?;
    let chain = chain(object, text)?;
    let via = proofs(issuer, object, &chain)?;
    Ok(OurClaims {
        kind,
        path,
        txn: claims::required_text(object, "txn")
            .map(TransactionId::parse)?
            .map_err(|_| OurClaimsError::NotOurs("txn"))?,
        own: *subject.issuer == *issuer,
        subject,
        sub: claims::required_text(object, "sub")?.into(),
        audience: audience.into(),
        client: ClientId::parse(claims::required_text(object, "client_id")?)
            .map_err(|_| OurClaimsError::NotOurs("client_id"))?,
        chain,
        via,
        scope,
        authority,
        issued_at: claims::required_time(object, "iat")?,
        expires_at: claims::required_time(object, "exp")?,
        root_revision,
        revision,
        authentication: authentication(object)?,
        bound: bound(object)?,
    })
}

/// RFC 9449 section 6.1. Strict verifiers take no other member beside `jkt`.
pub fn cnf(key: &KeyThumbprint) -> String {
    ObjectWriter::new().text("jkt", key.as_str()).finish()
}

fn bound(object: &Object) -> Result<Option<KeyThumbprint>, OurClaimsError> {
    let Some(cnf) = object.get("cnf") else { return Ok(None) };
    let jkt = cnf.as_object().and_then(|cnf| cnf.get("jkt")?.as_str());
    let key = jkt.and_then(KeyThumbprint::parse);
    key.map(Some).ok_or(OurClaimsError::NotOurs("cnf"))
}

fn path(object: &Object) -> Result<Vec<DelegationId>, OurClaimsError> {
    let not_ours = OurClaimsError::NotOurs("dlg");
    let ids: Result<Vec<DelegationId>, _> =
        claims::texts(object, "dlg")?.into_iter().map(DelegationId::parse).collect();
    let ids = ids.map_err(|_| not_ours.clone())?;
    let jti = DelegationId::parse(claims::required_text(object, "jti")?);
    if ids.is_empty() || ids.len() > OurClaims::MAX_PATH || ids.last().copied() != jti.ok() {
        return Err(not_ours);
    }
    Ok(ids)
}

fn subject(object: &Object) -> Result<Subject, OurClaimsError> {
    let pair = object
        .get("sub_id")
        .and_then(Value::as_object)
        .ok_or(OurClaimsError::Claim(ClaimError::Missing("sub_id")))?;
    Ok(Subject {
        issuer: claims::required_text(pair, "iss")?.into(),
        sub: claims::required_text(pair, "sub")?.into(),
    })
}

fn revisions(object: &Object) -> Result<(u64, u64), OurClaimsError> {
    let not_ours = OurClaimsError::NotOurs("rev");
    let numbers: Vec<u64> = object
        .get("rev")
        .and_then(Value::as_array)
        .map(|a| a.iter().filter_map(Value::as_i64).filter_map(|n| n.try_into().ok()).collect())
        .unwrap_or_default();
    match numbers.as_slice() {
        [root, own] => Ok((*root, *own)),
        _ => Err(not_ours),
    }
}

fn chain(object: &Object, text: &str) -> Result<ActorChain, OurClaimsError> {
    if object.get("act").is_none() {
        return Ok(ActorChain::default());
    }
    let members = json::raw_members(text).map_err(|_| OurClaimsError::NotOurs("act"))?;
    let act = members.iter().find(|(name, _)| name == "act").map(|(_, raw)| *raw);
    ActorChain::from_act(act.unwrap_or_default()).map_err(|_| OurClaimsError::NotOurs("act"))
}

/// What proved the actors: exactly those that are ours, which stand before all others.
fn proofs(
    issuer: &str,
    object: &Object,
    chain: &ActorChain,
) -> Result<Vec<AuthMethod>, OurClaimsError> {
    let via = claims::texts(object, "via")?;
    let via: Option<Vec<AuthMethod>> = via.into_iter().map(AuthMethod::parse).collect();
    let fits = |via: &Vec<AuthMethod>| {
        let (ours, others) = chain.hops().split_at_checked(via.len()).unwrap_or_default();
        ours.len() == via.len()
            && ours.iter().all(|hop| *hop.issuer == *issuer)
            && others.iter().all(|hop| *hop.issuer != *issuer)
    };
    via.filter(fits).ok_or(OurClaimsError::NotOurs("via"))
}

fn authentication(object: &Object) -> Result<Authentication, OurClaimsError> {
    Ok(Authentication {
        auth_time: claims::time(object, "auth_time")?,
        acr: claims::text(object, "acr")?.map(str::to_owned),
        amr: claims::texts(object, "amr")?.into_iter().map(str::to_owned).collect(),
    })
}

/// What the token can do: the entries it names, and at its own audience the scopes it holds.
fn authority(
    object: &Object,
    kind: OurKind,
    audience: &str,
    scope: &Scope,
) -> Result<Authority, OurClaimsError> {
    let not_ours = OurClaimsError::NotOurs("authorization_details");
    let mut entries: BTreeMap<Uri, Entry> = BTreeMap::new();
    if let Some(value) = object.get("authorization_details") {
        for entry in details::read(value).map_err(|_| not_ours.clone())? {
            // What stands in a token was looked up when it was minted.
            let entry = entry.resolve(&SubjectClaims::default()).map_err(|_| not_ours.clone())?;
            let max_calls = max_calls(object, &entry)?;
            let tools = Tools::Named(entry.tools);
            entries.insert(entry.location, Entry { scope: Scope::default(), tools, max_calls });
        }
    }
    if kind == OurKind::Call {
        let audience = Uri::parse(audience).map_err(|_| OurClaimsError::NotOurs("aud"))?;
        let here = entries.entry(audience).or_insert_with(|| Entry {
            scope: Scope::default(),
            tools: Tools::Undetailed,
            max_calls: MaxCalls::default(),
        });
        here.scope = scope.clone();
    }
    Ok(Authority::new(entries))
}

/// The limits behind an entry's `max_calls`. An entry is counted exactly if it says so: a limit that
/// is lost would be no limit.
fn max_calls(object: &Object, entry: &RequestedEntry<Never>) -> Result<MaxCalls, OurClaimsError> {
    let not_ours = || OurClaimsError::NotOurs("calls");
    let calls = object.get("calls").and_then(Value::as_object);
    let limits = match calls.and_then(|calls| calls.get(entry.location.as_str())) {
        None => Some(Vec::new()),
        Some(limits) => limits.as_array().and_then(|limits| limits.iter().map(limit).collect()),
    };
    let limits = limits.and_then(MaxCalls::new).ok_or_else(not_ours)?;
    if limits.narrowest() == entry.max_calls { Ok(limits) } else { Err(not_ours()) }
}

fn limit(value: &Value) -> Option<Limit> {
    let [Value::String(delegation), Value::Number(calls)] = value.as_array()? else { return None };
    let delegation = DelegationId::parse(delegation).ok()?;
    Some(Limit { delegation, calls: calls.as_i64()?.try_into().ok()? })
}
