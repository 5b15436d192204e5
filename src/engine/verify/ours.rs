//! Our own tokens: call tokens, hand-overs and agent tokens. Signature, kind and claims; never
//! liveness, which changes while the token does not.

use super::{TokenFault, Verified, profiles};
use crate::{
    base::json::{self, Value},
    engine::snapshot::Config,
    jose,
    model::token::OurClaims,
    oauth::claims,
};

/// Verifies a token of ours, of whichever of our kinds; the caller says which kinds it takes.
pub fn judge(config: &Config, token: &str) -> Result<Verified<OurClaims>, TokenFault> {
    let opened = jose::open(token, &profiles::OURS)?.verify_with(config.keys.verifying())?;
    let typ = opened.typ.unwrap_or_default();
    let claims = claims::read(&config.issuer, typ, &opened.payload_text, &opened.claims).map_err(
        |error| match error {
            claims::OurClaimsError::Claim(error) => TokenFault::Claim(error),
            claims::OurClaimsError::NotOurs(_) => TokenFault::Kind,
        },
    )?;
    Ok(Verified(claims))
}

/// Whether a token, which nobody has verified, says that it is ours: it decides only which verifier
/// is asked, and either one refuses what is not its own.
pub fn claims_to_be(config: &Config, token: &str) -> bool {
    let Ok(unverified) = jose::open(token, &profiles::OURS) else { return false };
    let unverified_payload = json::parse(unverified.unverified_payload(), &json::Limits::DEFAULT);
    let Ok(Value::Object(unverified_claims)) = unverified_payload else { return false };
    unverified_claims.get("iss").and_then(Value::as_str) == Some(&*config.issuer)
}
