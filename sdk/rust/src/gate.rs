//! The gate before an MCP server: one tower layer, for axum and for `rmcp`'s streamable HTTP
//! service, that asks Deputy once for every request.
//!
//! A `tools/call` is asked about with its tool and its arguments, everything else with the token
//! alone. What is let through is the body that was read, byte for byte, without the token, with a
//! [`Caller`] among its extensions.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use serde_json::{Value, json};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    answer::{self, Claims, Decision, Verdict},
    caller::{Caller, Permit},
    denial::{self, Denial, Refusal, Signpost},
    deputy::{Call, Deputy},
    error::{SetupError, Unavailable},
    message::{self, Message, Unreadable},
    presented::{self, Presented},
    secret::Secret,
    session::Sessions,
};

/// The largest message that is read before it is decided.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a message may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Guards every service that it is laid on. Closed: without a live token for this server nothing
/// passes.
///
/// It also serves the metadata of RFC 9728, so lay it on everything:
/// `Router::new().nest_service("/mcp", service).layer(gate)`.
#[derive(Clone, Debug)]
pub struct DeputyLayer(Arc<Rules>);

/// A service behind the gate.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    inner: S,
    rules: Arc<Rules>,
}

#[derive(Clone, Debug)]
struct Rules {
    deputy: Deputy,
    signpost: Signpost,
    metadata_path: String,
    open_methods: Vec<String>,
    sessions: Arc<Sessions>,
}

/// A request that may go on, and whose it is.
struct Passed {
    request: Request<Full<Bytes>>,
    whose: Claims,
}

impl DeputyLayer {
    /// The gate for the resource of `deputy`.
    pub fn new(deputy: Deputy) -> Result<DeputyLayer, SetupError> {
        let signpost = Signpost { metadata: deputy.metadata_url(), scope: String::new() };
        let metadata_path = deputy.metadata_path();
        let sessions = Arc::new(Sessions::new()?);
        let open_methods = Vec::new();
        let rules = Rules { deputy, signpost, metadata_path, open_methods, sessions };
        Ok(DeputyLayer(Arc::new(rules)))
    }

    /// What a client without a token should ask for: clients that know nothing of Deputy ask for
    /// that and nothing else.
    pub fn scopes(self, scopes: &[&str]) -> Result<DeputyLayer, SetupError> {
        if let Some(bad) = scopes.iter().find(|scope| !answer::is_scope_token(scope)) {
            return Err(SetupError::Scope((*bad).to_owned()));
        }
        let mut rules = Arc::unwrap_or_clone(self.0);
        rules.signpost.scope = scopes.join(" ");
        Ok(DeputyLayer(Arc::new(rules)))
    }

    /// JSON-RPC methods beside tools that everybody with a live token may use: `resources/read`,
    /// `prompts/get`, …. Deputy decides on tools, so they are closed unless named.
    #[must_use]
    pub fn open_methods(self, methods: &[&str]) -> DeputyLayer {
        let mut rules = Arc::unwrap_or_clone(self.0);
        rules.open_methods = methods.iter().map(|method| (*method).to_owned()).collect();
        DeputyLayer(Arc::new(rules))
    }
}

impl<S> Layer<S> for DeputyLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, rules: Arc::clone(&self.0) }
    }
}

impl<S, B, R> Service<Request<B>> for Gate<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Either<R, Full<Bytes>>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            match rules.judge(request).await {
                Err(refusal) => Ok(refusal.map(Either::Right)),
                Ok(Passed { request, whose }) => {
                    let mut response = inner.call(request).await?;
                    rules.sessions.leave(response.headers_mut(), &whose);
                    Ok(response.map(Either::Left))
                }
            }
        })
    }
}

