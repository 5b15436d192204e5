//! Answers that need something to go wrong: another instance that is faster, a database that is away.

use reqwest::{RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::Walk;
use crate::world::{contract::CONTRACT, story::TICKETS, wire::Answer};

/// What is refused when another instance wrote between our reading and our writing. Only PostgreSQL
/// has other instances.
pub const OVERTAKEN: &[&str] = &[
    "replaceClient",
    "replaceResource",
    "replaceTool",
    "replaceIssuer",
    "replaceEdge",
    "importTools",
    "replacePolicies",
    "deleteSecret",
    "replaceOperatorToken",
    "resealKeys",
    "retireKey",
    "erasePerson",
];

const BEGIN: &str = "BEGIN";
/// What every configuration change of another instance does first.
const RAISE: &str = "UPDATE head SET revision = revision + 1, configured = revision + 1";
const COMMIT: &str = "COMMIT";
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

impl Walk {
    /// Whether there can be other instances; if so, each change is overtaken by one.
    pub async fn be_overtaken(&mut self) -> bool {
        let database = self.world.deputy.options().database.clone();
        if !database.starts_with("postgres") {
            return false;
        }
        let mut theirs = PgConnection::connect(&database).await.unwrap();
        let mut watch = PgConnection::connect(&database).await.unwrap();
        for request in self.changes().await {
            sqlx::query(BEGIN).execute(&mut theirs).await.unwrap();
            sqlx::query(RAISE).execute(&mut theirs).await.unwrap();
            let commit = async {
                // Ours has read, and waits with what it would write.
                while sqlx::query_scalar::<_, i64>(WAITING).fetch_one(&mut watch).await.unwrap()
                    == 0
                {
                    tokio::task::yield_now().await;
                }
                sqlx::query(COMMIT).execute(&mut theirs).await.unwrap();
            };
            let (answer, ()) = tokio::join!(Answer::of(request), commit);
            assert_eq!(answer.status, 409, "{answer:?}");
            self.seen.insert((answer.operation.unwrap(), 409));
        }
        true
    }

    /// One change of each operation of [`OVERTAKEN`].
    async fn changes(&mut self) -> Vec<RequestBuilder> {
        let mut changes = Vec::new();
        for (path, member, value) in [
            ("/clients/cl_new", "enabled", json!(true)),
            ("/resources/new", "enabled", json!(true)),
            ("/issuers/new", "enabled", json!(true)),
            ("/edges/cl_billing/cl_refunds", "effects", json!(["read"])),
            ("/resources/tickets/tools/tickets.new", "effect", json!("destructive")),
        ] {
            let mut document = self.ask("GET", path, 200).await.json;
            assert_ne!(document[member], value, "{path}: nothing would be written");
            document[member] = value;
            changes.push(self.told("PUT", path, &document));
        }
        let tool = json!({ "name": "new.third", "inputSchema": { "type": "object" } });
        let import = json!({
            "tools_list": { "tools": [tool] },
            "assign": { "new.third": { "scopes": ["tickets:read"], "effect": "read" } },
        });
        changes.push(self.told("POST", "/resources/tickets/tools/import", &import));
        let rule = r#"@id("new") forbid (principal, action in Action::"call", resource);"#;
        let set = json!({ "delegation": [{ "name": "new.cedar", "text": rule }] });
        changes.push(self.told("PUT", "/policies", &set));
        let secret = self.change("POST", "/clients/cl_new/secrets", None, 201).await.json;
        let secret = secret["credential_id"].as_str().unwrap();
        let path = format!("/admin/v1/clients/cl_new/secrets/{secret}");
        changes.push(self.world.operates("DELETE", &path));
        let token = "/admin/v1/operators/audit-team/token";
        changes.push(self.world.operates("POST", token));
        let keys = self.ask("GET", "/keys", 200).await.json;
        changes.push(self.world.operates("POST", "/admin/v1/keys/reseal"));
        let retire = format!("/admin/v1/keys/{}/retire", keys["items"][0]["kid"].as_str().unwrap());
        changes.push(self.world.operates("POST", &retire));
        let person = json!({ "iss": self.world.issuer.url(), "sub": "nobody" });
        changes.push(self.told("POST", "/audit/erasures", &json!({ "subject": person })));
        assert_eq!(changes.len(), OVERTAKEN.len());
        changes
    }

    fn told(&self, method: &str, path: &str, document: &Value) -> RequestBuilder {
        let request = self.world.operates(method, &format!("/admin/v1{path}"));
        request.header(CONTENT_TYPE, "application/json").body(document.to_string())
    }

    /// Without its database the service says so, wherever it cannot answer without.
    pub async fn lose_the_database(&mut self) {
        // What was given back once is not written again.
        let token = self.world.agent("support").exchanges(&self.world.alice()).at(TICKETS);
        let token = token.scope("tickets:read").token().await;
        let back = self.world.agent("support").revokes(&token).form();
        self.good.insert("revoke".to_owned(), back);
        self.world.deputy.store().close().await.unwrap();
        let promises = CONTRACT.promises();
        for (operation, request) in std::mem::take(&mut self.good) {
            if promises[&operation].contains(&503) {
                self.send(request, 503).await;
            }
        }
    }
}
