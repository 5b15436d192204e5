//! `POST /revoke`: a token in, nothing out.

use axum::{body::Body, response::Response};

use super::{client::Asked, form::Names};
use crate::{
    base::secret::Secret,
    oauth::params::{self, REVOKE_MANY, REVOKE_ONCE},
    service::Failure,
};

/// The parameters. `token_type_hint` is only a hint, and not needed.
pub const NAMES: Names = Names { once: REVOKE_ONCE, many: REVOKE_MANY };

/// Takes a token back. RFC 7009 section 2.2: the same answer for a token that was none.
pub async fn revoke(asked: Asked<'_>) -> Result<Response, Failure> {
    let Asked { deputy, caller, form, .. } = asked;
    let token = params::required(&form, "token").map(|token| Secret::new(token.to_owned()));
    drop(form);
    deputy.revoke_token(caller, token).await?;
    Ok(Response::new(Body::empty()))
}
