//! Agents: who they are, whose token they hold, and the tokens they exchange it for (RFC 8693).
//!
//! A token is remembered for one subject token, target, scope and details until shortly before it
//! expires; tasks that want the same one wait for one exchange. The memory is bounded and never
//! leaves the process.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ring::digest;
use serde_json::{Map, Value};

use crate::{
    authority::Tools,
    clock,
    credentials::Credentials,
    error::{ExchangeError, Refused, SetupError, Unavailable},
    secret::Secret,
    tokens::Tokens,
    wire::{Reply, Wire},
};

/// RFC 8693 section 2.1.
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
// RFC 8693 section 3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const HAND_OVER: &str = "urn:ietf:params:oauth:token-type:jwt";
/// A token is not used in its last seconds: it must outlive the request that carries it.
const MARGIN: Duration = Duration::from_secs(10);

/// The token that says for whom an agent acts, and of which kind it is.
#[derive(Clone, Debug)]
pub struct Subject {
    token: Secret,
    kind: &'static str,
}

/// What a token is wanted for: one target, and a scope, or tools, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    resource: String,
    scope: Option<String>,
    details: Vec<Value>,
}

/// A token for one server.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    scope: String,
    usable_until: Instant,
}

/// Authority passed on to another agent: send it to that one and to nobody else.
#[derive(Clone, Debug)]
pub struct HandOver {
    secret: Secret,
    /// How long it lives from now.
    pub expires_in: Duration,
}

/// One program that acts for people, as it is registered at Deputy. Make one and keep it: it holds
/// connections and tokens, and clones share them.
#[derive(Clone, Debug)]
pub struct Agent {
    wire: Wire,
    tokens: Arc<Tokens>,
}

impl Subject {
    /// A user's access token from a trusted issuer, or a call token of Deputy's.
    pub fn access_token(token: &str) -> Subject {
        Subject { token: Secret::new(token.to_owned()), kind: ACCESS_TOKEN }
    }

    /// A user's ID token from a trusted issuer.
    pub fn id_token(token: &str) -> Subject {
        Subject { token: Secret::new(token.to_owned()), kind: ID_TOKEN }
    }

    /// What another agent handed over to this one.
    pub fn hand_over(token: &str) -> Subject {
        Subject { token: Secret::new(token.to_owned()), kind: HAND_OVER }
    }
}

impl Want {
    /// Whatever reads and writes `scope` covers at `resource`; tools that destroy or let data out
    /// are never among it.
    pub fn scope(resource: &str, scope: &str) -> Want {
        let (resource, scope) = (resource.to_owned(), Some(scope.to_owned()));
        Want { resource, scope, details: Vec::new() }
    }

    /// These tools at `resource`, and nothing else.
    pub fn tools(resource: &str, tools: &Tools) -> Want {
        Want { resource: resource.to_owned(), scope: None, details: vec![tools.at(resource)] }
    }

    /// The same, with scopes named beside the tools.
    #[must_use]
    pub fn with_scope(self, scope: &str) -> Want {
        Want { scope: Some(scope.to_owned()), ..self }
    }

    /// The same, with tools at another server that the owner of the resource may call in turn.
    #[must_use]
    pub fn onward(mut self, location: &str, tools: &Tools) -> Want {
        self.details.push(tools.at(location));
        self
    }

    /// The scope, if nothing else is wanted.
    pub(crate) fn scope_alone(&self) -> Option<&str> {
        self.scope.as_deref().filter(|_| self.details.is_empty())
    }

    /// The parameters of the request that say what is wanted.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("resource", self.resource.clone())];
        if let Some(scope) = &self.scope {
            fields.push(("scope", scope.clone()));
        }
        if !self.details.is_empty() {
            let details = Value::Array(self.details.clone()).to_string();
            fields.push(("authorization_details", details));
        }
        fields
    }

    /// Names a want on behalf of a subject, without being a token.
    fn key(&self, subject: &Subject) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let fields = self.fields();
        let fields = fields.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        for part in [subject.kind, subject.token.expose()].into_iter().chain(fields) {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.finish().as_ref().try_into().unwrap_or_default()
    }
}

