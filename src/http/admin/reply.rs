//! Answers of the admin API: documents with their version, and problems (RFC 9457). No answer may
//! be stored by a cache, because some of them hold a secret.

#[cfg(test)]
mod tests;

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{
        HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
        },
    },
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{interval, timeout},
};

use crate::{
    base::{compose::ObjectWriter, json::Object},
    http::{reply::JSON, serve::body::BodyError},
    model::policy::Fault,
    registry,
    service::{
        self, RETRY_AFTER_S,
        admin::{
            PlacedFault, Refused, Stored,
            export::{BreaksOff, Pieces},
        },
    },
};

/// An answer that carries out what was asked.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Option<String>,
    headers: Vec<(HeaderName, String)>,
    /// What is sent instead of a body while it is made, and what it is.
    pieces: Option<(&'static str, Pieces)>,
}

const JSON_LINES: &str = "application/x-ndjson";

/// How long an answer that may take long is waited for before it is begun, and how often one that is
/// begun gives a sign of life. Half of the least that a request or an idle connection may be given.
const AT_ONCE: Duration = Duration::from_millis(500);
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);

/// A body that is sent while it is made; the connection breaks off if that fails.
struct Lines(Pieces);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = BreaksOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BreaksOff>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(|text| Frame::data(Bytes::from(text)))))
    }
}

impl Reply {
    /// 200 with a JSON text.
    pub fn ok(json: String) -> Reply {
        Reply { status: StatusCode::OK, body: Some(json), headers: Vec::new(), pieces: None }
    }

    /// 200 with JSON lines that are still being read.
    pub fn lines(pieces: Pieces) -> Reply {
        Reply { pieces: Some((JSON_LINES, pieces)), ..Reply::ok(String::new()) }
    }

    /// 200 with a JSON text that may take minutes to make. Then it is preceded by blanks, and breaks
    /// off where it cannot be made after all.
    pub async fn late<M>(making: M) -> Result<Reply, Problem>
    where
        M: Future<Output = Result<String, Problem>> + Send + 'static,
    {
        Reply::late_by(making, AT_ONCE, SIGN_OF_LIFE).await
    }

    async fn late_by<M>(making: M, at_once: Duration, every: Duration) -> Result<Reply, Problem>
    where
        M: Future<Output = Result<String, Problem>> + Send + 'static,
    {
        // A task of its own, so that it never stands still in the middle of something; aborted with
        // the set.
        let mut makers = JoinSet::new();
        makers.spawn(making);
        if let Ok(made) = timeout(at_once, makers.join_next()).await {
            return made_of(made).map(Reply::ok);
        }
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut signs = interval(every);
            let made = loop {
                tokio::select! {
                    made = makers.join_next() => break made_of(made),
                    // Nothing goes on being made for somebody who has gone.
                    () = sender.closed() => return,
                    // Whoever has not taken the last one needs no other.
                    _ = signs.tick() => { _ = sender.try_send(Ok(" ".to_owned())); }
                }
            };
            _ = sender.send(made.map_err(|_untold| BreaksOff)).await;
        });
        Ok(Reply { pieces: Some((JSON, pieces)), ..Reply::ok(String::new()) })
    }

    /// 204.
    pub const fn done() -> Reply {
        Reply { status: StatusCode::NO_CONTENT, body: None, headers: Vec::new(), pieces: None }
    }

    /// 200 with a document, its version and its `ETag`.
    pub fn document(stored: &Stored) -> Reply {
        Reply::ok(with_version(stored).to_json()).tagged(stored.version)
    }

    /// With the `ETag` of a version.
    #[must_use]
    pub fn tagged(self, version: u64) -> Reply {
        self.with(ETAG, format!("\"{version}\""))
    }

    /// 201, and where the new thing is found.
    #[must_use]
    pub fn created(self, location: String) -> Reply {
        Reply { status: StatusCode::CREATED, ..self }.with(LOCATION, location)
    }

    /// A page of documents.
    pub fn documents(items: &[Stored], next: Option<&str>) -> Reply {
        let items = items.iter().map(|stored| with_version(stored).to_json());
        Reply::list(&items.collect::<Vec<_>>(), next)
    }

    /// A page of JSON texts.
    pub fn list(items: &[String], next: Option<&str>) -> Reply {
        let items = format!("[{}]", items.join(","));
        Reply::ok(ObjectWriter::new().raw("items", &items).maybe_text("next", next).finish())
    }

    fn with(mut self, name: HeaderName, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }
}

