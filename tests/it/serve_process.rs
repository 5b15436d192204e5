//! The real program as a process of its own, in a folder of its own, spoken to over HTTP like a
//! stranger would. How it is started and asked, and nothing that is asserted about it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use deputy::{
    base::time::Clock,
    demo::issuer::{Issuer, claims::Claims},
};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_deputy");
/// The one server that is registered.
pub const TICKETS: &str = "https://tickets.example/mcp";

/// A folder that goes when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    /// A new, empty one.
    pub fn new() -> Folder {
        static FOLDERS: AtomicU64 = AtomicU64::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("deputy-process-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// `deputy` with these arguments in this folder, to be run to its end.
pub fn deputy(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command
}

/// A running `deputy serve`. It is killed when dropped.
pub struct Server {
    child: Child,
    /// What it printed until it was ready.
    pub said: String,
    /// Where it listens.
    pub url: String,
    http: reqwest::Client,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body; null if it has none.
    pub json: Value,
    /// After how many seconds to try again, where it says so.
    pub retry_after: Option<u64>,
}

/// A port that was free a moment ago.
pub fn free_address() -> String {
    let bound = TcpListener::bind("127.0.0.1:0").unwrap();
    bound.local_addr().unwrap().to_string()
}

impl Server {
    /// Starts it and waits until it says that it listens.
    pub fn start(dir: &Path, address: &str, more: &[&str]) -> Server {
        Server::run(deputy(dir, &[]), dir, address, more)
    }

    /// The same by a command that becomes `deputy`, whose arguments come behind its own.
    pub fn run(mut command: Command, dir: &Path, address: &str, more: &[&str]) -> Server {
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = command
            .args(["serve", "--listen", address, "--log-level", "error"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            said.push_str(&line);
            said.push('\n');
            if line.starts_with("admin token") {
                break;
            }
        }
        assert!(said.contains("admin token"), "the server did not start: {said}");
        let token = fs::read_to_string(dir.join("keys/admin-token")).unwrap().trim().to_owned();
        let builder = reqwest::Client::builder().no_proxy();
        let (http, url) = (builder.build().unwrap(), format!("http://{address}"));
        Server { child, said, url, http, token }
    }

    /// The files as it sees them.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.child.id()))
    }

    /// How much memory it has now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }

    /// Stops it where it stands (SIGSTOP): when this returns, nothing of it runs any more. The signal
    /// alone is no more than a request: a thread stops when the system next looks at it.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", self.child.id());
        let is_stopped = |thread: &fs::DirEntry| {
            let line = fs::read_to_string(thread.path().join("stat")).unwrap();
            // The name, in brackets, may be anything; the state comes after it.
            line.rsplit_once(") ").unwrap().1.starts_with('T')
        };
        while !fs::read_dir(&threads).unwrap().all(|thread| is_stopped(&thread.unwrap())) {
            std::thread::yield_now();
        }
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM, as an operator's supervisor sends it.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Asks the admin API; fails unless it says yes.
    pub async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.try_admin(method.clone(), path, body).await.unwrap();
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.json
    }

    /// Asks the admin API, whatever it says.
    pub async fn try_admin(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}/admin/v1{path}", self.url);
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        read(request.send().await?).await
    }

    /// A public document.
    pub async fn get(&self, path: &str) -> Answer {
        read(self.http.get(format!("{}{path}", self.url)).send().await.unwrap()).await.unwrap()
    }

    /// All items of a list, page by page. `query` begins with its first parameter.
    pub async fn all(&self, path: &str, query: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = format!("{path}?limit=100&{query}{after}");
            let page = self.admin(Method::GET, &page, None).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { return items };
            after = format!("&after={}", encode(next));
        }
    }

    /// What the story's support agent sends.
    pub fn support(&self, registered: &Registered) -> Agent {
        Agent {
            http: self.http.clone(),
            url: self.url.clone(),
            id: "cl_support",
            secret: registered.support.clone(),
        }
    }

    /// What the ticket server sends.
    pub fn tickets(&self, registered: &Registered) -> Agent {
        let secret = registered.tickets.clone();
        Agent { id: "cl_tickets", secret, ..self.support(registered) }
    }

    /// Registers an agent, a server with a tool, and the people's issuer.
    pub async fn register(&self, issuer: &Issuer) -> Registered {
        let gives = json!([{ "resource": "tickets", "scope": "tickets:read" }]);
        let support = json!({
            "client_id": "cl_support", "name": "Support",
            "agent": { "uri": "urn:agent:support", "allowance": gives },
        });
        let tickets = json!({ "client_id": "cl_tickets", "name": "Tickets" });
        let resource = json!({
            "id": "tickets", "resource": TICKETS, "owner": "cl_tickets", "name": "Tickets",
            "scopes_supported": ["tickets:read"],
        });
        let tool = json!({ "name": "tickets.get", "inputSchema": { "type": "object" } });
        let import = json!({
            "tools_list": { "tools": [tool] },
            "assign": { "tickets.get": { "scopes": ["tickets:read"], "effect": "read" } },
        });
        let trusted = json!({
            "issuer": issuer.url(), "alias": "corp", "primary": true,
            "keys": { "discovery": true }, "access_tokens": { "audiences": ["deputy"] },
            "agents": { "cl_support": ["desk"] },
            "grant_rules": [{ "kind": "access_token", "foreign_scope": "assist", "gives": gives }],
        });
        let tickets = self.admin(Method::POST, "/clients", Some(&tickets)).await;
        self.admin(Method::POST, "/resources", Some(&resource)).await;
        self.admin(Method::POST, "/resources/tickets/tools/import", Some(&import)).await;
        let support = self.admin(Method::POST, "/clients", Some(&support)).await;
        self.admin(Method::POST, "/issuers", Some(&trusted)).await;
        let secret = |client: &Value| client["client_secret"].as_str().unwrap().to_owned();
        Registered { support: secret(&support), tickets: secret(&tickets) }
    }
}

