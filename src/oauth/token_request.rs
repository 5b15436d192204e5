//! The token request (RFC 6749 section 3.2, RFC 8693 section 2.1), parsed once into types before
//! any branch is taken.

use super::{
    details::{self, RequestedEntry},
    params::{ParamError, Params, required},
    token_type::{GRANT_CLIENT_CREDENTIALS, GRANT_TOKEN_EXCHANGE, TokenType},
};
use crate::{base::secret::Secret, model::scope::Scope};

/// What a client asks of the token endpoint.
#[derive(Debug)]
pub enum TokenRequest {
    /// RFC 8693.
    Exchange(ExchangeRequest),
    /// RFC 6749 section 4.4.
    ClientCredentials(Wanted),
}

/// A token exchange.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// On whose behalf.
    pub subject: PresentedToken,
    /// May only confirm the authenticated client.
    pub actor: Option<PresentedToken>,
    /// What should come out of it.
    pub wanted: Wanted,
}

/// A token as it was handed in: nothing about it is proved.
#[derive(Debug)]
pub struct PresentedToken {
    /// Its bytes.
    pub token: Secret<String>,
    /// What the client says it is.
    pub declared: TokenType,
}

/// What should come out.
#[derive(Debug, Default)]
pub struct Wanted {
    /// `resource` and `audience` values, as sent.
    pub targets: Vec<String>,
    /// `requested_token_type`.
    pub token_type: Option<TokenType>,
    /// `scope`.
    pub scope: Option<Scope>,
    /// `authorization_details`.
    pub details: Option<Vec<RequestedEntry>>,
}

/// Why a request is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// `invalid_request`.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// `unsupported_grant_type`.
    #[error("this server offers token exchange (RFC 8693) and client_credentials")]
    GrantType,
    /// `invalid_scope`.
    #[error("{0}")]
    Scope(#[from] crate::model::scope::NotAScope),
    /// `invalid_authorization_details`.
    #[error("{0}")]
    Details(String),
}

impl TokenRequest {
    /// Reads the request.
    pub fn parse(params: &impl Params) -> Result<TokenRequest, RequestError> {
        match required(params, "grant_type")? {
            GRANT_TOKEN_EXCHANGE => Ok(TokenRequest::Exchange(ExchangeRequest {
                subject: subject(params)?,
                actor: actor(params)?,
                wanted: wanted(params)?,
            })),
            GRANT_CLIENT_CREDENTIALS => Ok(TokenRequest::ClientCredentials(wanted(params)?)),
            _ => Err(RequestError::GrantType),
        }
    }
}

/// RFC 8693 section 2.1: `subject_token` and `subject_token_type` are REQUIRED. TX-2.
fn subject(params: &impl Params) -> Result<PresentedToken, ParamError> {
    let token = required(params, "subject_token")?;
    let declared = required(params, "subject_token_type")?;
    let declared = TokenType::parse(declared).ok_or(UNKNOWN_SUBJECT_TYPE)?;
    Ok(PresentedToken { token: Secret::new(token.to_owned()), declared })
}

/// RFC 8693 section 2.1: `actor_token_type` is REQUIRED when `actor_token` is present and MUST NOT
/// be present otherwise. TX-2.
fn actor(params: &impl Params) -> Result<Option<PresentedToken>, ParamError> {
    match (params.one("actor_token"), params.one("actor_token_type")) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(ParamError::Missing("actor_token_type")),
        (None, Some(_)) => Err(ParamError::Unacceptable {
            name: "actor_token_type",
            problem: "must not be sent without actor_token",
        }),
        (Some(token), Some(declared)) => {
            let declared = TokenType::parse(declared).ok_or(UNKNOWN_ACTOR_TYPE)?;
            Ok(Some(PresentedToken { token: Secret::new(token.to_owned()), declared }))
        }
    }
}

fn wanted(params: &impl Params) -> Result<Wanted, RequestError> {
    let mut targets: Vec<String> = Vec::new();
    for target in params.all("resource").into_iter().chain(params.all("audience")) {
        if !targets.iter().any(|t| t == target) {
            targets.push(target.to_owned());
        }
    }
    let token_type = match params.one("requested_token_type") {
        None => None,
        Some(uri) => Some(TokenType::parse(uri).ok_or(UNKNOWN_REQUESTED_TYPE)?),
    };
    let scope = params.one("scope").map(Scope::parse).transpose()?;
    let details = params
        .one("authorization_details")
        .map(details::parse)
        .transpose()
        .map_err(|e| RequestError::Details(e.to_string()))?;
    Ok(Wanted { targets, token_type, scope, details })
}

const UNKNOWN_SUBJECT_TYPE: ParamError = ParamError::Unacceptable {
    name: "subject_token_type",
    problem: "must be the URI of access_token, id_token or jwt (RFC 8693 section 3)",
};
const UNKNOWN_ACTOR_TYPE: ParamError = ParamError::Unacceptable {
    name: "actor_token_type",
    problem: "must be the URI of access_token or jwt (RFC 8693 section 3)",
};
const UNKNOWN_REQUESTED_TYPE: ParamError = ParamError::Unacceptable {
    name: "requested_token_type",
    problem: "must be the URI of access_token or jwt (RFC 8693 section 3)",
};
