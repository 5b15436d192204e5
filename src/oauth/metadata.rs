//! The documents from which clients configure themselves: authorization server metadata
//! (RFC 8414, served also under the OpenID Connect names) and protected resource metadata
//! (RFC 9728). Only what is built is advertised, with one exception: `authorization_endpoint`,
//! without which no MCP SDK accepts the document.

use super::token_type::{GRANT_CLIENT_CREDENTIALS, GRANT_TOKEN_EXCHANGE, TokenType};
use crate::{
    base::compose::ObjectWriter,
    model::{client::AuthMethod, resource::Resource, scope::ScopeToken, signing::SigningAlgorithm},
};

/// The authorization server metadata of `issuer`. MD-1 … MD-3.
///
/// `verified` are the names of the algorithms with which clients may sign.
pub fn authorization_server(issuer: &str, verified: &[&str]) -> String {
    let at = |path: &str| format!("{issuer}{path}");
    let signing = || SigningAlgorithm::ALL.into_iter().map(SigningAlgorithm::as_str);
    let methods = || AuthMethod::ALL.into_iter().map(AuthMethod::as_str);
    ObjectWriter::new()
        .text("issuer", issuer)
        .text("authorization_endpoint", &at("/authorize"))
        .text("token_endpoint", &at("/token"))
        .text("introspection_endpoint", &at("/introspect"))
        .text("revocation_endpoint", &at("/revoke"))
        .text("jwks_uri", &at("/jwks"))
        .texts("grant_types_supported", [GRANT_TOKEN_EXCHANGE, GRANT_CLIENT_CREDENTIALS])
        .texts("response_types_supported", ["code"])
        .texts("code_challenge_methods_supported", ["S256"])
        .texts("subject_types_supported", ["public"])
        .texts("id_token_signing_alg_values_supported", signing())
        .texts("token_endpoint_auth_methods_supported", methods())
        .texts("introspection_endpoint_auth_methods_supported", methods())
        .texts("revocation_endpoint_auth_methods_supported", methods())
        // RFC 9701 section 7.
        .texts("introspection_signing_alg_values_supported", signing())
        // RFC 8414 section 2: required where `private_key_jwt` is listed, and never symmetric.
        .texts("token_endpoint_auth_signing_alg_values_supported", verified.iter().copied())
        .texts("introspection_endpoint_auth_signing_alg_values_supported", verified.iter().copied())
        .texts("revocation_endpoint_auth_signing_alg_values_supported", verified.iter().copied())
        // RFC 9449 section 5.1.
        .texts("dpop_signing_alg_values_supported", verified.iter().copied())
        .texts("authorization_details_types_supported", ["mcp_tool_call"])
        .raw("actor_profile_token_exchange", &actor_profile())
        .raw("entity_profiles_supported", ENTITY_PROFILES)
        .finish()
}

/// ACT-24.
fn actor_profile() -> String {
    ObjectWriter::new()
        .texts("subject_token_types_supported", TokenType::ALL.into_iter().map(TokenType::as_str))
        .texts("actor_token_types_supported", [TokenType::AccessToken.as_str()])
        .texts(
            "requested_token_types_supported",
            [TokenType::AccessToken.as_str(), TokenType::Jwt.as_str()],
        )
        .finish()
}

const ENTITY_PROFILES: &str =
    r#"{"client":["ai_agent","service"],"subject":["user","ai_agent"],"actor":["ai_agent"]}"#;

/// The protected resource metadata of one resource, for its server to serve or proxy. PR-1.
pub fn protected_resource(issuer: &str, resource: &Resource) -> String {
    ObjectWriter::new()
        .text("resource", resource.uri.as_str())
        .text("resource_name", &resource.name)
        .texts("authorization_servers", [issuer])
        .texts("scopes_supported", resource.scopes.iter().map(ScopeToken::as_str))
        .texts("bearer_methods_supported", ["header"])
        .texts("authorization_details_types_supported", ["mcp_tool_call"])
        .finish()
}
