//! Whether this process lives, and whether it can work.

use axum::response::Response;

use super::{error, reply, routes::Asked};

/// The process answers: all that `live` says.
pub fn live(_asked: &Asked<'_>) -> Response {
    reply::json(r#"{"status":"live"}"#)
}

/// The database answers as well.
pub async fn ready(asked: Asked<'_>) -> Response {
    if asked.deputy.is_ready().await {
        reply::json(r#"{"status":"ready"}"#)
    } else {
        error::not_ready(r#"{"status":"unavailable"}"#)
    }
}
