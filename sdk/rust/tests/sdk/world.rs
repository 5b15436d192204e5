//! Everybody on stage: a real Deputy on SQLite in a folder of its own, an issuer that is pinned by
//! its key, two agents and two MCP servers. How they are set up, and nothing that is asserted.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy_client::{
    agent::{Agent, HandOver, Subject, Want},
    authority::Tools,
    credentials::Credentials,
    deputy::Deputy,
};
use reqwest::Method;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::servers::{Desk, Door, Served};

/// The URI that authority is handed over to.
const BILLING_URI: &str = "urn:agent:billing";
const ISSUER: &str = "https://idp.example.test";
/// An unoptimised Deputy on a busy machine takes its time to verify a secret.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running Deputy, and its administrator. It is killed when dropped.
pub struct Process {
    child: Child,
    folder: PathBuf,
    http: reqwest::Client,
    token: String,
    pub base: String,
}

/// One ES256 key.
pub struct Key(EcdsaKeyPair);

pub struct World {
    pub deputy: Process,
    key: Key,
    pub tickets: Served,
    /// The client that owns the ticket server.
    pub owner: (String, String),
    pub refunds: Served,
    pub support: (String, String),
    billing: (String, String),
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program that Cargo puts beside the tests of this workspace.
pub fn beside(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join(name);
    assert!(program.exists(), "{} is missing: run `cargo test --workspace`", program.display());
    program
}

impl Process {
    pub fn start() -> Process {
        static FOLDERS: AtomicU64 = AtomicU64::new(0);
        _ = rustls::crypto::ring::default_provider().install_default();
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("deputy-rust-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = bound.local_addr().unwrap().to_string();
        drop(bound);
        let mut child = Command::new(beside("deputy"))
            .args(["serve", "--listen", &address, "--log-level", "warn"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.any(|line| line.starts_with("admin token")), "Deputy did not start");
        let token = fs::read_to_string(folder.join("keys/admin-token")).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (token, base) = (token.trim().to_owned(), format!("http://{address}"));
        Process { child, folder, http, token, base }
    }

    pub fn issuer(&self) -> String {
        format!("{}/oauth2", self.base)
    }

    pub async fn admin(&self, method: Method, path: &str, document: &Value) -> Value {
        let answer = self
            .http
            .request(method, format!("{}/admin/v1{path}", self.base))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(document.to_string())
            .send()
            .await
            .unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn client(&self, name: &str, agent: Option<Value>) -> (String, String) {
        let mut document = json!({ "client_id": format!("cl_{name}"), "name": name });
        if let Some(agent) = agent {
            document["agent"] = agent;
        }
        let created = self.admin(Method::POST, "/clients", &document).await;
        let text = |member: &str| created[member].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    }
}

impl World {
    pub async fn new() -> World {
        let (mut world, door) = World::before_tickets().await;
        let (id, secret) = &world.owner;
        let deputy =
            Deputy::new(&world.deputy.issuer(), Credentials::secret(id, secret), &door.url);
        world.tickets = door.serve(deputy.unwrap().with_timeout(PATIENCE));
        world
    }

    /// Everything but the ticket server, which is registered; and its door.
    pub async fn before_tickets() -> (World, Door) {
        let deputy = Process::start();
        let (door, refunds) = (Desk::Tickets.open().await, Desk::Refunds.open().await);
        let owner = register(&deputy, &door).await;
        let (id, secret) = register(&deputy, &refunds).await;
        let asked = Deputy::new(&deputy.issuer(), Credentials::secret(&id, &secret), &refunds.url);
        let refunds = refunds.serve(asked.unwrap().with_timeout(PATIENCE));
        let reads = json!({ "resource": "refunds", "scope": "refunds:read" });
        let all = json!({
            "resource": "tickets", "scope": "tickets:read tickets:write tickets:notes",
        });
        let agent = |uri: &str, allowance: Value, own: Value| json!({ "uri": uri, "allowance": allowance, "own_allowance": own });
        let support = agent("urn:agent:support", json!([all, reads]), json!([all]));
        let support = deputy.client("support-agent", Some(support)).await;
        let billing = agent(BILLING_URI, json!([reads]), json!([]));
        let billing = deputy.client("billing-agent", Some(billing)).await;
        let key = Key::new();
        let trust = json!({
            "issuer": ISSUER,
            "alias": "corp",
            "primary": true,
            "keys": { "jwks": { "keys": [key.jwk()] } },
            "algorithms": ["ES256"],
            "access_tokens": { "audiences": ["deputy"] },
            "agents": { &support.0: ["support-desk"] },
            "grant_rules": [{
                "kind": "access_token",
                "claims": { "groups": ["support"] },
                "any_scope": true,
                "gives": [all, reads],
            }],
        });
        deputy.admin(Method::POST, "/issuers", &trust).await;
        let edge = json!({ "ceiling": [reads], "effects": ["read"] });
        deputy.admin(Method::PUT, "/edges/cl_support-agent/cl_billing-agent", &edge).await;
        let tickets = Served::nowhere(&door.url);
        (World { deputy, key, tickets, owner, refunds, support, billing }, door)
    }

    /// The access token of one of the support desk's people.
    pub fn person(&self, sub: &str) -> Subject {
        let now = since_epoch().as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": sub, "aud": "deputy", "client_id": "support-desk",
            "groups": ["support"], "iat": now, "exp": now + 3600, "jti": format!("{sub}-{now}"),
        });
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "test" });
        Subject::access_token(&self.key.compact(&header, &claims))
    }

