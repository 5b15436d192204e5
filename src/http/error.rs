//! THE table from reasons to statuses and codes: no other file of `http` above the accept loop
//! names a status, except `admin`, whose problems (RFC 9457) are its own. Bodies are RFC 6749
//! section 5.2. Whether something is refused is never decided here.

pub mod message;
#[cfg(test)]
mod tests;

use std::{error::Error, fmt, num::NonZero};

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{
            ALLOW, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
        },
    },
    response::Response,
};

use super::{
    around::RequestId, form::FormError, head::HeadError, lines::Lines, reply,
    serve::body::BodyError,
};
use crate::{
    base::{compose::ObjectWriter, text::rfc6749_description},
    engine::{dpop::ProofFault, refusal::Refusal},
    oauth::code::Code,
    service::{DATABASE, Failure, Fault, RETRY_AFTER_S},
};

/// The longest `error_description`: a sentence with a name in it; more is an attack on logs.
const DESCRIPTION_CHARS_MAX: usize = 256;

/// RFC 6749 section 5.2: sent only to a client that used `Authorization`. Some clients hide the
/// JSON behind this header, wherever it stands.
const BASIC: HeaderValue = HeaderValue::from_static(r#"Basic realm="deputy", charset="UTF-8""#);

/// A page without any power: no script, no style, no frame, no form.
const NO_POWER: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A request that no service function saw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Its head.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// TE-9: what is in a URL is in every log on the way.
    #[error("send parameters in the body, never in the query")]
    Query,
    /// RFC 6749 section 3.2 and appendix B.
    #[error("send the parameters as application/x-www-form-urlencoded in UTF-8")]
    NotAForm,
    /// AZ-1.
    #[error("send the question as application/json in UTF-8")]
    NotJson,
    /// Its body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Its form.
    #[error(transparent)]
    Form(#[from] FormError),
}

impl Rejected {
    const fn status(&self) -> StatusCode {
        match self {
            Rejected::Head(HeadError::TooLong(_)) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Rejected::Head(
                HeadError::Repeated(_) | HeadError::NoHost | HeadError::Malformed(_),
            )
            | Rejected::Query
            | Rejected::NotAForm
            | Rejected::NotJson
            | Rejected::Body(BodyError::Broken)
            | Rejected::Form(
                FormError::TooMany | FormError::Name | FormError::Encoding | FormError::Repeated(_),
            ) => StatusCode::BAD_REQUEST,
            Rejected::Body(BodyError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Rejected::Body(BodyError::Slow) => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// RFC 6749 sections 5.2 and 4.1.2.1.
const fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidRequest
        | Code::UnauthorizedClient
        | Code::UnsupportedGrantType
        | Code::InvalidScope
        | Code::InvalidTarget
        | Code::InvalidAuthorizationDetails
        | Code::ActorUnauthorized
        | Code::InvalidDpopProof
        | Code::UseDpopNonce
        | Code::InsufficientUserAuthentication
        | Code::UnsupportedResponseType => StatusCode::BAD_REQUEST,
        Code::InvalidClient => StatusCode::UNAUTHORIZED,
        Code::SlowDown => StatusCode::TOO_MANY_REQUESTS,
        Code::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a protocol request that failed. `challenged`: the client used `Authorization`.
pub fn failure(failure: &Failure, challenged: bool, id: &RequestId) -> Response {
    match failure {
        Failure::Refused(refusal, error_id) => {
            let code = refusal.code();
            let body = sentence(code, &refusal.description());
            let body = body.text("error_id", &error_id.to_string());
            let body = body.maybe_text("acr_values", refusal.acr_values()).finish();
            let mut response = json(status(code), body);
            if code == Code::InvalidClient && challenged {
                response.headers_mut().insert(WWW_AUTHENTICATE, BASIC);
            }
            if let Refusal::Proof(ProofFault::Nonce { give }) = refusal {
                reply::give_nonce(&mut response, give);
            }
            try_again(response, code)
        }
        Failure::Malformed(error) => oauth(Code::InvalidRequest, &error.to_string()),
        Failure::Unreadable(error) => oauth(Code::InvalidRequest, &error.to_string()),
        Failure::Fault(error) => fault(error, id),
    }
}

/// The answer when something of ours failed: that it did, never what. Logged here and nowhere else.
pub fn fault(fault: &Fault, id: &RequestId) -> Response {
    let (code, description) = explained(fault, id);
    try_again(oauth(code, description), code)
}

/// Requests that were sent away because too many came; because the database was; because something
/// else was, which a stranger may be able to bring about. None hides another.
static SHED: Lines = Lines::none();
static WITHOUT_DATABASE: Lines = Lines::none();
static WITHOUT_ANOTHER: Lines = Lines::none();

/// What may be told of a fault. All of it goes to the log, but that a flood of one sort is counted.
fn explained(fault: &Fault, id: &RequestId) -> (Code, &'static str) {
    let error = Chain(fault);
    let (lines, what) = match fault {
        Fault::Internal(..) => (None, "a request failed"),
        Fault::Busy => (Some(&SHED), "a request was shed"),
        Fault::Unavailable(DATABASE, _) => {
            (Some(&WITHOUT_DATABASE), "a request could not be answered")
        }
        Fault::Unavailable(..) => (Some(&WITHOUT_ANOTHER), "a request could not be answered"),
    };
    match lines.map(Lines::room) {
        None => tracing::error!(%id, %error, "{what}"),
        Some(Some(withheld)) => {
            tracing::warn!(%id, %error, withheld = withheld.map(NonZero::get), "{what}");
        }
        Some(None) => {}
    }
    match fault {
        Fault::Unavailable(..) => (
            Code::TemporarilyUnavailable,
            "something this server needs cannot be reached; try again",
        ),
        Fault::Busy => (Code::TemporarilyUnavailable, "too busy; try again"),
        Fault::Internal(..) => (Code::ServerError, INTERNAL),
    }
}

fn try_again(mut response: Response, code: Code) -> Response {
    if matches!(code, Code::TemporarilyUnavailable | Code::SlowDown) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    response
}

const INTERNAL: &str =
    "this server failed; its log knows why, under the X-Request-ID of this answer";

/// The answer when a handler panicked. The panic itself was logged by its hook.
pub fn panicked(id: &RequestId) -> Response {
    tracing::error!(%id, "a handler panicked");
    oauth(Code::ServerError, INTERNAL)
}

/// The answer to a request that no service function saw.
pub fn rejected(rejected: &Rejected) -> Response {
    let body = sentence(Code::InvalidRequest, &rejected.to_string()).finish();
    closing(json(rejected.status(), body), rejected)
}

fn closing(mut response: Response, rejected: &Rejected) -> Response {
    if matches!(rejected, Rejected::Body(_)) {
        // The rest of the body is not read, so the next request's beginning is not known.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Nothing is here.
pub fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, sentence(Code::InvalidRequest, "nothing is here").finish())
}

/// Something is here, but not by this method. RFC 9110 section 15.5.6: `Allow` is required.
pub fn method_not_allowed(allow: &str) -> Response {
    let body = sentence(Code::InvalidRequest, "not by this method: see Allow").finish();
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, body);
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The caller has this already. RFC 9110 section 15.4.5.
pub fn not_modified() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// Readiness, when there is none.
pub fn not_ready(body: &'static str) -> Response {
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, body);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    response
}

/// There is no interactive login here. Never a redirect: the URI is unproved. RFC 6749 section
/// 4.1.2.1.
pub fn no_login(page: Option<&'static str>) -> Response {
    let Some(page) = page else {
        return oauth(Code::UnsupportedResponseType, NO_LOGIN);
    };
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status(Code::UnsupportedResponseType);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, NO_POWER);
    response
}

const NO_LOGIN: &str = "nobody logs in here: this server exchanges tokens (RFC 8693). \
                        Log in at your own identity provider and exchange its token";

fn oauth(code: Code, description: &str) -> Response {
    json(status(code), sentence(code, description).finish())
}

fn sentence(code: Code, description: &str) -> ObjectWriter {
    let description = rfc6749_description(description, DESCRIPTION_CHARS_MAX);
    ObjectWriter::new().text("error", code.as_str()).text("error_description", &description)
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    typed(status, "application/json", body)
}

fn typed(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An error and all its sources, in one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}
