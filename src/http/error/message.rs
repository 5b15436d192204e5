//! The same table in the form of AuthZEN: an error is a status and a message (a JSON string). What
//! is refused with which status is not decided here.

use axum::{http::header::WWW_AUTHENTICATE, response::Response};

use super::{BASIC, Rejected, RequestId, closing, explained, json, status, try_again};
use crate::{
    engine::{authenticate::ClientRefusal, refusal::Refusal},
    oauth::{authzen::error, code::Code},
    service::Failure,
};

/// The answer to a gateway's request that failed. AZ-1.
pub fn failure(failure: &Failure, id: &RequestId) -> Response {
    match failure {
        Failure::Refused(refusal, error_id) => {
            let code = refusal.code();
            let said = match refusal {
                // A body that is JSON has no place for any other.
                Refusal::Client(ClientRefusal::Absent) => {
                    "authenticate the client by HTTP Basic: nothing else can be used here".into()
                }
                _ => refusal.description(),
            };
            let message = format!("{said} (error_id {error_id})");
            let mut response = json(status(code), error(&message));
            if code == Code::InvalidClient {
                // RFC 9110 section 15.5.2: a 401 names what would be accepted.
                response.headers_mut().insert(WWW_AUTHENTICATE, BASIC);
            }
            try_again(response, code)
        }
        Failure::Malformed(problem) => refused(&problem.to_string()),
        Failure::Unreadable(problem) => refused(&problem.to_string()),
        Failure::Fault(fault) => {
            let (code, message) = explained(fault, id);
            try_again(json(status(code), error(message)), code)
        }
    }
}

/// The answer to a request that no service function saw.
pub fn rejected(rejected: &Rejected) -> Response {
    closing(json(rejected.status(), error(&rejected.to_string())), rejected)
}

fn refused(message: &str) -> Response {
    json(status(Code::InvalidRequest), error(message))
}
