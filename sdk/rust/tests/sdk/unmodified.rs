//! A client that knows nothing of Deputy: the client-credentials provider that ships with `rmcp`
//! finds Deputy through the server's 401, gets a token and calls a tool.

use rmcp::transport::auth::{AuthClient, ClientCredentialsConfig, OAuthState};
use serde_json::json;

use crate::{
    servers::TICKET,
    story::{ERAS, Session, http},
    world::World,
};

#[tokio::test]
async fn the_provider_of_rmcp_gets_a_token_and_calls_a_tool() {
    let world = World::new().await;
    let url = &world.tickets.url;
    let machine = world.machine().await;
    for era in ERAS {
        let mut state = OAuthState::new(url.as_str(), None).await.unwrap();
        let (client_id, client_secret) = machine.clone();
        let config = ClientCredentialsConfig::ClientSecret {
            client_id,
            client_secret,
            scopes: vec!["tickets:read".to_owned()],
            resource: Some(url.clone()),
        };
        state.authenticate_client_credentials(config).await.unwrap();
        let manager = state.into_authorization_manager().unwrap();
        let session = Session::with(era, url, AuthClient::new(http(), manager)).await;
        assert_eq!(session.call("tickets.get", json!({ "id": 4711 })).await, TICKET);
        let close = session.call("tickets.close", json!({ "id": 4711 })).await;
        assert!(close.contains("denied"), "{close}");
        assert_eq!(world.tickets.ran().len(), 1);
    }
}