/// The secrets of who was registered.
pub struct Registered {
    /// The agent's.
    pub support: String,
    /// The server's.
    pub tickets: String,
}

/// A client with its secret.
#[derive(Clone)]
pub struct Agent {
    http: reqwest::Client,
    url: String,
    id: &'static str,
    secret: String,
}

impl Agent {
    /// Exchanges a user's token for one for tickets.
    pub async fn exchanges(&self, subject: &str) -> Result<Answer, reqwest::Error> {
        self.posts("token", &fields(subject)).await
    }

    /// The same for one that is good for so many calls.
    pub async fn exchanges_for_calls(
        &self,
        subject: &str,
        calls: u32,
    ) -> Result<Answer, reqwest::Error> {
        let details = json!([{
            "type": "mcp_tool_call", "locations": [TICKETS], "tools": { "tickets.get": {} },
            "max_calls": calls,
        }]);
        let details = details.to_string();
        let [kind, subject, of_kind, resource, _scope] = fields(subject);
        let fields = [kind, subject, of_kind, resource, ("authorization_details", &details)];
        self.posts("token", &fields).await
    }

    /// The same as the bytes of a whole request.
    pub fn exchange(&self, subject: &str) -> String {
        let body = form(&fields(subject));
        let login = STANDARD.encode(format!("{}:{}", self.id, self.secret));
        format!(
            "POST /oauth2/token HTTP/1.1\r\nhost: deputy\r\nauthorization: Basic {login}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Whether a token is live.
    pub async fn accepts(&self, token: &str) -> bool {
        let answer = self.posts("introspect", &[("token", token)]).await.unwrap();
        answer.json["active"].as_bool().unwrap()
    }

    /// A form to an endpoint.
    pub async fn posts(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let request = self.http.post(format!("{}/oauth2/{endpoint}", self.url));
        let request = request.basic_auth(self.id, Some(&self.secret));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        read(request.body(form(fields)).send().await?).await
    }
}

/// What an exchange for tickets says.
fn fields(subject: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", subject),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("resource", TICKETS),
        ("scope", "tickets:read"),
    ]
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

async fn read(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    let body = response.bytes().await?;
    Ok(Answer { status, json: serde_json::from_slice(&body).unwrap_or_default(), retry_after })
}

/// A value of a form or of a query.
pub fn encode(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    value.bytes().map(encoded).collect()
}

/// A user's access token for Deputy, issued to the support agent's own client.
pub fn user_token(issuer: &Issuer) -> String {
    let claims = Claims::new("alice", "deputy", Clock::System.wall());
    issuer.access_token(claims, "desk", "assist").unwrap()
}

/// The token of a successful exchange, and its `jti`: the id of its delegation.
pub fn token(answer: &Answer) -> (String, String) {
    let token = answer.json["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}"));
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    (token.to_owned(), claims["jti"].as_str().unwrap().to_owned())
}
