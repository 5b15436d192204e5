//! A small OpenID issuer on loopback http: the demo's corporate identity provider, and in tests
//! every kind of issuer that Deputy must survive. Real sockets, real keys, real tokens; no user
//! interface and no flows. It never runs in production and nothing of it is trusted there.

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use self::claims::Claims;
use crate::{
    base::random::{NoRandomness, Random},
    jose::{Algorithm, KeyError, SigningKey},
};

pub mod claims;
mod serve;

/// How the issuer behaves towards whoever fetches its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Good,
    /// Closes every connection without a word.
    Down,
    /// Answers well, but only after this many milliseconds.
    Slow(u64),
    /// Sends one byte of a body now and then, for ever.
    Drip,
    /// Sends a body that never ends, as fast as it is taken.
    Huge,
    /// Redirects everything to this URL.
    Redirect(String),
    /// Answers 200 with something that is not JSON.
    Garbage,
    /// Answers 200 with a web page.
    Html,
    /// Its metadata names this other issuer.
    WrongIssuer(String),
    /// Its metadata points to this URL for its keys.
    ForeignKeys(String),
    /// Has metadata by RFC 8414 only.
    OAuthOnly,
    /// Publishes its key and so many others.
    ManyKeys(usize),
    /// Publishes two keys under one key id.
    DuplicateKid,
    /// Publishes a symmetric key beside its own.
    SymmetricKey,
    /// Publishes a private member with its key.
    PrivateKey,
}

/// Somebody who can log in.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// The subject, and the name.
    pub subject: &'static str,
    /// The e-mail address.
    pub email: &'static str,
    /// What the user belongs to.
    pub groups: &'static [&'static str],
}

/// Everybody who can log in.
pub const USERS: [User; 2] = [
    User { subject: "alice", email: "alice@example.com", groups: &["staff", "support"] },
    User { subject: "bob", email: "bob@example.com", groups: &["staff", "finance"] },
];

/// The issuer could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// No socket.
    #[error("the demo issuer cannot listen on loopback")]
    Listen(#[from] io::Error),
    /// A key could not be made or used.
    #[error("the demo issuer's key cannot be used")]
    Key(#[from] KeyError),
    /// No token id could be drawn.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// A key is published as something that is not JSON.
    #[error("the demo issuer's key has no JSON form")]
    Json(#[from] serde_json::Error),
}

/// A running issuer; stops when dropped.
#[derive(Debug)]
pub struct Issuer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the server and its owner both see.
#[derive(Debug)]
struct Shared {
    origin: String,
    name: String,
    mode: Mutex<Mode>,
    keys: Mutex<Keys>,
    hits: Mutex<HashMap<String, u64>>,
}

/// The published keys.
#[derive(Clone, Debug)]
struct Keys {
    /// The one that signs.
    signing: Arc<SigningKey>,
    /// The public half of every published key, as JWKs, oldest first and `signing` last.
    published: Vec<Value>,
}

impl Keys {
    fn generate(alg: Algorithm) -> Result<Keys, IssuerError> {
        let signing = Arc::new(SigningKey::generate(alg)?);
        let published = vec![serde_json::from_str(&signing.public_jwk())?];
        Ok(Keys { signing, published })
    }
}

impl Issuer {
    /// Starts an issuer at `http://127.0.0.1:PORT/NAME` with one ES256 key.
    pub async fn start(name: &str) -> Result<Issuer, IssuerError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let shared = Arc::new(Shared {
            origin: format!("http://{}", listener.local_addr()?),
            name: name.to_owned(),
            mode: Mutex::new(Mode::Good),
            keys: Mutex::new(Keys::generate(Algorithm::Es256)?),
            hits: Mutex::new(HashMap::new()),
        });
        let task = tokio::spawn(serve::run(listener, Arc::clone(&shared)));
        Ok(Issuer { shared, task })
    }

    /// The issuer URL, as tokens name it.
    pub fn url(&self) -> String {
        self.shared.url()
    }

    /// The URL of the key set.
    pub fn jwks_uri(&self) -> String {
        self.shared.jwks_uri()
    }

    /// The key set as it would be published in [`Mode::Good`].
    pub fn jwks(&self) -> Value {
        self.shared.jwks()
    }

    /// From now on behaves like `mode`.
    pub fn set_mode(&self, mode: Mode) {
        *open(&self.shared.mode) = mode;
    }

    /// How often `path` (from the root, without query) was asked for. In [`Mode::Down`] nothing is
    /// asked, so nothing is counted.
    pub fn hits(&self, path: &str) -> u64 {
        open(&self.shared.hits).get(path).copied().unwrap_or_default()
    }

    /// How often the key set was asked for.
    pub fn jwks_hits(&self) -> u64 {
        self.hits(&self.shared.jwks_path())
    }

    /// Publishes a new key and signs with it; the older keys stay published. Returns its key id.
    /// `alg` is ES256, RS256 or Ed25519.
    pub fn rotate(&self, alg: Algorithm) -> Result<String, IssuerError> {
        let new = Keys::generate(alg)?;
        let kid = new.signing.kid().to_owned();
        let mut keys = open(&self.shared.keys);
        keys.signing = new.signing;
        keys.published.extend(new.published);
        Ok(kid)
    }

    /// Withdraws every key but the one that signs.
    pub fn retire_old(&self) {
        let mut keys = open(&self.shared.keys);
        let old = keys.published.len().saturating_sub(1);
        keys.published.drain(..old);
    }

    /// The key id of the key that signs.
    pub fn kid(&self) -> String {
        self.shared.keys().signing.kid().to_owned()
    }

    /// The header of an ordinary token of this kind, signed by the current key.
    pub fn header(&self, typ: &str) -> Value {
        let key = self.shared.keys().signing;
        json!({ "typ": typ, "alg": key.alg().name(), "kid": key.kid() })
    }

    /// An ID token (OpenID Connect Core section 2) for `claims`, with what the users table says.
    pub fn id_token(&self, claims: Claims) -> Result<String, IssuerError> {
        let payload = claims.id_token(&self.url(), &fresh_id()?);
        self.sign(&self.header("JWT").to_string(), &payload.to_string())
    }

    /// An access token (RFC 9068) for `claims`, issued to `client_id` with `scope`.
    pub fn access_token(
        &self,
        claims: Claims,
        client_id: &str,
        scope: &str,
    ) -> Result<String, IssuerError> {
        let payload = claims.access_token(&self.url(), &fresh_id()?, client_id, scope);
        self.sign(&self.header("at+jwt").to_string(), &payload.to_string())
    }

    /// Signs any header and payload texts, however wrong, with the current key.
    pub fn sign(&self, header: &str, payload: &str) -> Result<String, IssuerError> {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.shared.keys().signing.sign(input.as_bytes())?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn url(&self) -> String {
        format!("{}/{}", self.origin, self.name)
    }

    fn jwks_path(&self) -> String {
        format!("/{}/jwks", self.name)
    }

    fn jwks_uri(&self) -> String {
        format!("{}{}", self.origin, self.jwks_path())
    }

    fn jwks(&self) -> Value {
        json!({ "keys": self.keys().published })
    }

    fn keys(&self) -> Keys {
        open(&self.keys).clone()
    }

    fn mode(&self) -> Mode {
        open(&self.mode).clone()
    }

    fn count(&self, path: &str) {
        let mut hits = open(&self.hits);
        let count = hits.entry(path.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
}

/// An id that no other token has.
fn fresh_id() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(Random::system().bytes::<16>()?))
}

/// What the lock guards, also after a panic elsewhere: every state of it is whole.
fn open<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
