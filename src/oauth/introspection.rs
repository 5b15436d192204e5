//! Introspection (RFC 7662) with the optional call context that its section 2.1 allows: the
//! question, and the only three shapes of answer.

use super::{
    claims::{cnf, sub_id},
    decision::{self, Hint},
    details,
    params::{ParamError, Params, required},
};
use crate::{
    base::{
        compose::ObjectWriter,
        id::ClientId,
        secret::{Fingerprint, Lent},
        time::Timestamp,
    },
    model::{
        actor::Provenance,
        call::{Call, Decision, ShownProof},
        token::OurClaims,
    },
};

/// What a resource server asks.
#[derive(Debug)]
pub struct Question<'a> {
    /// The token it was shown.
    pub token: Lent<'a>,
    /// The resource it asks for, as sent; needed from a client that owns several.
    pub resource: Option<&'a str>,
    /// The call it is about to make.
    pub call: Option<Call<'a>>,
}

impl<'a> Question<'a> {
    /// Reads the question.
    pub fn parse(params: &'a impl Params) -> Result<Question<'a>, ParamError> {
        // RFC 7662 section 2.1: `token` is REQUIRED; `token_type_hint` is only a hint.
        let token = Lent::new(required(params, "token")?);
        for name in ["method", "path", "query", "body"] {
            if params.one(name).is_some() {
                // Answering as if nothing had been asked would fail open.
                return Err(ParamError::Unacceptable {
                    name,
                    problem: "is not decided by this version; name the operation in `tool`",
                });
            }
        }
        let mut resources = params.all("resource").into_iter();
        let resource = resources.next();
        if resources.next().is_some() {
            return Err(ParamError::Unacceptable {
                name: "resource",
                problem: "must be sent once here",
            });
        }
        let call = call(params, token)?;
        Ok(Question { token, resource, call })
    }
}

fn call<'a>(params: &'a impl Params, token: Lent<'_>) -> Result<Option<Call<'a>>, ParamError> {
    let Some(tool) = params.one("tool") else {
        for name in ["arguments", "call_id", "dpop_proof", "htm", "htu"] {
            if params.one(name).is_some() {
                return Err(ParamError::Unacceptable { name, problem: "needs `tool` beside it" });
            }
        }
        return Ok(None);
    };
    let call_id = params.one("call_id");
    if call_id.is_some_and(|id| id.len() > Call::MAX_CALL_ID_BYTES) {
        return Err(ParamError::Unacceptable {
            name: "call_id",
            problem: "must be at most 128 characters",
        });
    }
    Ok(Some(Call {
        tool: tool.into(),
        arguments: params.one("arguments").map(Into::into),
        call_id: call_id.map(Into::into),
        proof: proof(params, token)?,
    }))
}

/// RFC 9449 section 7: a proof is for one request, so the server says which one it came with.
fn proof(params: &impl Params, token: Lent<'_>) -> Result<Option<ShownProof>, ParamError> {
    let Some(jwt) = params.one("dpop_proof") else {
        let alone = ["htm", "htu"].into_iter().find(|name| params.one(name).is_some());
        return alone.map_or(Ok(None), |name| {
            Err(ParamError::Unacceptable { name, problem: "needs `dpop_proof` beside it" })
        });
    };
    Ok(Some(ShownProof {
        jwt: jwt.to_owned(),
        method: required(params, "htm")?.to_owned(),
        uri: required(params, "htu")?.to_owned(),
        token: Fingerprint::of(token.expose().as_bytes()),
    }))
}

/// The answer for everything that is not live for this caller. RFC 7662 section 2.2: no other
/// member, so that nobody learns why (IN-3).
pub const INACTIVE: &str = r#"{"active":false}"#;

/// `typ` of a signed answer, and with `application/` before it its media type. RFC 9701 section 5.
pub const TYP_SIGNED: &str = "token-introspection+jwt";

/// The claims of a signed answer. RFC 9701 section 5: `aud` is the server that asked, and nothing
/// of the answer stands at the top, so that it never passes for a token.
pub fn signed(issuer: &str, asker: &ClientId, answer: &str, now: Timestamp) -> String {
    ObjectWriter::new()
        .text("iss", issuer)
        .text("aud", asker.as_str())
        .number("iat", now.epoch_s())
        .raw("token_introspection", answer)
        .finish()
}

/// The answer for a live token. It says what the token says, and nothing that changes.
pub fn active(issuer: &str, claims: &OurClaims) -> String {
    let scope = claims.scope.to_string();
    let details = own_details(claims);
    let authentication = &claims.authentication;
    let mut answer = ObjectWriter::new()
        .flag("active", true)
        .text("iss", issuer)
        .text("sub", &claims.sub)
        .text("sub_profile", if claims.own { "ai_agent" } else { "user" })
        .raw("sub_id", &sub_id(&claims.subject))
        .text("aud", &claims.audience)
        .text("client_id", claims.client.as_str())
        .maybe_raw("act", claims.chain.act())
        .maybe_raw("chain", chain(claims).as_deref())
        .text("scope", &scope)
        .maybe_raw("authorization_details", details.as_deref())
        .text("token_type", if claims.bound.is_some() { "DPoP" } else { "Bearer" })
        .maybe_raw("cnf", claims.bound.as_ref().map(cnf).as_deref())
        .number("iat", claims.issued_at.epoch_s())
        .number("exp", claims.expires_at.epoch_s())
        .maybe_text("jti", claims.id().map(|id| id.to_string()).as_deref())
        .text("txn", &claims.txn.to_string())
        .maybe_raw("auth_time", authentication.auth_time.map(|t| t.to_string()).as_deref())
        .maybe_text("acr", authentication.acr.as_deref());
    if !authentication.amr.is_empty() {
        answer = answer.texts("amr", authentication.amr.iter().map(String::as_str));
    }
    if !claims.groups.is_empty() {
        answer = answer.texts("groups", claims.groups.iter().map(AsRef::as_ref));
    }
    answer.finish()
}

/// The answer for a live token whose holder may make this call: `active` with the decision.
pub fn allowed(active: &str, claims: &OurClaims, decision: &Decision) -> String {
    ObjectWriter::after(active).raw("decision", &decision::write(claims, decision, None)).finish()
}

/// The actors with how we know of each: it authenticated here, or its issuer says so.
fn chain(claims: &OurClaims) -> Option<String> {
    let known = claims.chain.known(&claims.via).map(|(actor, proof)| {
        let via = proof.map_or(&*claims.subject.issuer, |method| method.as_str());
        hop(&actor.sub, &actor.issuer, Provenance::by(proof), Some(via))
    });
    let hops: Vec<String> = known.collect();
    (!hops.is_empty()).then(|| format!("[{}]", hops.join(",")))
}

/// One actor of a chain, wherever one is shown.
pub fn hop(sub: &str, issuer: &str, provenance: Provenance, via: Option<&str>) -> String {
    ObjectWriter::new()
        .text("sub", sub)
        .text("iss", issuer)
        .text("provenance", provenance.as_str())
        .maybe_text("via", via)
        .finish()
}

/// The answer for a live token whose holder may not make this call. `active` answers for the call.
pub fn denied(claims: &OurClaims, decision: &Decision, hint: Option<&Hint>) -> String {
    let decision = decision::write(claims, decision, hint);
    ObjectWriter::new().flag("active", false).raw("decision", &decision).finish()
}

/// RFC 9396 section 9: what the server asking may see is what is meant for it.
fn own_details(claims: &OurClaims) -> Option<String> {
    let here = claims.authority.at_text(&claims.audience)?;
    details::write_entry(&claims.audience, here).map(|entry| format!("[{entry}]"))
}
