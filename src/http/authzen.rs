//! `POST /access/v1/…`: AuthZEN questions of a gateway in, decisions out; and where they are found.

use axum::response::Response;

use super::{client::JsonAsked, reply, routes};
use crate::{oauth::authzen, service::Failure};

/// Decides one question.
pub async fn evaluation(asked: JsonAsked<'_>) -> Result<Response, Failure> {
    let request = authzen::evaluation(&asked.body);
    Ok(reply::json(asked.deputy.evaluate(&asked.caller, &request).await?))
}

/// Decides several questions.
pub async fn evaluations(asked: JsonAsked<'_>) -> Result<Response, Failure> {
    let request = authzen::evaluations(&asked.body);
    Ok(reply::json(asked.deputy.evaluate(&asked.caller, &request).await?))
}

/// The discovery document. AZ-4.
pub fn configuration(asked: &routes::Asked<'_>) -> Response {
    let snapshot = asked.deputy.snapshot();
    reply::public(authzen::configuration(&snapshot.config.public_url))
}
