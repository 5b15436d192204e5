//! The `error` codes that callers may see.

/// An OAuth error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// RFC 6749 section 5.2; RFC 8693 section 2.2.2 for a bad subject or actor token.
    InvalidRequest,
    /// RFC 6749 section 5.2.
    InvalidClient,
    /// RFC 6749 section 5.2.
    UnauthorizedClient,
    /// RFC 6749 section 5.2.
    UnsupportedGrantType,
    /// RFC 6749 section 5.2.
    InvalidScope,
    /// RFC 8707 section 2, RFC 8693 section 2.2.2.
    InvalidTarget,
    /// RFC 9396 section 5.
    InvalidAuthorizationDetails,
    /// OAuth Actor Profile: the actor may not act here.
    ActorUnauthorized,
    /// RFC 9449 section 5.
    InvalidDpopProof,
    /// RFC 9449 section 8.
    UseDpopNonce,
    /// RFC 9470 section 3, in a token response: the person must be authenticated otherwise (SU-1).
    InsufficientUserAuthentication,
    /// RFC 8628 section 3.5, the one registered code that is about asking too often.
    SlowDown,
    /// RFC 6749 section 4.1.2.1, used where something we need cannot be reached.
    TemporarilyUnavailable,
    /// RFC 6749 section 4.1.2.1.
    ServerError,
    /// RFC 6749 section 4.1.2.1: there is no interactive login here.
    UnsupportedResponseType,
}

impl Code {
    /// The registered text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::InvalidRequest => "invalid_request",
            Code::InvalidClient => "invalid_client",
            Code::UnauthorizedClient => "unauthorized_client",
            Code::UnsupportedGrantType => "unsupported_grant_type",
            Code::InvalidScope => "invalid_scope",
            Code::InvalidTarget => "invalid_target",
            Code::InvalidAuthorizationDetails => "invalid_authorization_details",
            Code::ActorUnauthorized => "actor_unauthorized",
            Code::InvalidDpopProof => "invalid_dpop_proof",
            Code::UseDpopNonce => "use_dpop_nonce",
            Code::InsufficientUserAuthentication => "insufficient_user_authentication",
            Code::SlowDown => "slow_down",
            Code::TemporarilyUnavailable => "temporarily_unavailable",
            Code::ServerError => "server_error",
            Code::UnsupportedResponseType => "unsupported_response_type",
        }
    }
}