/// What was made; a maker that panicked has made nothing.
fn made_of(made: Option<Result<Result<String, Problem>, JoinError>>) -> Result<String, Problem> {
    let internal = |cause| Problem::from(service::Fault::Internal("an answer", cause));
    match made {
        Some(Ok(made)) => made,
        Some(Err(panicked)) => Err(internal(Some(Box::new(panicked)))),
        None => Err(internal(None)),
    }
}

/// A document's members and its version.
pub fn with_version(stored: &Stored) -> Object {
    let mut document = stored.body.clone();
    document.insert("version", i64::try_from(stored.version).unwrap_or(i64::MAX));
    document
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let content = self.body.as_ref().map(|_| JSON);
        if let Some((content, pieces)) = self.pieces {
            let mut response = respond(self.status, Some(content), String::new(), self.headers);
            *response.body_mut() = Body::new(Lines(pieces));
            return response;
        }
        respond(self.status, content, self.body.unwrap_or_default(), self.headers)
    }
}

/// Why something was not carried out, for a person and for a program.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// The anchor in `docs/ERRORS.md`.
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<Wrong>,
}

/// One thing that is wrong with a document.
#[derive(Debug)]
struct Wrong {
    field: String,
    message: String,
    /// Where in a text of policies: its name, the line, the column.
    place: Option<(String, u32, u32)>,
}

impl Problem {
    const fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: String,
    ) -> Problem {
        Problem { status, kind, title, detail, errors: Vec::new() }
    }

    /// 400: the document is refused, with every problem of it.
    pub fn invalid(problems: Vec<registry::Problem>) -> Problem {
        let detail = match problems.as_slice() {
            [only] => only.to_string(),
            all => format!("{} problems; nothing was changed", all.len()),
        };
        Problem::wrong(detail, problems.into_iter().map(Wrong::from).collect())
    }

    /// 400: the policy set is refused, with every fault of it.
    fn faulty(faults: Vec<PlacedFault>) -> Problem {
        let detail = match faults.as_slice() {
            [only] => only.fault.to_string(),
            all => format!("{} faults; nothing was changed", all.len()),
        };
        let wrong = faults.into_iter().map(|placed| Wrong::of(placed.field, placed.fault));
        Problem::wrong(detail, wrong.collect())
    }

    fn wrong(detail: String, errors: Vec<Wrong>) -> Problem {
        let title = "the document is refused";
        Problem {
            errors,
            ..Problem::new(StatusCode::BAD_REQUEST, "invalid-document", title, detail)
        }
    }

    /// 400: something else about the request.
    pub const fn malformed(detail: String) -> Problem {
        let title = "the request cannot be read";
        Problem::new(StatusCode::BAD_REQUEST, "malformed-request", title, detail)
    }

    /// 400: a query parameter.
    pub fn parameter(name: &str, why: impl Into<String>) -> Problem {
        Problem::malformed(format!("the query parameter `{name}`: {}", why.into()))
    }

    /// 401: no operator has this token.
    pub fn unauthenticated() -> Problem {
        let detail = "send `Authorization: Bearer` with an admin token; the first one is in the \
                      file `admin-token` of the keys directory";
        let title = "an admin token is needed";
        Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", title, detail.to_owned())
    }

    /// 403: the operator may only read.
    pub fn forbidden() -> Problem {
        let detail = "this operator is an auditor and may only read";
        let title = "not open to this operator";
        Problem::new(StatusCode::FORBIDDEN, "forbidden", title, detail.to_owned())
    }

    /// 404: what was looked for is not there.
    pub fn missing(what: &str) -> Problem {
        let detail = format!("there is no {what}");
        Problem::new(StatusCode::NOT_FOUND, "not-found", "not found", detail)
    }

    /// 405.
    pub fn method_not_allowed() -> Problem {
        let detail = "this path has other methods; they are in the field `Allow`".to_owned();
        let title = "the method is not allowed";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail)
    }

    /// 415.
    pub fn media_type() -> Problem {
        let detail = "send `Content-Type: application/json`".to_owned();
        let title = "the body is not JSON";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", title, detail)
    }

    /// What it says, as JSON.
    fn json(&self) -> String {
        let errors: Vec<String> = self.errors.iter().map(Wrong::json).collect();
        let errors = (!errors.is_empty()).then(|| format!("[{}]", errors.join(",")));
        ObjectWriter::new()
            .text("type", &format!("docs/ERRORS.md#{}", self.kind))
            .text("title", self.title)
            .number("status", i64::from(self.status.as_u16()))
            .text("detail", &self.detail)
            .maybe_raw("errors", errors.as_deref())
            .finish()
    }
}

