//! The demo issuer's server: three documents, and every bad manner of [`Mode`].

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Interval, interval},
};

use super::{Mode, Shared};

/// Serves until its task is aborted.
pub async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
    let door = Door { listener, shared };
    // The door never fails, so this ends only with its task.
    let _ = axum::serve(door, router).await;
}

/// Accepts connections; in [`Mode::Down`] closes them at once.
struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl axum::serve::Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Ok((stream, address)) = self.listener.accept().await
                && self.shared.mode() != Mode::Down
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    shared.count(path);
    match shared.mode() {
        Mode::Good
        | Mode::WrongIssuer(_)
        | Mode::ForeignKeys(_)
        | Mode::OAuthOnly
        | Mode::ManyKeys(_)
        | Mode::DuplicateKid
        | Mode::SymmetricKey
        | Mode::PrivateKey => {}
        Mode::Slow(millis) => pause(Duration::from_millis(millis)).await,
        Mode::Down => return Hostile::broken().into_response(),
        Mode::Drip => return Hostile::drip().into_response(),
        Mode::Huge => return Hostile::huge().into_response(),
        Mode::Redirect(to) => {
            return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
        }
        Mode::Garbage => return "{\"keys\":[\u{1}".into_response(),
        Mode::Html => {
            let page = "<!doctype html><title>Sign in</title>";
            return ([(header::CONTENT_TYPE, "text/html")], page).into_response();
        }
    }
    document(&shared, path)
}

fn document(shared: &Shared, path: &str) -> Response {
    let openid = format!("/{}/.well-known/openid-configuration", shared.name);
    let oauth = format!("/.well-known/oauth-authorization-server/{}", shared.name);
    let has_openid = shared.mode() != Mode::OAuthOnly;
    let found = if path == oauth || (has_openid && path == openid) {
        metadata(shared)
    } else if path == shared.jwks_path() {
        keys(shared)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(header::CONTENT_TYPE, "application/json")], found.to_string()).into_response()
}

fn metadata(shared: &Shared) -> Value {
    let (issuer, jwks_uri) = match shared.mode() {
        Mode::WrongIssuer(other) => (other, shared.jwks_uri()),
        Mode::ForeignKeys(other) => (shared.url(), other),
        _ => (shared.url(), shared.jwks_uri()),
    };
    json!({
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "authorization_endpoint": format!("{}/authorize", shared.url()),
        "token_endpoint": format!("{}/token", shared.url()),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    })
}

fn keys(shared: &Shared) -> Value {
    let mut published = shared.keys().published;
    match shared.mode() {
        Mode::ManyKeys(more) => {
            let one = published.last().cloned().unwrap_or_default();
            published.extend((0..more).map(|n| named(&one, &format!("other-{n}"))));
        }
        Mode::DuplicateKid => published.extend(published.clone()),
        Mode::SymmetricKey => {
            published.push(json!({ "kty": "oct", "kid": "shared", "k": "c2VjcmV0" }));
        }
        Mode::PrivateKey => {
            let members = published.last_mut().and_then(Value::as_object_mut);
            members.map(|key| key.insert("d".to_owned(), json!("c2VjcmV0")));
        }
        _ => {}
    }
    json!({ "keys": published })
}

/// The key under another key id.
fn named(key: &Value, kid: &str) -> Value {
    let mut key = key.clone();
    key.as_object_mut().map(|members| members.insert("kid".to_owned(), json!(kid)));
    key
}

#[expect(clippy::disallowed_methods, reason = "an issuer that is slow on purpose has to wait")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A body that misbehaves.
struct Hostile {
    chunk: Result<Bytes, ()>,
    beat: Option<Interval>,
}

impl Hostile {
    /// One byte, ten times a second, for ever.
    fn drip() -> Hostile {
        let beat = interval(Duration::from_millis(100));
        Hostile { chunk: Ok(Bytes::from_static(b" ")), beat: Some(beat) }
    }

    /// White space without end, which no parser gets to see.
    fn huge() -> Hostile {
        Hostile { chunk: Ok(Bytes::from_static(&[b' '; 16 * 1024])), beat: None }
    }

    /// Breaks the connection.
    const fn broken() -> Hostile {
        Hostile { chunk: Err(()), beat: None }
    }
}

impl IntoResponse for Hostile {
    fn into_response(self) -> Response {
        Body::new(self).into_response()
    }
}

impl hyper::body::Body for Hostile {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(beat) = &mut self.beat
            && beat.poll_tick(context).is_pending()
        {
            return Poll::Pending;
        }
        let frame = self.chunk.clone().map(Frame::data);
        Poll::Ready(Some(frame.map_err(|()| io::ErrorKind::ConnectionReset.into())))
    }
}
