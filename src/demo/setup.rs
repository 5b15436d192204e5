//! What an administrator does once, through the admin API: the people's identity provider, the
//! programs, the servers with their tools, and who may do what for whom. Everything here is said to
//! Deputy over HTTP, as a stranger would.

use deputy_client::{credentials, deputy::Deputy, gate::DeputyLayer};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    DemoError,
    agent::Agent,
    issuer::Issuer,
    mcp_server::{self, Desk, Door, Running},
    wire::{Credentials, TIMEOUT, Wire},
};
use crate::base::secret::Secret;

/// The audience of access tokens that are meant for Deputy.
pub const AUDIENCE: &str = "deputy";
/// The support agent's client id at the identity provider.
pub const FOREIGN_CLIENT: &str = "support-desk";
/// The scope that Alice's token was issued with.
pub const FOREIGN_SCOPE: &str = "assist";

/// The administrator's side of the admin API.
#[derive(Clone, Debug)]
pub struct Admin {
    /// How it speaks.
    pub wire: Wire,
    /// Deputy's base URL.
    pub base: String,
    /// The bootstrap token.
    pub token: Secret<String>,
}

/// A server that is registered and serving.
#[derive(Debug)]
pub struct Server {
    /// Its resource id at Deputy.
    pub id: &'static str,
    /// Its MCP endpoint and canonical URI.
    pub uri: String,
    /// Its own client at Deputy.
    pub owner: Credentials,
    _running: Running,
}

/// Everybody on stage.
#[derive(Debug)]
pub struct Cast {
    /// Where tickets are.
    pub tickets: Server,
    /// Where refunds are.
    pub refunds: Server,
    /// Reads tickets; may ask the billing agent about refunds.
    pub support: Agent,
    /// Reads refunds, and exports them for finance at the end of a month.
    pub billing: Agent,
}

impl Admin {
    /// Reads a document or a list.
    pub async fn get(&self, path: &str) -> Result<Value, DemoError> {
        self.ask(Method::GET, path, None).await
    }

    /// Creates something.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, DemoError> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Puts a document in its place.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, DemoError> {
        self.ask(Method::PUT, path, Some(body)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, DemoError> {
        let url = format!("{}/admin/v1{path}", self.base);
        let reply = self.wire.admin(method.clone(), &url, &self.token, body).await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply.body);
        }
        Err(DemoError::Refused {
            request: format!("{method} /admin/v1{path}"),
            status: reply.status,
            body: reply.body.to_string(),
        })
    }
}

/// Registers everything and starts the MCP servers.
pub async fn stage(admin: &Admin, issuer: &Issuer) -> Result<Cast, DemoError> {
    let tickets = server(admin, Desk::Tickets).await?;
    let refunds = server(admin, Desk::Refunds).await?;
    let support = json!([
        { "resource": "tickets", "scope": "tickets:read" },
        { "resource": "refunds", "scope": "refunds:read" },
    ]);
    // Month-end exports are this agent's daily bread: its own allowance does not stand in the way.
    let billing = json!([{ "resource": "refunds", "scope": "refunds:read" }]);
    let support = agent(admin, "support-agent", "urn:demo:agent:support", support).await?;
    let billing = agent(admin, "billing-agent", "urn:demo:agent:billing", billing).await?;
    identity_provider(admin, issuer).await?;
    let edge = json!({
        "ceiling": [{ "resource": "refunds", "scope": "refunds:read" }],
        "effects": ["read"],
    });
    admin.put("/edges/cl_support-agent/cl_billing-agent", &edge).await?;
    Ok(Cast { tickets, refunds, support, billing })
}

/// Trusts the identity provider, and says what its people's tokens are worth here.
async fn identity_provider(admin: &Admin, issuer: &Issuer) -> Result<(), DemoError> {
    let document = json!({
        "issuer": issuer.url(),
        "alias": "corp",
        "primary": true,
        "keys": { "discovery": true },
        "access_tokens": { "audiences": [AUDIENCE] },
        "agents": { "cl_support-agent": [FOREIGN_CLIENT] },
        "grant_rules": [{
            "kind": "access_token",
            "claims": { "groups": ["support"] },
            "foreign_scope": FOREIGN_SCOPE,
            "gives": [
                { "resource": "tickets", "scope": "tickets:read" },
                { "resource": "refunds", "scope": "refunds:read" },
            ],
        }],
    });
    admin.post("/issuers", &document).await.map(drop)
}

async fn agent(
    admin: &Admin,
    name: &'static str,
    uri: &'static str,
    allowance: Value,
) -> Result<Agent, DemoError> {
    let document = json!({
        "client_id": format!("cl_{name}"),
        "name": name,
        "agent": { "uri": uri, "allowance": allowance },
    });
    let credentials = client(admin, &document).await?;
    let token_endpoint = format!("{}/oauth2/token", admin.base);
    Ok(Agent { name, uri, credentials, token_endpoint, wire: admin.wire.clone() })
}

async fn client(admin: &Admin, document: &Value) -> Result<Credentials, DemoError> {
    let created = admin.post("/clients", document).await?;
    let text = |name: &'static str| {
        let text = created.get(name).and_then(Value::as_str);
        text.map(str::to_owned).ok_or(DemoError::Missing { member: name })
    };
    Ok(Credentials { client_id: text("client_id")?, secret: Secret::new(text("client_secret")?) })
}

async fn server(admin: &Admin, desk: Desk) -> Result<Server, DemoError> {
    let (id, name) = match desk {
        Desk::Tickets => ("tickets", "Ticket server"),
        Desk::Refunds => ("refunds", "Refund server"),
    };
    let door = Door::open().await?;
    let uri = door.uri();
    let owner = json!({ "client_id": format!("cl_{id}-server"), "name": name });
    let owner = client(admin, &owner).await?;
    let resource = json!({
        "id": id,
        "resource": uri,
        "owner": owner.client_id,
        "name": name,
        "scopes_supported": [format!("{id}:read"), format!("{id}:write")],
    });
    admin.post("/resources", &resource).await?;
    let import =
        json!({ "tools_list": mcp_server::tools_list(desk).await?, "assign": assign(desk) });
    admin.post(&format!("/resources/{id}/tools/import"), &import).await?;
    let proof = credentials::Credentials::secret(&owner.client_id, owner.secret.expose());
    let deputy = Deputy::new(&format!("{}/oauth2", admin.base), proof, &uri)?;
    let running = door.serve(desk, DeputyLayer::new(deputy.with_timeout(TIMEOUT))?);
    Ok(Server { id, uri, owner, _running: running })
}

/// What an administrator says about each tool: a server's own word is not asked for.
fn assign(desk: Desk) -> Value {
    match desk {
        Desk::Tickets => json!({
            "tickets.get": { "scopes": ["tickets:read"], "effect": "read", "keep_arguments": ["id"] },
        }),
        Desk::Refunds => json!({
            "refunds.list": {
                "scopes": ["refunds:read"], "effect": "read", "keep_arguments": ["order_id"],
            },
            "refunds.export": {
                "scopes": ["refunds:read"], "effect": "egress", "keep_arguments": ["days"],
            },
            "refunds.issue": {
                "scopes": ["refunds:write"], "effect": "destructive",
                "keep_arguments": ["order_id", "amount"],
            },
        }),
    }
}
