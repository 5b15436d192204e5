//! The accept loop: connections with a bound on everything a peer can make us hold or wait for.
//!
//! `axum::serve` installs no timer, so that a dripped head or an idle connection stays for ever;
//! this loop exists for that reason. Routes, handlers and the shapes of answers never live here.

pub mod body;
mod patience;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use self::patience::{Patience, Patient, within};
use axum::{
    body::Body,
    http::{
        HeaderValue, Request, Response, StatusCode,
        header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER},
    },
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

/// Without it a full table of file descriptors makes `accept` fail in a hot loop.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(250);

/// How long a cut connection may take to be dropped: it only has to be polled once.
const CUT_WAIT: Duration = Duration::from_secs(1);

/// Bounds of the accept loop. Every one is a promise about what a stranger can make us spend.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Open connections; beyond it accepting pauses and the kernel's backlog holds the rest.
    pub max_connections: u32,
    /// From the first byte of a head (or from the connection's start) to the head's end.
    pub header_read_timeout: Duration,
    /// From the end of a head to the handler's answer, the reading of the body included.
    pub request_timeout: Duration,
    /// From an answer to the next request's first byte; of a long answer, from its last piece that was
    /// taken.
    pub idle_timeout: Duration,
    /// Bytes of a request's head; more is answered 431. At least 8 KiB, hyper's own minimum.
    pub max_head_bytes: usize,
    /// Header lines of a request; more is answered 431. Above 100 hyper's own limit holds.
    pub max_headers: usize,
    /// How long requests in flight may go on after `stop`.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            // About 10 KiB each when idle: 100 MiB at the bound.
            max_connections: 10_000,
            header_read_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            // Longer than the 60 s that common proxies keep an idle upstream connection, so that
            // the proxy closes first and never sends into a connection that is closing.
            idle_timeout: Duration::from_secs(75),
            // A call token (4 KiB) or a hand-over (16 KiB) in a header, a DPoP proof, and room.
            max_head_bytes: 32 * 1024,
            max_headers: 64,
            // Below the 30 s that Kubernetes waits before it kills.
            drain: Duration::from_secs(10),
        }
    }
}

impl Options {
    /// hyper panics below this size of its buffer.
    const MIN_HEAD_BYTES: usize = 8 * 1024;

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        // hyper's own timer is off: `Patient` also tells idle from dripping, and bounds writes.
        http.header_read_timeout(None)
            .max_buf_size(self.max_head_bytes.max(Options::MIN_HEAD_BYTES))
            .keep_alive(true);
        http
    }
}

/// The peer's address. Behind a proxy it is the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when `drain` was over, and were cut.
    pub cut: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serve,
    Drain,
    Cut,
}

struct Shared<S> {
    service: S,
    options: Options,
    http: http1::Builder,
}

/// What answers requests, and cannot fail.
pub trait Answers: Send + Sync + 'static {
    /// Answers a request of `peer`.
    fn answer(
        &self,
        peer: Peer,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Serves `service` on `listener` until `stop` resolves; then accepts nothing, lets requests in
/// flight finish for at most `options.drain`, and cuts what is left.
pub async fn serve(
    listener: TcpListener,
    service: impl Answers,
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Drained {
    let shared = Arc::new(Shared { service, options, http: options.http() });
    let bound = usize::try_from(options.max_connections).unwrap_or(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(bound));
    let (stage, seen) = watch::channel(Stage::Serve);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        if let Some((stream, peer, permit)) = accepted {
            tokio::spawn(connection(stream, peer, Arc::clone(&shared), seen.clone(), permit));
        }
    }
    drop(listener);
    drain(&permits, &stage, &options).await
}

/// The next connection, or `None` when there was none to be had.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are single small writes: waiting for more only adds 40 ms.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection ended before it was served");
                return None;
            }
            Some((stream, Peer(peer), permit))
        }
        Err(error) if is_the_peers(&error) => None,
        Err(error) => {
            tracing::warn!(%error, "cannot accept connections; trying again shortly");
            _ = timeout(ACCEPT_BACKOFF, std::future::pending::<()>()).await;
            None
        }
    }
}

/// Whether `accept` failed because of that one connection, so that the next may be tried at once.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn drain(permits: &Semaphore, stage: &watch::Sender<Stage>, options: &Options) -> Drained {
    stage.send_replace(Stage::Drain);
    let all = options.max_connections;
    if timeout(options.drain, permits.acquire_many(all)).await.is_ok() {
        return Drained { cut: 0 };
    }
    let bound = usize::try_from(all).unwrap_or(Semaphore::MAX_PERMITS);
    let cut = bound.saturating_sub(permits.available_permits());
    stage.send_replace(Stage::Cut);
    _ = timeout(CUT_WAIT, permits.acquire_many(all)).await;
    Drained { cut }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    shared: Arc<Shared<impl Answers>>,
    mut stage: watch::Receiver<Stage>,
    _permit: OwnedSemaphorePermit,
) {
    let options = shared.options;
    let patience = Arc::new(Patience::new(options.header_read_timeout, options.idle_timeout));
    let io = TokioIo::new(Patient::new(stream, Arc::clone(&patience)));
    let service = service_fn(|request| answer(&shared, &patience, peer, request));
    let mut served = pin!(shared.http.serve_connection(io, service));
    loop {
        tokio::select! {
            biased;
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            changed = stage.changed() => {
                // A loop that was dropped cuts its connections: nobody is left to drain them.
                let now = changed.map_or(Stage::Cut, |()| *stage.borrow_and_update());
                match now {
                    Stage::Serve => {}
                    Stage::Drain => {
                        patience.drain();
                        served.as_mut().graceful_shutdown();
                    }
                    Stage::Cut => return,
                }
            }
        }
    }
}

async fn answer(
    shared: &Shared<impl Answers>,
    patience: &Patience,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    patience.head_read();
    let response = if request.headers().len() > shared.options.max_headers {
        let mut response =
            plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, r#"{"error":"invalid_request"}"#);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    } else {
        let answered = pin!(shared.service.answer(peer, request.map(Body::new)));
        within(shared.options.request_timeout, answered).await.unwrap_or_else(overdue)
    };
    patience.answered();
    Ok(response)
}

/// The answer when a handler is not done in time. What it had committed stays committed.
fn overdue() -> Response<Body> {
    let mut response =
        plain(StatusCode::SERVICE_UNAVAILABLE, r#"{"error":"temporarily_unavailable"}"#);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn plain(status: StatusCode, json: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
