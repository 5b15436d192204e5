//! Token type URIs (RFC 8693 section 3) and grant types.

/// RFC 8693 section 2.1.
pub const GRANT_TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 6749 section 4.4.
pub const GRANT_CLIENT_CREDENTIALS: &str = "client_credentials";

/// The token types that can be handed in or asked for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// An OAuth access token: of a trusted issuer, or one of our call tokens.
    AccessToken,
    /// An OpenID Connect ID token of a trusted issuer.
    IdToken,
    /// A JWT that is not an access token: our hand-over.
    Jwt,
}

impl TokenType {
    /// Every type.
    pub const ALL: [TokenType; 3] = [TokenType::AccessToken, TokenType::IdToken, TokenType::Jwt];

    /// The URI.
    pub const fn as_str(self) -> &'static str {
        match self {
            TokenType::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            TokenType::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            TokenType::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    /// The type with this URI; compared exactly.
    pub fn parse(uri: &str) -> Option<TokenType> {
        TokenType::ALL.into_iter().find(|t| t.as_str() == uri)
    }
}
