//! Why something could not be fetched, said so that an administrator knows what to mend. These
//! sentences go to the log, the audit record and the administrator; never to the caller of a
//! token endpoint, who must not learn what this machine can reach.

use std::net::IpAddr;

/// A fetch that failed. Texts that came from the other side are cut by [`shown`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that may be fetched at all.
    #[error("`{url}` cannot be fetched: {why}")]
    BadUrl {
        /// The URL as registered or discovered.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name has no address, or the resolver did not answer.
    #[error("`{host}` could not be resolved; check the name and this machine's DNS")]
    Dns {
        /// The name.
        host: String,
    },
    /// An address of the host is not one that Deputy dials.
    #[error(
        "`{host}` resolves to `{address}`, which is not a public address, so it is not dialled"
    )]
    RefusedAddress {
        /// The name or literal.
        host: String,
        /// The first refused address.
        address: IpAddr,
    },
    /// Nothing listens, or the connection broke.
    #[error("the connection to `{host}` failed: {why}")]
    Connection {
        /// The host.
        host: String,
        /// What the transport said.
        why: String,
    },
    /// The TLS handshake failed.
    #[error("`{host}` did not prove its identity by TLS: {why}; check its certificate")]
    Tls {
        /// The host.
        host: String,
        /// What the TLS library said.
        why: String,
    },
    /// This machine has no root certificates, so no TLS server can be believed.
    #[error(
        "no root certificates on this machine ({why}); install the `ca-certificates` package and restart"
    )]
    NoRoots {
        /// What the TLS library said.
        why: String,
    },
    /// No complete answer in time.
    #[error("`{host}` did not answer completely in time")]
    Timeout {
        /// The host, or the issuer when a whole refresh ran out of time.
        host: String,
    },
    /// A 3xx answer.
    #[error("`{url}` answered {status}: redirects are not followed; register the final URL")]
    Redirect {
        /// The URL asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// Any other status than 200.
    #[error("`{url}` answered {status} where 200 was expected")]
    Status {
        /// The URL asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The body is larger than the cap.
    #[error("`{url}` sent more than {max_bytes} bytes")]
    TooLarge {
        /// The URL asked for.
        url: String,
        /// The cap in bytes.
        max_bytes: usize,
    },
    /// The body is not the strict JSON document it should be.
    #[error("`{url}` did not answer with the expected JSON: {why}")]
    BadJson {
        /// The URL asked for.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// RFC 8414 section 3.3: the document names another issuer.
    #[error(
        "the metadata of `{registered}` says its issuer is `{found}`; both must be the same text"
    )]
    WrongIssuer {
        /// The issuer as registered.
        registered: String,
        /// The issuer the document names.
        found: String,
    },
    /// The document points to keys somewhere else.
    #[error(
        "`{issuer}` keeps its keys at another origin, `{jwks_uri}`; register that `jwks_uri` if it is right"
    )]
    ForeignKeys {
        /// The issuer.
        issuer: String,
        /// Where its metadata points.
        jwks_uri: String,
    },
    /// The key set cannot be used.
    #[error("the key set of `{issuer}` cannot be used: {why}")]
    BadKeys {
        /// The issuer.
        issuer: String,
        /// What is wrong.
        why: String,
    },
}

impl FetchError {
    /// A short stable name for audit events and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            FetchError::BadUrl { .. } => "bad_url",
            FetchError::Dns { .. } => "dns",
            FetchError::RefusedAddress { .. } => "refused_address",
            FetchError::Connection { .. } => "connection",
            FetchError::Tls { .. } => "tls",
            FetchError::NoRoots { .. } => "no_roots",
            FetchError::Timeout { .. } => "timeout",
            FetchError::Redirect { .. } => "redirect",
            FetchError::Status { .. } => "status",
            FetchError::TooLarge { .. } => "too_large",
            FetchError::BadJson { .. } => "bad_json",
            FetchError::WrongIssuer { .. } => "wrong_issuer",
            FetchError::ForeignKeys { .. } => "foreign_keys",
            FetchError::BadKeys { .. } => "bad_keys",
        }
    }
}

/// The most characters of a foreign text that an error repeats.
pub const SHOWN_MAX: usize = 200;

/// `text` made fit for a log line: printable ASCII, at most [`SHOWN_MAX`] characters.
pub fn shown(text: &str) -> String {
    crate::base::text::rfc6749_description(text, SHOWN_MAX)
}
