//! What can go wrong, each with what to do about it. No message ever carries a token or a secret.

use std::{sync::Arc, time::Duration};

/// What an application configured cannot work. Found when it starts, not when it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Tokens and secrets are not sent in the clear.
    #[error(
        "the issuer `{0}` must be an https URL without user, query and fragment (http only on \
         loopback)"
    )]
    Issuer(String),
    /// RFC 8707 section 2: an absolute URI without a fragment; here also one that is called by HTTP.
    #[error("the resource `{0}` must be an http or https URL without query and fragment")]
    Resource(String),
    /// `rustls` has no cryptography yet.
    #[error(
        "no `rustls` crypto provider is installed: call \
         `rustls::crypto::ring::default_provider().install_default()` when the program starts"
    )]
    CryptoProvider,
    /// No PKCS #8 in PEM, or of another kind.
    #[error("the private key is no PEM of PKCS #8 on P-256 or Ed25519: make one of those")]
    PrivateKey,
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client: {0}")]
    HttpClient(String),
    /// A scope is printable ASCII without space, `"` and `\` (RFC 6749 section 3.3).
    #[error("`{0}` is not a scope")]
    Scope(String),
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// Deputy did not answer, or not in a way that can be relied on. Nothing was permitted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unavailable {
    /// There was no connection, or it broke.
    #[error("`{url}` cannot be reached: is Deputy running there?")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What happened.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The whole answer did not arrive in time.
    #[error("`{url}` did not answer within {timeout:?}: is Deputy overloaded?")]
    Slow {
        /// What was asked.
        url: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The answer is longer than anything Deputy says.
    #[error("`{url}` answered more than {bytes_max} bytes: is that Deputy's issuer?")]
    TooLong {
        /// What was asked.
        url: String,
        /// The longest answer that is read.
        bytes_max: usize,
    },
    /// The answer is not one strict JSON object.
    #[error("`{url}` did not answer a JSON object: is that Deputy's issuer?")]
    NotJson {
        /// What was asked.
        url: String,
    },
    /// `invalid_client`.
    #[error("Deputy does not know this client: check its id, and its secret or registered key")]
    UnknownClient,
    /// Another status than 200, and no refusal either.
    #[error("Deputy answered {status}: try again later, and see its log")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The answer does not say what it must, or contradicts itself.
    #[error("Deputy's answer {0}")]
    Answer(&'static str),
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// Deputy refused to issue a token (RFC 6749 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {description}{}", quoted(error_id.as_deref()))]
pub struct Refused {
    /// The error code.
    pub error: String,
    /// The sentence for the caller.
    pub description: String,
    /// What an operator can look up with `deputy audit list --error-id`.
    pub error_id: Option<String>,
}

/// Why an agent got no token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExchangeError {
    /// A no. Asking again does not help.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No answer. Later may help.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

fn quoted(error_id: Option<&str>) -> String {
    error_id.map(|id| format!(" (error id {id})")).unwrap_or_default()
}

/// A request under a token was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError<E> {
    /// There was no token for it; nothing was sent.
    #[error(transparent)]
    Exchange(ExchangeError),
    /// Sending it failed.
    #[error("the request failed: {0}")]
    Request(E),
}
