//! A client on `rmcp` and its own client-credentials provider, as they ship: a program for the tests.
//!
//! `SERVER` is the URL of an MCP server, `CLIENT_ID` and `CLIENT_SECRET` who asks, and `PIN`, if it is
//! there, the version of the protocol; else the session is opened as clients of 2025 do.

use std::{env, error::Error, io::Write as _};

use rmcp::{
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt as _},
    transport::{
        StreamableHttpClientTransport,
        auth::{AuthClient, ClientCredentialsConfig, OAuthState},
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = env::var("SERVER")?;
    let mut state = OAuthState::new(&server, None).await?;
    let config = ClientCredentialsConfig::ClientSecret {
        client_id: env::var("CLIENT_ID")?,
        client_secret: env::var("CLIENT_SECRET")?,
        scopes: vec!["tickets:read".to_owned()],
        resource: Some(server.clone()),
    };
    state.authenticate_client_credentials(config).await?;
    let manager = state.into_authorization_manager().ok_or("no token was asked for")?;
    let client = AuthClient::new(reqwest::Client::builder().no_proxy().build()?, manager);
    let lifecycle = match env::var("PIN") {
        Err(_) => ClientLifecycleMode::Initialize,
        Ok(_) => ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    };
    let transport = StreamableHttpClientTransport::with_client(
        client,
        StreamableHttpClientTransportConfig::with_uri(server),
    );
    let session = ().serve_with_lifecycle(transport, lifecycle).await?;
    let arguments = json!({ "id": 4711 }).as_object().cloned().unwrap_or_default();
    let call = CallToolRequestParams::new("tickets.get").with_arguments(arguments);
    let result = session.call_tool(call).await?;
    write!(std::io::stdout(), "{}", serde_json::to_string(&result.content)?)?;
    session.cancel().await?;
    Ok(())
}
