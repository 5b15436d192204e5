//! `POST /introspect`: a token and perhaps a call in, an answer for this caller out.

use axum::response::Response;

use super::{client::Asked, form::Names, head, reply};
use crate::{
    oauth::{
        introspection::Question,
        params::{INTROSPECT_MANY, INTROSPECT_ONCE},
    },
    service::Failure,
};

/// The parameters.
pub const NAMES: Names = Names { once: INTROSPECT_ONCE, many: INTROSPECT_MANY };

/// Answers whether a token is live and, if a call is named, whether it may be made. RFC 7662;
/// signed (RFC 9701) only for who asks for that by name, because most verifiers read nothing else
/// than JSON.
pub async fn introspect(asked: Asked<'_>) -> Result<Response, Failure> {
    let Asked { deputy, caller, form, headers } = asked;
    let question = Question::parse(&form);
    if head::prefers(headers, reply::SIGNED_INTROSPECTION, reply::JSON) {
        let answer = Box::pin(deputy.introspect_signed(&caller, &question)).await?;
        return Ok(reply::signed_introspection(answer));
    }
    Ok(reply::json(deputy.introspect(&caller, &question).await?))
}
