//! The admin API: `/admin/v1/…`, JSON in and out, problems by RFC 9457. One table of routes; the
//! gate before every handler finds the operator, asks whether the route is open to them, and only
//! then reads the body. Nothing here decides: a handler calls one function of `service`.

mod asked;
mod documents;
mod lookups;
mod reply;
mod routes;
mod secrets;
mod tools;

#[cfg(test)]
mod tests;

use std::pin::Pin;

use axum::{
    Router,
    extract::Request,
    http::{Method, Uri},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
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
pub const IMPORT_BYTES_MAX: usize = 1024 * 1024;

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

/// The router of the whole admin API, to be merged into a listener's.
pub fn router(deputy: &Deputy) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let Ok(filter) = MethodFilter::try_from(route.method.clone()) else { continue };
        let deputy = deputy.clone();
        let handle = move |request: Request| answer(deputy.clone(), route, request);
        router = router.route(route.path, on(filter, handle));
    }
    let router = router.fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    Router::new().nest(PREFIX, router)
}

/// The gate: operator, role, body, handler.
async fn answer(deputy: Deputy, route: &'static Route, request: Request) -> Response {
    let answered = match Asked::read(&deputy, route, request).await {
        Ok(asked) => (route.handler)(deputy, asked).await,
        Err(problem) => Err(problem),
    };
    match answered {
        Ok(reply) => reply.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn not_found(uri: Uri) -> Problem {
    Problem::missing(&format!("path `{}`", uri.path()))
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}