impl From<registry::Problem> for Wrong {
    fn from(problem: registry::Problem) -> Self {
        Wrong { field: problem.field, message: problem.message, place: None }
    }
}

impl Wrong {
    fn of(field: String, fault: Fault) -> Wrong {
        let Fault { file, line, column, message } = fault;
        Wrong { field, message, place: Some((file, line, column)) }
    }

    fn json(&self) -> String {
        let writer = ObjectWriter::new().text("field", &self.field).text("message", &self.message);
        match &self.place {
            None => writer.finish(),
            Some((file, line, column)) => writer
                .text("file", file)
                .count("line", (*line).into())
                .count("column", (*column).into())
                .finish(),
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let (status, kind, title) = match error {
            BodyError::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is too large")
            }
            BodyError::Slow => {
                (StatusCode::REQUEST_TIMEOUT, "too-slow", "the body came too slowly")
            }
            BodyError::Broken => {
                (StatusCode::BAD_REQUEST, "malformed-request", "the request cannot be read")
            }
        };
        Problem::new(status, kind, title, error.to_string())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let conflict =
            |kind, title, detail| Problem::new(StatusCode::CONFLICT, kind, title, detail);
        match refused {
            Refused::Missing(what) => Problem::missing(&what),
            Refused::Exists(what) => {
                let detail = format!("there is a {what} already: replace it with PUT");
                conflict("exists", "it exists already", detail)
            }
            Refused::Conflict(detail) => {
                conflict("conflict", "the state does not allow it", detail)
            }
            Refused::Stale { current } => {
                let detail = format!("the current version is {current}: read it again and repeat");
                let title = "it was changed meanwhile";
                Problem::new(StatusCode::PRECONDITION_FAILED, "stale", title, detail)
            }
            Refused::Invalid(problems) => Problem::invalid(problems),
            Refused::Faulty(faults) => Problem::faulty(faults),
            Refused::Unfit { what, cure, faults } => {
                let first = faults.first().map(ToString::to_string).unwrap_or_default();
                let more = match faults.len() {
                    0 | 1 => String::new(),
                    all => format!(", and {} more", all.saturating_sub(1)),
                };
                let detail = format!("{what}: {first}{more}; {cure}");
                let errors = faults.into_iter().map(|fault| Wrong::of(String::new(), fault));
                let errors = errors.collect();
                Problem { errors, ..conflict("conflict", "the state does not allow it", detail) }
            }
            Refused::Fault(fault) => fault.into(),
        }
    }
}

impl From<service::Fault> for Problem {
    fn from(fault: service::Fault) -> Self {
        // The chain of causes is for the log alone.
        tracing::error!(error = &fault as &dyn std::error::Error, "an admin request failed");
        match fault {
            service::Fault::Unavailable(..) | service::Fault::Busy => {
                let detail =
                    "the change may or may not stand: read before you repeat it".to_owned();
                let title = "not available now";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title, detail)
            }
            service::Fault::Internal(..) => {
                let detail = "the cause is in the log of the server".to_owned();
                let title = "something of ours failed";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut headers = Vec::new();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 11.6.1: a 401 names the scheme.
            headers.push((WWW_AUTHENTICATE, r#"Bearer realm="deputy admin""#.to_owned()));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.push((RETRY_AFTER, RETRY_AFTER_S.to_string()));
        }
        respond(self.status, Some("application/problem+json"), self.json(), headers)
    }
}

fn respond(
    status: StatusCode,
    content: Option<&'static str>,
    body: String,
    headers: Vec<(HeaderName, String)>,
) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(content) = content {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.insert(name, value);
        }
    }
    response
}
