//! Our own tokens: call tokens, hand-overs and agent tokens. Signature, kind and claims; never
//! liveness, which changes while the token does not.

use super::{TokenFault, Verified};
use crate::{
    engine::snapshot::Config,
    jose::open,
    model::token::{OurClaims, OurKind},
    oauth::claims,
};

/// Verifies a token of ours, of whichever of our kinds; the caller says which kinds it takes.
pub fn judge(config: &Config, token: &str) -> Result<Verified<OurClaims>, TokenFault> {
    let unverified = open::open(token, &open::OURS)?;
    let typ = unverified.typ().unwrap_or_default().to_owned();
    let opened = unverified.verify_with(config.keys.verifying())?;
    let claims = claims::read(&config.issuer, &typ, &opened.payload_text, &opened.claims)
        .map_err(|error| match error {
            claims::OurClaimsError::Claim(error) => TokenFault::Claim(error),
            claims::OurClaimsError::NotOurs(_) => TokenFault::Kind,
        })?;
    Ok(Verified(claims))
}

impl Verified<OurClaims> {
    /// The claims, if the token is of this kind.
    pub fn of_kind(self, kind: OurKind) -> Result<Verified<OurClaims>, TokenFault> {
        if self.0.kind == kind { Ok(self) } else { Err(TokenFault::Kind) }
    }
}

/// Whether a token, which nobody has verified, says that it is ours: it decides only which verifier
/// is asked, and either one refuses what is not its own.
pub fn claims_to_be(config: &Config, token: &str) -> bool {
    let Ok(unverified) = open::open(token, &open::OURS) else { return false };
    let Ok(unverified_claims) = unverified.unverified_claims() else { return false };
    unverified_claims.get("iss").and_then(crate::base::json::Value::as_str) == Some(&*config.issuer)
}
