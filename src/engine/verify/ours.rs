//! Our own tokens: call tokens, hand-overs and agent tokens. Signature, kind and claims; never
//! liveness, which changes while the token does not.

use super::{TokenFault, Verified, profiles};
use crate::{engine::snapshot::Config, jose, model::token::OurClaims, oauth::claims};

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
