//! What stands around every request: its name, the headers that every answer has, one line in the
//! log, and a net below a handler that panics. It never sees a parameter, a token or a secret.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::poll_fn,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
        request::Parts,
    },
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::time::Instant;

use super::{error, lines::Lines};
use crate::base::random::Random;

/// The longest request id that we take over; longer ones are replaced.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// From here on an answer is slow: ten times what an exchange takes on a busy machine.
const SLOW: Duration = Duration::from_millis(500);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_NAME: HeaderValue = HeaderValue::from_static("none");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The name of a request, in its answer and in the log: printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Name);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Given(HeaderValue),
    Fresh([u8; FRESH_CHARS]),
}

/// 96 bits in base64url: unique among all requests that any log keeps.
const FRESH_CHARS: usize = 16;

impl RequestId {
    /// The caller's `X-Request-ID` if it is 1 to [`REQUEST_ID_BYTES_MAX`] printable characters,
    /// else a fresh one.
    pub fn of(headers: &HeaderMap, random: &Random) -> RequestId {
        let sent = headers.get(X_REQUEST_ID).filter(|id| is_acceptable(id.as_bytes()));
        RequestId(sent.map_or_else(|| fresh(random), |id| Name::Given(id.clone())))
    }

    fn header(&self) -> HeaderValue {
        match &self.0 {
            Name::Given(id) => id.clone(),
            Name::Fresh(id) => HeaderValue::from_bytes(id).unwrap_or(NO_NAME),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = match &self.0 {
            Name::Given(id) => id.to_str().ok(),
            Name::Fresh(id) => std::str::from_utf8(id).ok(),
        };
        f.write_str(id.unwrap_or_default())
    }
}

fn is_acceptable(id: &[u8]) -> bool {
    let printable = |b: &u8| (0x20..=0x7e).contains(b);
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(printable)
}

fn fresh(random: &Random) -> Name {
    let mut id = [0; FRESH_CHARS];
    let encoded = random.bytes::<12>().ok();
    let encoded = encoded.and_then(|bytes| URL_SAFE_NO_PAD.encode_slice(bytes, &mut id).ok());
    // Without randomness nothing is answered but this request's error.
    encoded.map_or(Name::Given(NO_NAME), |_all_of_it| Name::Fresh(id))
}

/// One request, from its head to its answer's head.
#[derive(Debug)]
pub struct Frame<'a> {
    id: RequestId,
    method: &'a Method,
    path: &'a str,
    opened: Instant,
}

impl Frame<'_> {
    /// Begins. `path` is the route's, with names in place of values.
    pub fn open<'a>(random: &Random, path: &'a str, parts: &'a Parts) -> Frame<'a> {
        let id = RequestId::of(&parts.headers, random);
        Frame { id, method: &parts.method, path, opened: Instant::now() }
    }

    /// The request's name.
    pub const fn id(&self) -> &RequestId {
        &self.id
    }

    /// Waits for the answer and finishes it. What is waited for stays where it is: an async
    /// function that takes it over holds it as often as it is passed on.
    pub async fn close(&self, answer: Pin<&mut impl Future<Output = Response>>) -> Response {
        let mut response = caught(answer).await.unwrap_or_else(|| error::panicked(&self.id));
        finish(response.headers_mut(), &self.id);
        self.log(&response, self.opened.elapsed());
        response
    }

    /// One line: for everybody where somebody may have to act on it, up to so many a second, else
    /// for who asked for more. Thousands of good answers a second would cost more than the decisions
    /// in them, and hide the one that is not good; what was decided is in the audit log.
    fn log(&self, response: &Response, taken: Duration) {
        let status = response.status();
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident, $withheld:expr) => {
                tracing::$level!(
                    withheld = $withheld,
                    id = %self.id,
                    method = %self.method,
                    path = self.path,
                    status = status.as_u16(),
                    micros,
                    "answered"
                )
            };
        }
        let lines = match (status.is_server_error() || taken >= SLOW, status.is_success()) {
            (true, _) => &FAILED,
            (false, false) => &REFUSED,
            (false, true) => return line!(debug, None::<u64>),
        };
        if let Some(withheld) = lines.room() {
            line!(info, withheld.map(NonZero::get));
        }
    }
}

/// Lines about requests that were refused: anybody can make any number of them.
static REFUSED: Lines = Lines::none();
/// About those that failed or were slow.
static FAILED: Lines = Lines::none();

fn finish(headers: &mut HeaderMap, id: &RequestId) {
    // TE-7: an answer with a token in it must not be kept. Public documents say otherwise.
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(X_REQUEST_ID, id.header());
}

/// What the future gives, or `None` when it panics.
async fn caught<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|context| {
        // The state of a request that panicked is dropped with it; shared state is behind types
        // that have no broken middle.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
            Err(_panic) => Poll::Ready(None),
        }
    })
    .await
}