impl Token {
    /// The token itself, for the `Authorization` header of a request to its own server.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// The scopes it was given.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Whether it may still be put on a request.
    pub fn is_usable(&self) -> bool {
        clock::now() < self.usable_until
    }

    /// Whether it is the same token.
    pub(crate) fn is(&self, other: &Token) -> bool {
        self.secret == other.secret
    }
}

impl HandOver {
    /// The token itself.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }
}

impl Agent {
    /// The agent with these credentials, at Deputy.
    pub fn new(issuer: &str, credentials: Credentials) -> Result<Agent, SetupError> {
        Ok(Agent { wire: Wire::new(issuer, credentials)?, tokens: Arc::default() })
    }

    /// The same with another limit to one exchange; five seconds otherwise.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Agent {
        Agent { wire: self.wire.with_timeout(timeout), ..self }
    }

    /// A token for `want` on behalf of the subject: the one remembered, or a new one.
    pub async fn token(&self, subject: &Subject, want: &Want) -> Result<Token, ExchangeError> {
        self.tokens.get(want.key(subject), || self.issue(subject, want)).await
    }

    /// Drops a token that a server turned away, unless a newer one is in its place.
    pub fn forget(&self, subject: &Subject, want: &Want, token: &Token) {
        self.tokens.forget(want.key(subject), token);
    }

    /// Passes authority on to the agent with this URI: for each server, what it may call there. It
    /// is made anew each time, because a hand-over is sent once.
    pub async fn hand_over<'a>(
        &self,
        agent: &str,
        subject: &Subject,
        tools: impl IntoIterator<Item = (&'a str, Tools)>,
    ) -> Result<HandOver, ExchangeError> {
        let details = tools.into_iter().map(|(location, tools)| tools.at(location)).collect();
        let details = Value::Array(details).to_string();
        let fields = [("resource", agent), ("authorization_details", &details)];
        let body = self.exchange(subject, &fields).await?;
        Ok(HandOver { secret: issued(&body)?, expires_in: life(&body)? })
    }

    async fn issue(&self, subject: &Subject, want: &Want) -> Result<Token, ExchangeError> {
        let begun = clock::now();
        let fields = want.fields();
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = self.exchange(subject, &fields).await?;
        let bearer = body.get("token_type").and_then(Value::as_str);
        if !bearer.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(Unavailable::Answer("is a token that no server accepts as `Bearer`").into());
        }
        let life = life(&body)?;
        // A short-lived token is used for half its life at least.
        let half = Duration::from_millis(life.as_secs().saturating_mul(500));
        let usable = life.saturating_sub(MARGIN.min(half));
        let usable_until = begun.checked_add(usable).unwrap_or(begun);
        let scope = body.get("scope").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Token { secret: issued(&body)?, scope, usable_until })
    }

    async fn exchange(
        &self,
        subject: &Subject,
        wanted: &[(&str, &str)],
    ) -> Result<Map<String, Value>, ExchangeError> {
        let mut fields = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", subject.token.expose()),
            ("subject_token_type", subject.kind),
        ];
        fields.extend_from_slice(wanted);
        granted(self.wire.post("token", &fields).await?)
    }
}

/// RFC 6749 section 5.2, apart from answers that mean "later" and not "no".
fn granted(reply: Reply) -> Result<Map<String, Value>, ExchangeError> {
    let Reply { status, body } = reply;
    if status == 200 {
        return Ok(body);
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    match text("error") {
        Some(error) if !matches!(status, 408 | 429 | 500..) => {
            Err(ExchangeError::Refused(Refused {
                error,
                description: text("error_description")
                    .unwrap_or_else(|| "no reason was given".to_owned()),
                error_id: text("error_id"),
            }))
        }
        _ => Err(Unavailable::Status { status }.into()),
    }
}

fn issued(body: &Map<String, Value>) -> Result<Secret, Unavailable> {
    let token = body.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.map(|token| Secret::new(token.to_owned()));
    token.ok_or(Unavailable::Answer("has no `access_token`"))
}

fn life(body: &Map<String, Value>) -> Result<Duration, Unavailable> {
    let seconds = body.get("expires_in").and_then(Value::as_u64).map(Duration::from_secs);
    seconds.ok_or(Unavailable::Answer("has no `expires_in` in whole seconds"))
}
