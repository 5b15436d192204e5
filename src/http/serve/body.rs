//! Reading a request's body whole, within a size and a time. What the bytes mean is not known here.

use std::{pin::pin, time::Duration};

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;

use super::patience::within;

/// What every endpoint takes unless it says otherwise. A form with two tokens of 16 KiB fits.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a body may take to arrive; less than the whole request's time, so that the handler
/// can still say so.
pub const BODY_WAIT: Duration = Duration::from_secs(20);

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Larger than the limit: 413. The rest is never read.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It did not arrive in time: 408.
    #[error("the body did not arrive in time")]
    Slow,
    /// The connection ended or the framing is wrong: 400, if anyone still listens.
    #[error("the body ended early or is not framed correctly")]
    Broken,
}

/// Reads at most `limit` bytes within `wait`. A larger `Content-Length` is refused before anything
/// is read (so that a client that sent `Expect: 100-continue` sends nothing), a larger chunked
/// body as soon as the limit is passed. Trailers are ignored.
pub async fn read_body(mut body: Body, limit: usize, wait: Duration) -> Result<Bytes, BodyError> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(BodyError::TooLarge { limit });
    }
    within(wait, pin!(collect(&mut body, limit, declared))).await.unwrap_or(Err(BodyError::Slow))
}

async fn collect(body: &mut Body, limit: usize, declared: usize) -> Result<Bytes, BodyError> {
    let Some(first) = next(body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    // Nearly every body is one frame: it is passed on without a copy.
    if body.is_end_stream() {
        return Ok(first);
    }
    Box::pin(rest(body, first, limit, declared)).await
}

async fn rest(
    body: &mut Body,
    first: Bytes,
    limit: usize,
    declared: usize,
) -> Result<Bytes, BodyError> {
    let mut whole = Vec::with_capacity(declared.max(first.len()));
    whole.extend_from_slice(&first);
    while let Some(part) = next(body).await? {
        if whole.len().saturating_add(part.len()) > limit {
            return Err(BodyError::TooLarge { limit });
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.into())
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
