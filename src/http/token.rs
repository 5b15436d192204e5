//! `POST /token`: a form in, a token out.

#[cfg(test)]
mod tests;

use axum::response::Response;

use super::{client::Asked, form::Names, head, reply};
use crate::{
    base::compose::ObjectWriter,
    engine::exchange::Minted,
    oauth::{
        params::{TOKEN_MANY, TOKEN_ONCE},
        token_request::TokenRequest,
    },
    service::Failure,
};

/// The parameters.
pub const NAMES: Names = Names { once: TOKEN_ONCE, many: TOKEN_MANY };

/// Answers with a token. RFC 6749 section 5.1, RFC 8693 section 2.2.1.
pub async fn token(asked: Asked<'_>) -> Result<Response, Failure> {
    let Asked { deputy, caller, form, headers } = asked;
    let request = TokenRequest::parse(&form);
    drop(form);
    let minted = deputy.token(caller, head::proof(headers), request).await?;
    let mut response = reply::json(body(&minted));
    if minted.is_bound {
        // RFC 9449 section 8.2: the next one, so that no request need be made twice.
        reply::give_nonce(&mut response, &deputy.nonce());
    }
    Ok(response)
}

/// RFC 9449 section 5: `DPoP` says that the token is bound.
const fn token_type(minted: &Minted) -> &'static str {
    match (minted.is_access_token, minted.is_bound) {
        (false, _) => "N_A",
        (true, true) => "DPoP",
        (true, false) => "Bearer",
    }
}

/// `issued_token_type` in every answer: real clients require it, and no other minds it.
fn body(minted: &Minted) -> String {
    let scope = Some(minted.scope.as_str()).filter(|scope| !scope.is_empty());
    let details = Some(minted.details.as_str()).filter(|details| *details != "[]");
    ObjectWriter::new()
        .text("access_token", &minted.token)
        .text("issued_token_type", minted.issued.as_str())
        // RFC 8693 section 2.2.1: `N_A` says that this is no access token.
        .text("token_type", token_type(minted))
        .number("expires_in", minted.expires_in)
        .maybe_text("scope", scope)
        // RFC 9396 section 7.
        .maybe_raw("authorization_details", details)
        .finish()
}
