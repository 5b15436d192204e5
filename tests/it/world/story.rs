//! Who is in the world, as documents. A support agent reads tickets for Alice and may hand refunds
//! over to a billing agent; the refund server may look things up in a ledger. Everything else that
//! a test needs it writes itself.

use std::sync::OnceLock;

use deputy::base::secret::Secret;
use serde_json::{Value, json};

use super::World;

/// The audience of tokens that are meant for Deputy.
pub const AUDIENCE: &str = "deputy";
/// The support agent's client id at the identity provider.
pub const FOREIGN_CLIENT: &str = "support-desk";
/// The scope that its access tokens carry there.
pub const FOREIGN_SCOPE: &str = "assist";

/// Where tickets are.
pub const TICKETS: &str = "https://tickets.example/mcp";
/// Where old tickets are: the same server as [`TICKETS`].
pub const ARCHIVE: &str = "https://archive.example/mcp";
/// Where refunds are.
pub const REFUNDS: &str = "https://refunds.example/mcp";
/// What the refund server asks in turn.
pub const LEDGER: &str = "https://ledger.example/mcp";
/// A server that looks at scopes only.
pub const STATS: &str = "https://stats.example/api";

/// The agents.
pub const SUPPORT: &str = "urn:agent:support";
/// May do refunds only.
pub const BILLING: &str = "urn:agent:billing";
/// The refund server, which is an agent too.
pub const REFUND_DESK: &str = "urn:agent:refunds";

/// Writes everybody into the world.
pub async fn tell(world: &World) {
    for client in clients() {
        world.put_client(client).await;
    }
    world.put(&resources()).await;
    world.put(&tools(world)).await;
    world.put(&[("issuer", "corp", identity_provider(&world.issuer.url()))]).await;
    world.put(&edges()).await;
}

fn clients() -> Vec<Value> {
    let everything = json!([
        { "resource": "tickets", "scope": "tickets:read tickets:write" },
        { "resource": "archive", "scope": "archive:read" },
        { "resource": "refunds", "scope": "refunds:read refunds:write" },
        { "resource": "ledger", "scope": "ledger:read" },
        { "resource": "stats", "scope": "stats:read" },
    ]);
    let refunds = json!([{ "resource": "refunds", "scope": "refunds:read" }]);
    let ledger = json!([{ "resource": "ledger", "scope": "ledger:read" }]);
    vec![
        agent("support", SUPPORT, &everything),
        agent("billing", BILLING, &refunds),
        agent("refunds", REFUND_DESK, &ledger),
        json!({ "client_id": "cl_tickets", "name": "Ticket server" }),
        json!({ "client_id": "cl_ledger", "name": "Ledger" }),
    ]
}

/// An agent's document.
pub fn agent(name: &str, uri: &str, allowance: &Value) -> Value {
    json!({
        "client_id": format!("cl_{name}"),
        "name": name,
        "agent": { "uri": uri, "allowance": allowance },
    })
}

fn resources() -> [(&'static str, &'static str, Value); 5] {
    let resource = |id, uri: &str, owner: &str, scopes: Value| {
        let document = json!({
            "id": id, "resource": uri, "owner": owner, "name": id, "scopes_supported": scopes,
        });
        ("resource", id, document)
    };
    let mut stats = resource("stats", STATS, "cl_ledger", json!(["stats:read"]));
    stats.2["enforces"] = json!("scope");
    [
        resource(
            "tickets",
            TICKETS,
            "cl_tickets",
            json!(["tickets:read", "tickets:write", "tickets:delete"]),
        ),
        resource("archive", ARCHIVE, "cl_tickets", json!(["archive:read"])),
        resource("refunds", REFUNDS, "cl_refunds", json!(["refunds:read", "refunds:write"])),
        resource("ledger", LEDGER, "cl_ledger", json!(["ledger:read"])),
        stats,
    ]
}

fn tools(world: &World) -> Vec<(&'static str, &'static str, Value)> {
    let now = world.deputy.now().epoch_s();
    let tool = |id: &'static str, scope: &str, effect: &str| {
        let (resource, _) = id.split_once('.').unwrap();
        let document = json!({
            "resource": resource, "name": id, "scopes": [scope], "effect": effect,
            "input_schema": { "type": "object" }, "changed_at": 0, "changed_on": now,
        });
        ("tool", id, document)
    };
    vec![
        tool("tickets.get", "tickets:read", "read"),
        tool("tickets.update", "tickets:write", "write"),
        tool("tickets.delete", "tickets:delete", "destructive"),
        tool("archive.get", "archive:read", "read"),
        tool("refunds.list", "refunds:read", "read"),
        tool("refunds.export", "refunds:read", "egress"),
        tool("refunds.issue", "refunds:write", "destructive"),
        tool("ledger.get", "ledger:read", "read"),
    ]
}

fn identity_provider(url: &str) -> Value {
    let gives = json!([
        { "resource": "tickets", "scope": "tickets:read tickets:write tickets:delete" },
        { "resource": "archive", "scope": "archive:read" },
        { "resource": "refunds", "scope": "refunds:read refunds:write" },
        { "resource": "ledger", "scope": "ledger:read" },
        { "resource": "stats", "scope": "stats:read" },
    ]);
    json!({
        "issuer": url,
        "alias": "corp",
        "primary": true,
        "keys": { "discovery": true },
        "algorithms": ["ES256", "RS256"],
        "access_tokens": { "audiences": [AUDIENCE] },
        "id_tokens": true,
        "agents": { "cl_support": [FOREIGN_CLIENT], "cl_billing": ["billing-desk"] },
        "grant_rules": [
            {
                "kind": "access_token", "foreign_scope": FOREIGN_SCOPE,
                "claims": { "groups": ["support"] }, "gives": gives,
            },
            {
                "kind": "id_token", "claims": { "groups": ["support"] },
                "gives": [{ "resource": "tickets", "scope": "tickets:read" }],
            },
        ],
    })
}

fn edges() -> Vec<(&'static str, &'static str, Value)> {
    let edge = |id: &'static str, ceiling: Value| {
        let (from, to) = id.split_once('>').unwrap();
        let edge = json!({ "from": from, "to": to, "ceiling": ceiling, "effects": ["read"] });
        ("edge", id, edge)
    };
    let refunds = json!([{ "resource": "refunds", "scope": "refunds:read" }]);
    let ledger = json!([{ "resource": "ledger", "scope": "ledger:read" }]);
    vec![edge("cl_support>cl_billing", refunds), edge("cl_support>cl_refunds", ledger)]
}

/// An argon2id hash that costs a test nothing. A real one is ours to bear only where somebody
/// could steal it.
pub fn cheap_hash(secret: &Secret<String>) -> String {
    use argon2::{
        Algorithm, Argon2, Params, Version,
        password_hash::{PasswordHasher as _, phc::PasswordHash},
    };
    static CHEAP: OnceLock<Argon2<'static>> = OnceLock::new();
    let argon2 = CHEAP.get_or_init(|| {
        let params = Params::new(8, 1, 1, None).unwrap();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    });
    let hash: PasswordHash =
        argon2.hash_password_with_salt(secret.expose().as_bytes(), &[7; 16]).unwrap();
    hash.to_string()
}
