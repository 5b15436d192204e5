//! Reading request parameters, whatever carried them.

/// Parameters of a request: each once, except those that may repeat. Empty means omitted
/// (RFC 6749 section 3.2), and repeats were refused before this.
pub trait Params {
    /// The value of a parameter that may appear once.
    fn one(&self, name: &str) -> Option<&str>;
    /// The values of a parameter that may repeat.
    fn all(&self, name: &str) -> Vec<&str>;
}

/// A parameter that is missing or malformed: RFC 6749 section 5.2 `invalid_request`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// Required and absent (or empty).
    #[error("the parameter `{0}` is missing")]
    Missing(&'static str),
    /// Must not be there.
    #[error("the parameter `{name}` {problem}")]
    Unacceptable {
        /// Which parameter.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A required parameter.
pub fn required<'a>(params: &'a impl Params, name: &'static str) -> Result<&'a str, ParamError> {
    params.one(name).ok_or(ParamError::Missing(name))
}

/// What the token endpoint knows, each once: RFC 6749 sections 2.3.1, 3.3 and 4.4.2, RFC 8693
/// section 2.1, RFC 9396 section 2. `client_assertion…` is known so that it is refused.
pub const TOKEN_ONCE: &[&str] = &[
    "grant_type",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "scope",
    "authorization_details",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];
/// What may repeat there: RFC 8693 section 2.1, RFC 8707 section 2.
pub const TOKEN_MANY: &[&str] = &["resource", "audience"];

/// What the introspection endpoint knows, each once: RFC 7662 section 2.1 and the call's context.
/// `method`, `path`, `query` and `body` are known so that they are refused.
pub const INTROSPECT_ONCE: &[&str] = &[
    "token",
    "token_type_hint",
    "tool",
    "arguments",
    "call_id",
    "dpop_proof",
    "htm",
    "htu",
    "method",
    "path",
    "query",
    "body",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];
/// What may repeat in the form; the question then says that one is wanted.
pub const INTROSPECT_MANY: &[&str] = &["resource"];

/// What the revocation endpoint knows, each once: RFC 7009 section 2.1.
pub const REVOKE_ONCE: &[&str] = &[
    "token",
    "token_type_hint",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];
/// Nothing repeats there.
pub const REVOKE_MANY: &[&str] = &[];
