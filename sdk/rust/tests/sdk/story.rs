//! The story: a summary, an injected instruction, a hand-over, a revocation; in both eras.

use deputy_client::{
    agent::{Subject, Token, Want},
    authority::{Constraint, Tools},
    error::ExchangeError,
};
use rmcp::{
    RoleClient,
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt as _, RunningService},
    transport::{
        StreamableHttpClientTransport,
        auth::AuthClient,
        streamable_http_client::{StreamableHttpClient, StreamableHttpClientTransportConfig},
    },
};
use serde_json::{Value, json};

use crate::{servers::TICKET, world::World};

/// An open MCP session under one token.
pub struct Session(RunningService<RoleClient, ()>);

#[derive(Clone, Copy)]
pub enum Era {
    Legacy,
    Modern,
}

pub const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

impl Session {
    pub async fn open(era: Era, url: &str, token: &Token) -> Session {
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token.expose());
        Session::over(era, StreamableHttpClientTransport::with_client(http(), config)).await
    }

    /// A session for which the provider of `rmcp` gets the tokens.
    pub async fn with(era: Era, url: &str, provider: AuthClient<reqwest::Client>) -> Session {
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        Session::over(era, StreamableHttpClientTransport::with_client(provider, config)).await
    }

    async fn over<C>(era: Era, transport: StreamableHttpClientTransport<C>) -> Session
    where
        C: StreamableHttpClient + Send + Sync + 'static,
    {
        let lifecycle = match era {
            Era::Legacy => ClientLifecycleMode::Initialize,
            Era::Modern => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
        };
        Session(().serve_with_lifecycle(transport, lifecycle).await.unwrap())
    }

    /// What a tool said, marked if it is an error.
    pub async fn call(&self, tool: &'static str, arguments: Value) -> String {
        let arguments = arguments.as_object().cloned().unwrap();
        let call = CallToolRequestParams::new(tool).with_arguments(arguments);
        match self.0.call_tool(call).await {
            Err(error) => format!("challenged: {}", error.auth_challenge().unwrap_or_default()),
            Ok(result) => {
                let texts = result.content.iter().filter_map(|block| block.as_text());
                let text: String = texts.map(|text| text.text.as_str()).collect();
                if result.is_error == Some(true) { format!("error: {text}") } else { text }
            }
        }
    }
}

pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn the_delegated_call_runs_and_the_injected_one_is_denied() {
    let world = World::new().await;
    let tools = Tools::new().tool("tickets.get", [("id", Constraint::exact(4711))]);
    let want = Want::tools(&world.tickets.url, &tools);
    let token = world.support().token(&world.person("alice"), &want).await.unwrap();
    for era in ERAS {
        let session = Session::open(era, &world.tickets.url, &token).await;
        assert_eq!(session.call("tickets.get", json!({ "id": 4711 })).await, TICKET);
        let other = session.call("tickets.get", json!({ "id": 4712 })).await;
        assert!(other.starts_with("error: denied: `tickets.get`: "), "{other}");
        assert!(other.contains("argument_not_permitted"), "{other}");
        let close = session.call("tickets.close", json!({ "id": 4711 })).await;
        assert!(close.contains("tool_not_delegated"), "{close}");
        let ran = vec![("tickets.get".to_owned(), json!({ "id": 4711 }))];
        assert_eq!(world.tickets.ran(), ran);
    }
}

#[tokio::test]
async fn alice_stays_the_subject_through_two_agents() {
    let world = World::new().await;
    let url = &world.refunds.url;
    let tools = Tools::new().tool("refunds.list", [("order_id", Constraint::exact("A-17"))]);
    let handed = world.handed_over("alice", url, tools.clone()).await;
    let handed = Subject::hand_over(handed.expose());
    let token = world.billing().token(&handed, &Want::tools(url, &tools)).await.unwrap();
    for era in ERAS {
        let session = Session::open(era, url, &token).await;
        let said = session.call("refunds.list", json!({ "order_id": "A-17" })).await;
        assert_eq!(said, "alice > cl_support-agent > cl_billing-agent");
        let wide = session.call("refunds.list", json!({ "order_id": "*" })).await;
        assert!(wide.contains("argument_not_permitted"), "{wide}");
        let export = session.call("refunds.export", json!({ "days": 30 })).await;
        assert!(export.contains("tool_not_delegated"), "{export}");
        assert_eq!(world.refunds.ran().len(), 1);
    }
}

#[tokio::test]
async fn a_revocation_between_two_calls_of_an_open_session_bites_at_once() {
    let world = World::new().await;
    let want = Want::scope(&world.tickets.url, "tickets:read");
    for (era, sub) in ERAS.into_iter().zip(["alice", "bob"]) {
        let (agent, person) = (world.support(), world.person(sub));
        let token = agent.token(&person, &want).await.unwrap();
        let session = Session::open(era, &world.tickets.url, &token).await;
        assert_eq!(session.call("tickets.get", json!({ "id": 1 })).await, TICKET);
        world.revoke(sub).await;
        let said = session.call("tickets.get", json!({ "id": 1 })).await;
        assert!(said.starts_with("challenged: Bearer error=\"invalid_token\""), "{said}");
        assert_eq!(world.tickets.ran().len(), 1);
        agent.forget(&person, &want, &token);
        let refused = agent.token(&person, &want).await.unwrap_err();
        assert!(matches!(&refused, ExchangeError::Refused(no) if no.error_id.is_some()));
        assert!(refused.to_string().contains("error id"), "{refused}");
    }
}