    pub fn support(&self) -> Agent {
        self.agent(&self.support)
    }

    pub fn billing(&self) -> Agent {
        self.agent(&self.billing)
    }

    fn agent(&self, who: &(String, String)) -> Agent {
        let credentials = Credentials::secret(&who.0, &who.1);
        Agent::new(&self.deputy.issuer(), credentials).unwrap().with_timeout(PATIENCE)
    }

    /// A token of the support agent's for tickets.
    pub async fn token(&self, person: &str, scope: &str) -> String {
        let want = Want::scope(&self.tickets.url, scope);
        let token = self.support().token(&self.person(person), &want).await.unwrap();
        token.expose().to_owned()
    }

    /// What the support agent passes on to the billing agent.
    pub async fn handed_over(&self, person: &str, location: &str, tools: Tools) -> HandOver {
        let (agent, person) = (self.support(), self.person(person));
        agent.hand_over(BILLING_URI, &person, [(location, tools)]).await.unwrap()
    }

    /// A program that works for nobody but itself, and sends its secret in the body.
    pub async fn machine(&self) -> (String, String) {
        let own = json!([{ "resource": "tickets", "scope": "tickets:read" }]);
        let document = json!({
            "client_id": "cl_machine", "name": "machine",
            "token_endpoint_auth_method": "client_secret_post",
            "agent": { "uri": "urn:agent:machine", "allowance": [], "own_allowance": own },
        });
        let created = self.deputy.admin(Method::POST, "/clients", &document).await;
        let text = |member: &str| created[member].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// An agent that proves itself by a key, and gets tickets handed over: its id and its URI.
    pub async fn keyed(&self, name: &str, jwk: Value) -> (String, String) {
        let (id, uri) = (format!("cl_{name}"), format!("urn:agent:{name}"));
        let tickets = json!([{ "resource": "tickets", "scope": "tickets:read" }]);
        let document = json!({
            "client_id": id, "name": name, "token_endpoint_auth_method": "private_key_jwt",
            "jwks": { "keys": [jwk] }, "agent": { "uri": uri, "allowance": tickets },
        });
        self.deputy.admin(Method::POST, "/clients", &document).await;
        let edge = json!({ "ceiling": tickets, "effects": ["read"] });
        let path = format!("/edges/cl_support-agent/{id}");
        self.deputy.admin(Method::PUT, &path, &edge).await;
        (id, uri)
    }

    pub async fn revoke(&self, sub: &str) {
        let subject = json!({ "subject": { "iss": ISSUER, "sub": sub } });
        self.deputy.admin(Method::POST, "/revocations", &subject).await;
    }
}

/// Registers a server; its owner.
async fn register(deputy: &Process, door: &Door) -> (String, String) {
    let (name, desk) = (door.desk.name(), door.desk);
    let owner = deputy.client(&format!("{name}-server"), None).await;
    let scopes = ["read", "write", "notes"].map(|scope| format!("{name}:{scope}"));
    let resource = json!({
        "id": name, "resource": door.url, "owner": owner.0, "name": name,
        "scopes_supported": scopes, "dpop": "deputy",
    });
    deputy.admin(Method::POST, "/resources", &resource).await;
    let import = json!({ "tools_list": { "tools": desk.tools() }, "assign": desk.assign() });
    deputy.admin(Method::POST, &format!("/resources/{name}/tools/import"), &import).await;
    owner
}

impl Key {
    pub fn new() -> Key {
        let random = SystemRandom::new();
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Key(pair.unwrap())
    }

    /// The public key (RFC 7518 section 6.2).
    pub fn jwk(&self) -> Value {
        // RFC 5480 section 2.2: 4, then both coordinates.
        let point = self.0.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "EC", "crv": "P-256", "x": coordinate(x), "y": coordinate(y),
            "kid": "test", "alg": "ES256", "use": "sig",
        })
    }

    pub fn compact(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[expect(clippy::disallowed_methods, reason = "who signs here has no other clock")]
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}
