//! `POST /introspect`: a token and perhaps a call in, an answer for this caller out.

use axum::response::Response;

use super::{client::Asked, form::Names, reply};
use crate::{
    oauth::{
        introspection::Question,
        params::{INTROSPECT_MANY, INTROSPECT_ONCE},
    },
    service::Failure,
};

/// The parameters.
pub const NAMES: Names = Names { once: INTROSPECT_ONCE, many: INTROSPECT_MANY };

/// Answers whether a token is live and, if a call is named, whether it may be made. RFC 7662.
pub async fn introspect(asked: Asked<'_>) -> Result<Response, Failure> {
    let Asked { deputy, caller, form } = asked;
    let question = Question::parse(&form);
    drop(form);
    Ok(reply::json(deputy.introspect(caller, question).await?))
}
