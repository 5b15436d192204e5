//! The `rmcp` server of the examples as it was before Deputy: the floor of a call.

use std::{env, error::Error};

use axum::{Router, serve::ListenerExt as _};
use rmcp::{
    ServerHandler,
    handler::server::wrapper::Parameters,
    schemars::{self, JsonSchema},
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

#[derive(Deserialize, JsonSchema)]
struct Ticket {
    id: i64,
}

#[derive(Clone)]
struct Tickets;

#[tool_router]
impl Tickets {
    #[tool(name = "tickets.get", description = "Read one ticket.")]
    async fn get(&self, Parameters(ticket): Parameters<Ticket>) -> String {
        format!("ticket {}", ticket.id)
    }
}

#[tool_handler]
impl ServerHandler for Tickets {}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::args().nth(1).ok_or("the port to listen on is missing")?;
    let service = StreamableHttpService::new(
        || Ok(Tickets),
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default(),
    );
    // Without this, answers in several pieces wait for acknowledgements of 40 ms.
    let at_once = |tcp: &mut TcpStream| drop(tcp.set_nodelay(true));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let app = Router::new().nest_service("/mcp", service);
    axum::serve(listener.tap_io(at_once), app).await?;
    Ok(())
}
