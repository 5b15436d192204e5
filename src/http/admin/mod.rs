//! The admin API: `/admin/v1/…`, JSON in and out, problems by RFC 9457. One table of routes; the
//! gate before every handler finds the operator, asks whether the route is open to them, and only
//! then reads the body. Nothing here decides: a handler calls one function of `service`.

mod asked;
mod documents;
mod explain;
mod keys;
mod lookups;
mod operators;
mod policies;
mod replay;
mod reply;
mod routes;
mod secrets;
mod simulate;
mod tools;

use std::pin::Pin;

use axum::{
    body::Body,
    http::{HeaderValue, Method, Uri, header::ALLOW},
    response::{IntoResponse, Response},
};

pub use self::{
    asked::Asked,
    reply::{Problem, Reply},
    routes::ROUTES,
};
use crate::service::Deputy;

/// Where the routes of [`ROUTES`] are mounted.
pub const PREFIX: &str = "/admin/v1";

/// What an import may send: the lists of the largest MCP servers with their schemas.
pub const IMPORT_BYTES_MAX: usize = 256 * 1024;

/// What a policy set may send: a little less than what its document may be.
pub const POLICIES_BYTES_MAX: usize = 255 * 1024;

/// One operation of the admin API.
#[derive(Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path below [`PREFIX`], with `{names}`.
    pub path: &'static str,
    /// Its `operationId` in `openapi.yaml`.
    pub operation: &'static str,
    /// Who may use it.
    pub access: Access,
    /// The query parameters that it knows; any other is refused, because a misspelt filter would
    /// look like an answer.
    pub query: &'static [&'static str],
    /// The largest body; `None` where none is read.
    pub body_max: Option<usize>,
    /// What it does.
    pub handler: Handler,
}

/// Which operators a route is open to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every operator.
    Read,
    /// Operators whose role is `admin`.
    Change,
}

/// What a handler answers.
pub type Answered = Result<Reply, Problem>;
/// A handler that runs.
pub type Running = Pin<Box<dyn Future<Output = Answered> + Send>>;
/// A handler: parse, call one function of `service`, reply.
pub type Handler = fn(Deputy, Asked) -> Running;

/// The gate: operator, role, body, handler.
pub(super) async fn answer(
    asked: &super::routes::Asked<'_>,
    body: Body,
    route: &'static Route,
) -> Response {
    let answered = match Asked::read(asked, body, route).await {
        Ok(read) => (route.handler)(asked.deputy.clone(), read).await,
        Err(problem) => Err(problem),
    };
    match answered {
        Ok(reply) => reply.into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// There is no such path in the admin API.
pub(super) fn not_found(uri: &Uri) -> Response {
    Problem::missing(&format!("path `{}`", uri.path())).into_response()
}

/// There is such a path, but it has other methods.
pub(super) fn method_not_allowed(allow: &str) -> Response {
    let mut response = Problem::method_not_allowed().into_response();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The body as text.
fn text(asked: &Asked) -> Result<&str, Problem> {
    std::str::from_utf8(&asked.body)
        .map_err(|_| Problem::malformed("the body is not UTF-8".to_owned()))
}