impl Rules {
    /// Whether a request may go on, or what it is answered.
    async fn judge<B>(&self, request: Request<B>) -> Result<Passed, Refusal>
    where
        B: Body + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if request.method() == Method::GET && request.uri().path() == self.metadata_path {
            return Err(self.metadata());
        }
        let (mut parts, body) = request.into_parts();
        let shown = presented::take(&mut parts.headers).ok_or_else(|| self.signpost.no_token())?;
        let (body, message) = if matches!(parts.method, Method::GET | Method::DELETE) {
            (Bytes::new(), Message::default())
        } else {
            let body = whole(body).await.map_err(|why| denial::unreadable(&why, None))?;
            let message = message::read(&body).map_err(|why| denial::unreadable(&why, None))?;
            let agrees = message.agrees(&parts.headers);
            agrees.map_err(|why| denial::unreadable(&why, message.id.as_ref()))?;
            (body, message)
        };
        let id = message.id.clone();
        let (whose, permit) = self.ask(&shown, message).await?;
        // RFC 9449 section 7.1: a bound token is no bearer token, nor the reverse, whoever checks
        // the proof.
        if whose.is_bound() != shown.proof.is_some() {
            return Err(denial::unproved());
        }
        let entered = self.sessions.enter(&mut parts.headers, &whose);
        entered.map_err(|_| denial::not_your_session(id.as_ref()))?;
        parts.extensions.insert(Caller::new(whose.clone(), shown.token, permit));
        Ok(Passed { request: Request::from_parts(parts, Full::new(body)), whose })
    }

    /// The one question.
    async fn ask(
        &self,
        shown: &Presented,
        message: Message,
    ) -> Result<(Claims, Option<Permit>), Refusal> {
        let id = message.id.clone();
        if let Some(call) = message.call {
            let (claims, permit) = self.decide(shown, call, id.as_ref()).await?;
            return Ok((claims, Some(permit)));
        }
        let claims = self.deputy.introspect(shown.token.expose()).await.map_err(|error| {
            told(&error);
            denial::no_answer(&error)
        })?;
        let claims = claims.ok_or_else(|| self.signpost.dead_token())?;
        if !message.is_open(&self.open_methods) {
            let method = message.method.unwrap_or_default();
            return Err(denial::closed_method(id.as_ref(), &method));
        }
        Ok((claims, None))
    }

    async fn decide(
        &self,
        shown: &Presented,
        call: Call,
        id: Option<&Value>,
    ) -> Result<(Claims, Permit), Refusal> {
        let proof = shown.proof.as_ref().map(Secret::expose);
        match self.deputy.decide(shown.token.expose(), &call, proof).await {
            Ok(Verdict::Permitted(claims, decision)) => Ok((claims, Permit::new(call, decision))),
            Ok(Verdict::Denied(decision)) => Err(self.denied(&decision, id)),
            Ok(Verdict::Dead) => Err(self.signpost.dead_token()),
            Err(error) => {
                told(&error);
                Err(Denial::undecided(&error).answer(id))
            }
        }
    }

    fn denied(&self, decision: &Decision, id: Option<&Value>) -> Refusal {
        if let Some(scope) = decision.scope_that_cures() {
            self.signpost.more_scope(scope)
        } else if let Some(challenge) = decision.challenge() {
            denial::challenged(challenge, decision.reason())
        } else {
            Denial::of(decision).answer(id)
        }
    }

    /// RFC 9728 section 2.
    fn metadata(&self) -> Refusal {
        let mut document = json!({
            "resource": self.deputy.resource(),
            "authorization_servers": [self.deputy.issuer()],
            "bearer_methods_supported": ["header"],
        });
        let scopes: Vec<&str> = self.signpost.scope.split_whitespace().collect();
        if let (Some(document), false) = (document.as_object_mut(), scopes.is_empty()) {
            document.insert("scopes_supported".to_owned(), json!(scopes));
        }
        denial::refusal(StatusCode::OK, &document)
    }
}

/// The body of a message, bounded in size and time.
async fn whole<B>(body: B) -> Result<Bytes, Unreadable>
where
    B: Body + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Unreadable::TooLarge(BODY_BYTES_MAX))
        }
        Ok(Err(_)) | Err(_) => Err(Unreadable::Cut),
    }
}

/// For whoever runs the server: clients are told too, but may keep it to themselves.
fn told(error: &Unavailable) {
    tracing::error!(cause = std::error::Error::source(error), "nothing was permitted: {error}");
}
