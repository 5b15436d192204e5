//! Every operation gives every answer that the contract promises, but for the few named here; every
//! change leaves an event; every list comes in pages. All of it walks the table of routes: a new
//! route fails here until it is provoked.

mod filters;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{
    base::{id::ClientId, secret::Fingerprint},
    engine::authenticate::new_secret,
    http::{
        admin,
        routes::{Access, Route, Side},
    },
    model::event::Kind,
    registry::operator::Role,
    store::{EventFilter, Page},
};
use reqwest::{Method, RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{
    World,
    contract::{CONTRACT, Heard},
    on_both,
    story::TICKETS,
    wire::Answer,
};

/// Answers that no request provokes here, and where they are held.
const ELSEWHERE: &[(u16, &str)] = &[
    (408, "a body takes 20 s to be too slow: `http/serve` holds it with shorter times"),
    (500, "nothing of ours fails on request: `http/error` holds what is said then"),
];

const AUDITOR: &str = "auditor-token";

/// What was seen.
struct Walk {
    world: World,
    seen: BTreeSet<(String, u16)>,
    on_record: BTreeSet<String>,
    /// The last request of each operation that was done.
    good: BTreeMap<String, RequestBuilder>,
}

on_both! {
    every_answer_that_the_contract_promises_is_given
}

async fn every_answer_that_the_contract_promises_is_given(world: World) {
    let mut walk = Walk::begin(world).await;
    for route in Side::Both.routes() {
        walk.provoke(&route).await;
    }
    walk.world.advance(1).await;
    walk.configure().await;
    walk.look_up().await;
    walk.use_protocol().await;
    walk.find_missing().await;
    let overtaken = walk.be_overtaken().await;
    walk.lose_the_database().await;
    let elsewhere = |operation: &str, status: u16| {
        ELSEWHERE.iter().any(|(s, _)| *s == status)
            || (status == 409 && !overtaken && trouble::OVERTAKEN.contains(&operation))
    };
    let mut never: BTreeMap<String, BTreeSet<u16>> = CONTRACT.promises();
    for (operation, statuses) in &mut never {
        let given = |status: &u16| walk.seen.contains(&(operation.clone(), *status));
        statuses.retain(|status| !given(status) && !elsewhere(operation, *status));
    }
    never.retain(|_, statuses| !statuses.is_empty());
    assert!(never.is_empty(), "promised and never given: {never:#?}");
    let changes = admin::ROUTES.iter().filter(|r| r.access == admin::Access::Change);
    let changes: BTreeSet<String> = changes.map(|r| r.operation.to_owned()).collect();
    assert_eq!(walk.on_record, changes, "a change without an event, or never made");
}

impl Walk {
    async fn begin(world: World) -> Walk {
        let hash = URL_SAFE_NO_PAD.encode(Fingerprint::of(AUDITOR.as_bytes()).as_bytes());
        let auditor =
            json!({ "name": "auditor", "token_hash": hash, "role": Role::Auditor.as_str() });
        world.put(&[("operator", "auditor", auditor)]).await;
        let (seen, on_record) = (BTreeSet::new(), BTreeSet::new());
        Walk { world, seen, on_record, good: BTreeMap::new() }
    }

    async fn send(&mut self, request: RequestBuilder, status: u16) -> Answer {
        let again = request.try_clone().unwrap();
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if let Some(operation) = &answer.operation {
            self.seen.insert((operation.clone(), status));
            if (200..300).contains(&status) {
                self.good.insert(operation.clone(), again);
            }
        }
        answer
    }

    /// An operator's request without a body.
    async fn ask(&mut self, method: &str, path: &str, status: u16) -> Answer {
        let request = self.world.operates(method, &format!("/admin/v1{path}"));
        self.send(request, status).await
    }

    /// An operator's change; it has an event if it was made.
    async fn change(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        status: u16,
    ) -> Answer {
        let mut request = self.world.operates(method, &format!("/admin/v1{path}"));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        self.recorded(request, status).await
    }

    /// An operator's replacement of one version of a document.
    async fn replace_version(&mut self, path: &str, version: &str, body: &Value, status: u16) {
        let request = self.world.operates("PUT", &format!("/admin/v1{path}"));
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        self.recorded(request.header("if-match", version), status).await;
    }

    async fn recorded(&mut self, request: RequestBuilder, status: u16) -> Answer {
        let before = self.events().await;
        let answer = self.send(request, status).await;
        let made = (200..300).contains(&status);
        let events = self.events().await - before;
        // A key is taken out, and then what grew from it is ended; an erasure is ordered, and done.
        let twice = matches!(answer.operation.as_deref(), Some("retireKey" | "erasePerson"));
        let changes = if twice { 2 } else { 1 };
        assert_eq!(events, changes * usize::from(made), "one event for one change: {answer:?}");
        if let (true, Some(operation)) = (made, &answer.operation) {
            self.on_record.insert(operation.clone());
        }
        answer
    }

    /// How many events of operators there are. Others come when they come: what failed before
    /// anybody was known is summed up once a minute.
    async fn events(&self) -> usize {
        let store = self.world.deputy.store();
        store.writer().flush().await.unwrap();
        let mut events = 0;
        for kind in [Kind::Configuration, Kind::Revocation, Kind::Inquiry] {
            let filter = EventFilter { kind: Some(kind), ..EventFilter::default() };
            let listed = store.events(&filter, &Page { after: None, limit: 1_000 }).await.unwrap();
            assert!(listed.items.len() < 1_000, "a page does not hold them");
            events += listed.items.len();
        }
        events
    }

    /// What every route of its sort answers, whatever it is for.
    async fn provoke(&mut self, route: &Route) {
        let path = route.path_under("/oauth2").replace(['{', '}'], "");
        let method = route.method.as_str();
        self.raw(&format!("{method} {path} HTTP/1.1\r\n"), 400).await;
        match route.access() {
            Access::Public => self.provoke_by_many_fields(method, &path).await,
            Access::Client => self.provoke_form(method, &path).await,
            Access::Gateway => self.provoke_gateway(method, &path).await,
            Access::Operator(role) => self.provoke_operation(method, &path, role).await,
        }
    }

    async fn provoke_by_many_fields(&mut self, method: &str, path: &str) {
        let many = "x-field: 1\r\n".repeat(65);
        self.raw(&format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{many}"), 431).await;
    }

    async fn provoke_form(&mut self, method: &str, path: &str) {
        const FORM: &str = "application/x-www-form-urlencoded";
        let request = self.world.asks(method, path).header(CONTENT_TYPE, FORM);
        let request = request.body("token=x&grant_type=client_credentials");
        self.send(request.try_clone().unwrap(), 401).await;
        self.guess(&request).await;
        self.send(request.basic_auth("cl_nobody", Some("nothing")), 401).await;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\n");
        self.raw(&format!("{head}content-length: 99999999\r\n"), 413).await;
        let long = "x".repeat(10_000);
        self.raw(&format!("{head}authorization: Basic {long}\r\n"), 431).await;
    }

    async fn provoke_gateway(&mut self, method: &str, path: &str) {
        self.provoke_by_many_fields(method, path).await;
        let request = self.world.asks(method, path).header(CONTENT_TYPE, "application/json");
        let request = request.body("{}");
        self.send(request.try_clone().unwrap(), 401).await;
        self.guess(&request).await;
        self.send(request.basic_auth("cl_nobody", Some("nothing")), 401).await;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n");
        let head = format!("{head}content-type: application/json\r\n");
        self.raw(&format!("{head}content-length: 99999999\r\n"), 413).await;
    }

    /// A secret of the right make that is not the client's, and at once another.
    async fn guess(&mut self, request: &RequestBuilder) {
        let client = ClientId::parse("cl_support").unwrap();
        for (guess, status) in [(1, 401), (2, 429)] {
            let tag = &self.world.deputy.snapshot().config.macs.secret_tag;
            let secret = new_secret(tag, &client, &[guess; 32]);
            let request = request.try_clone().unwrap();
            let request = request.basic_auth(client.as_str(), Some(secret.expose()));
            self.send(request, status).await;
        }
    }

    async fn provoke_operation(&mut self, method: &str, path: &str, role: Role) {
        self.provoke_by_many_fields(method, path).await;
        let request = self.world.asks(method, path);
        self.send(request.try_clone().unwrap(), 401).await;
        self.send(request.bearer_auth("da_nobody"), 401).await;
        if role == Role::Admin {
            let request = self.world.asks(method, path).bearer_auth(AUDITOR);
            self.send(request, 403).await;
        }
        let below = path.trim_start_matches(admin::PREFIX);
        let known = |r: &&admin::Route| {
            r.method.as_str() == method && r.path.replace(['{', '}'], "") == below
        };
        if admin::ROUTES.iter().find(known).is_some_and(|r| r.body_max.is_some()) {
            let request = self.world.operates(method, path).header(CONTENT_TYPE, "text/plain");
            self.send(request.body("{}"), 415).await;
            let request = self.world.operates(method, path).build().unwrap();
            let token = request.headers()["authorization"].to_str().unwrap().to_owned();
            let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n");
            let head = format!("{head}content-type: application/json\r\n");
            self.raw(&format!("{head}content-length: 99999999\r\n"), 413).await;
        }
    }

    /// Sends a head as it stands, and no body.
    async fn raw(&mut self, bytes: &str, status: u16) {
        let address = self.world.url.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).await.unwrap();
        // It may hang up as soon as it has had enough.
        _ = socket.write_all(format!("{bytes}connection: close\r\n\r\n").as_bytes()).await;
        let mut answer = Vec::new();
        _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (told, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut request = bytes.split(' ');
        let heard = Heard {
            method: request.next().unwrap(),
            path: request.next().unwrap(),
            status: told.split(' ').nth(1).unwrap().parse().unwrap(),
            content_type: field(told, "content-type"),
            body,
        };
        assert_eq!(heard.status, status, "{heard:?}");
        if let Some(operation) = CONTRACT.holds(heard) {
            self.seen.insert((operation, status));
        }
    }

    /// What an operator changes, and what of it is refused.
    async fn configure(&mut self) {
        let client = json!({
            "client_id": "cl_new", "name": "New",
            "agent": { "uri": "urn:agent:new", "allowance": [] },
        });
        let resource = json!({
            "id": "new", "resource": "https://new.example/mcp", "owner": "cl_tickets",
            "name": "New", "scopes_supported": ["new:read"],
        });
        let mut issuer = self.ask("GET", "/issuers/corp", 200).await.json;
        issuer["alias"] = json!("new");
        issuer["issuer"] = json!("https://new.example");
        issuer["primary"] = json!(false);
        for (path, named, document) in [
            ("/clients", "/clients/cl_new", client),
            ("/resources", "/resources/new", resource),
            ("/issuers", "/issuers/new", issuer),
        ] {
            self.change("POST", path, Some(&document), 201).await;
            self.change("POST", path, Some(&document), 409).await;
            self.change("POST", path, Some(&json!([])), 400).await;
            let mut changed = self.ask("GET", named, 200).await.json;
            changed["enabled"] = json!(false);
            self.replace_version(named, "\"99\"", &changed, 412).await;
            self.replace_version(named, "\"1\"", &changed, 200).await;
        }
        let edge = json!({ "ceiling": [{ "resource": "tickets", "scope": "tickets:read" }] });
        self.replace("/edges/cl_billing/cl_refunds", &edge, ("effects", json!(["write"]))).await;
        let tool = json!({
            "scopes": ["tickets:read"], "effect": "read", "input_schema": { "type": "object" },
        });
        self.replace("/resources/tickets/tools/tickets.new", &tool, ("effect", json!("write")))
            .await;
        self.import_tools().await;
        self.change("POST", "/keys/reseal", None, 200).await;
        self.change("POST", "/keys/rotate", None, 201).await;
        self.change("POST", "/keys/rotate", None, 409).await;
        let keys = self.ask("GET", "/keys", 200).await.json;
        let waits = keys["items"][0]["kid"].as_str().unwrap();
        self.change("POST", &format!("/keys/{waits}/retire"), None, 200).await;
        self.secrets().await;
        self.operators().await;
        self.policies().await;
        let person = json!({ "iss": self.world.issuer.url(), "sub": "nobody" });
        self.change("POST", "/audit/erasures", Some(&json!({ "subject": person })), 200).await;
        let order = json!({ "agent": "cl_new" });
        self.asks("/revocations/preview", &order, 200).await;
        self.change("POST", "/revocations", Some(&order), 200).await;
        let question = json!({
            "subject": { "issuer": "corp", "sub": "alice", "claims": { "groups": ["support"] } },
            "agents": ["cl_support"], "resource": "tickets", "tool": "tickets.get",
            "arguments": {},
        });
        self.change("POST", "/simulations", Some(&question), 200).await;
    }

    /// Tools as their server lists them, and what it changes of them later.
    async fn import_tools(&mut self) {
        let listed = |schema: Value| {
            let tool = |name: &str| json!({ "name": name, "inputSchema": schema });
            let assigned = json!({ "scopes": ["tickets:read"], "effect": "read" });
            json!({
                "tools_list": { "tools": [tool("new.get"), tool("new.put"), tool("new.wait")] },
                "assign": { "new.get": assigned, "new.put": assigned, "new.wait": assigned },
            })
        };
        let import = "/resources/tickets/tools/import";
        let first = listed(json!({ "type": "object" }));
        self.change("POST", import, Some(&first), 200).await;
        let second = listed(json!({ "type": "object", "properties": { "id": {} } }));
        self.change("POST", import, Some(&second), 200).await;
        let waiting = self.ask("GET", "/tool-changes", 200).await.json["items"].clone();
        let waiting = waiting.as_array().unwrap();
        for (waiting, how) in waiting.iter().zip(["accept", "accept_with_older"]) {
            let settlement = json!({ "digest": waiting["digest"], "settlement": how });
            let name = waiting["tool"].as_str().unwrap();
            let path = format!("/resources/tickets/tools/{name}/change");
            let settled = self.change("POST", &path, Some(&settlement), 200).await;
            assert_eq!(
                settled.json["input_schema"]["properties"],
                json!({ "id": {} }),
                "{settled:?}"
            );
            self.change("POST", &path, Some(&settlement), 409).await;
        }
    }

    /// An operator's question with a body: nothing is changed.
    async fn asks(&mut self, path: &str, body: &Value, status: u16) {
        let request = self.world.operates("POST", &format!("/admin/v1{path}"));
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        self.send(request, status).await;
    }

    /// A policy set, drafted, activated, changed and gone back in.
    async fn policies(&mut self) {
        let set = |text: &str| json!({ "delegation": [{ "name": "a.cedar", "text": text }] });
        let nonsense = set("nonsense");
        self.asks("/policies/validate", &nonsense, 400).await;
        let [first, second] = ["first", "second"].map(|id| {
            set(&format!(
                "@id(\"{id}\") forbid (principal, action, resource) when {{ context.depth > 9 }};"
            ))
        });
        self.asks("/policies/validate", &first, 200).await;
        self.asks("/policies/replay", &json!({}), 400).await;
        self.asks("/policies/replay", &json!({ "policies": first }), 200).await;
        self.change("PUT", "/policies", Some(&nonsense), 400).await;
        self.change("POST", "/policies/rollback", Some(&json!({})), 409).await;
        self.change("PUT", "/policies", Some(&first), 200).await;
        self.replace_version("/policies", "\"99\"", &second, 412).await;
        self.replace_version("/policies", "\"1\"", &second, 200).await;
        let stale = self.world.operates("POST", "/admin/v1/policies/rollback").body("{}");
        let stale = stale.header(CONTENT_TYPE, "application/json").header("if-match", "\"99\"");
        self.recorded(stale, 412).await;
        self.change("POST", "/policies/rollback", Some(&json!({ "version": "x" })), 400).await;
        self.change("POST", "/policies/rollback", Some(&json!({ "version": 99 })), 404).await;
        self.change("POST", "/policies/rollback", Some(&json!({})), 200).await;
    }

    /// A document that is created where there is none.
    async fn replace(&mut self, path: &str, document: &Value, (member, value): (&str, Value)) {
        self.change("PUT", path, Some(document), 201).await;
        let mut changed = document.clone();
        changed[member] = value;
        self.replace_version(path, "\"99\"", &changed, 412).await;
        self.replace_version(path, "\"1\"", &changed, 200).await;
    }

    async fn secrets(&mut self) {
        let added = self.change("POST", "/clients/cl_new/secrets", None, 201).await;
        self.change("POST", "/clients/cl_new/secrets", None, 409).await;
        let shown = self.ask("GET", "/clients/cl_new/secrets", 200).await;
        let secret = added.json["client_secret"].as_str().unwrap();
        assert!(!shown.text.contains(secret), "a secret is shown once");
        let id = added.json["credential_id"].as_str().unwrap();
        let path = format!("/clients/cl_new/secrets/{id}");
        self.change("DELETE", &path, None, 204).await;
        self.change("DELETE", &path, None, 404).await;
    }

    async fn operators(&mut self) {
        let document = json!({ "name": "audit-team", "role": "auditor" });
        self.change("POST", "/operators", Some(&document), 201).await;
        self.change("POST", "/operators", Some(&document), 409).await;
        self.ask("GET", "/operators", 200).await;
        self.change("POST", "/operators/audit-team/token", None, 200).await;
        self.change("POST", "/operators/nobody/token", None, 404).await;
        self.change("DELETE", "/operators/audit-team", None, 204).await;
        self.change("DELETE", "/operators/nobody", None, 404).await;
        self.change("DELETE", "/operators/bootstrap", None, 409).await;
    }

    /// What an operator reads, by pages and whole.
    async fn look_up(&mut self) {
        let tokens = self.world.agent("support").exchanges(&self.world.alice());
        let mut decision = String::new();
        for _ in 0..3 {
            let token = tokens.clone().at(TICKETS).scope("tickets:read").token().await;
            let asked = self.world.server("tickets").asks(&token, "tickets.get", "{}").await;
            asked.json["decision"]["id"].as_str().unwrap().clone_into(&mut decision);
        }
        self.world.deputy.store().writer().flush().await.unwrap();
        let found = self.ask("GET", "/delegations", 200).await.json;
        let delegation = found["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{found}"));
        let named = [
            ("{client_id}", "cl_support"),
            ("{id}", "tickets"),
            ("{name}", "tickets.new"),
            ("{alias}", "corp"),
            ("{from}", "cl_support"),
            ("{to}", "cl_billing"),
            ("{delegation}", delegation),
            ("{decision}", decision.as_str()),
            ("{version}", "2"),
        ];
        for route in admin::ROUTES.iter().filter(|r| r.method == Method::GET) {
            let path =
                named.iter().fold(route.path.to_owned(), |p, (name, id)| p.replace(name, id));
            self.ask("GET", &path, 200).await;
            self.ask("GET", &format!("{path}?nonsense=1"), 400).await;
            if route.query.contains(&"after") {
                self.page_through(&path).await;
            }
        }
    }

    /// A list gives the same items by ones as at once.
    async fn page_through(&mut self, path: &str) {
        for limit in ["0", "501", "x"] {
            self.ask("GET", &format!("{path}?limit={limit}"), 400).await;
        }
        let whole = self.ask("GET", &format!("{path}?limit=500"), 200).await;
        let whole = whole.json["items"].as_array().unwrap().clone();
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.ask("GET", &format!("{path}?limit=1{after}"), 200).await.json;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={}", crate::serve_process::encode(next));
        }
        assert_eq!(items, whole, "{path}");
        assert!(!items.is_empty(), "{path} had nothing to show");
    }

    async fn use_protocol(&mut self) {
        for path in [
            "/.well-known/oauth-authorization-server/oauth2",
            "/.well-known/openid-configuration/oauth2",
            "/oauth2/.well-known/openid-configuration",
            "/resources/tickets/oauth-protected-resource",
            "/health/live",
            "/health/ready",
        ] {
            let request = self.world.asks("GET", path);
            self.send(request, 200).await;
        }
        let request = self.world.asks("GET", "/oauth2/authorize");
        self.send(request, 400).await;
        let request = self.world.asks("GET", "/oauth2/jwks");
        let tag = self.send(request, 200).await.header("etag").to_owned();
        let request = self.world.asks("GET", "/oauth2/jwks").header("if-none-match", tag);
        self.send(request, 304).await;
        let request = self.world.asks("GET", "/.well-known/authzen-configuration");
        self.send(request, 200).await;
        let asked = self.world.agent("support").exchanges(&self.world.alice()).at(TICKETS);
        let asked = asked.scope("tickets:read tickets:write");
        let other = asked.clone().token().await;
        let asked = asked.form();
        let token = self.send(asked, 200).await.token();
        // A call that writes, so that its decision must be on record.
        let call = self.world.agent("tickets").introspects(&token).at(TICKETS);
        let call = call.field("tool", "tickets.update").form();
        assert_eq!(self.send(call, 200).await.json["active"], true);
        let question = json!({
            "subject": { "type": "user", "id": "alice", "properties": { "token": token } },
            "action": { "name": "tickets.update" },
            "resource": { "type": "mcp_server", "id": TICKETS },
        });
        let several = json!({ "evaluations": [question] });
        for (path, asked) in [("evaluation", question), ("evaluations", several)] {
            let gateway = self.world.agent("tickets").sends(&format!("/access/v1/{path}"));
            self.send(gateway.with_body(asked.to_string(), "application/json"), 200).await;
        }
        let back = self.world.agent("support").revokes(&other).form();
        self.send(back, 200).await;
    }

    async fn find_missing(&mut self) {
        for route in admin::ROUTES.iter().filter(|r| r.path.contains('{')) {
            let method = route.method.as_str();
            // Names that are well formed and nobody's; a new edge or tool would be made.
            let path = route.path.replace("{id}", "nothing").replace("{alias}", "nothing");
            let path = path.replace("{name}", "nothing").replace("{client_id}", "cl_nobody");
            let path = path.replace("{from}", "no client").replace("{to}", "cl_nobody");
            let path = path
                .replace("{credential_id}", "nothing")
                .replace("{decision}", "nothing")
                .replace("{version}", "99")
                .replace("{delegation}", "nothing");
            // What a change is decided by is read before the tool is looked for.
            let told = json!({ "digest": "A".repeat(43), "settlement": "accept" });
            let body = if route.path.ends_with("/change") { told } else { json!({}) };
            let body = route.body_max.map(|_| body);
            self.change(method, &path, body.as_ref(), 404).await;
        }
        let gone = json!({ "delegation": "AAAAAAAAAAAAAAAAAAAAAA" });
        self.change("POST", "/revocations", Some(&gone), 404).await;
        self.asks("/revocations/preview", &gone, 404).await;
        let request = self.world.asks("GET", "/resources/nothing/oauth-protected-resource");
        self.send(request, 404).await;
    }
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, v)| v)
        .next()
        .unwrap_or("")
}
