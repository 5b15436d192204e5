//! How the world is spoken to: forms over real HTTP, as OAuth clients send them, and answers that
//! can be asked what they say. Nothing is judged here but that no answer is ever a 500, nor one that
//! the contract does not describe.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use deputy::{base::id::ClientId, service::keys::ADMIN_TOKEN_FILE};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use super::{
    World,
    contract::{CONTRACT, Heard},
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The token types of RFC 8693 section 3.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// An ID token.
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// A JWT: how a hand-over calls itself.
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An HTTP client without proxies and redirects.
pub fn client() -> reqwest::Client {
    // Another test may have been faster.
    _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// One registered client.
#[derive(Clone)]
pub struct Client<'a> {
    world: &'a World,
    id: ClientId,
}

impl<'a> Client<'a> {
    pub(super) fn new(world: &'a World, name: &str) -> Client<'a> {
        Client { world, id: ClientId::parse(&format!("cl_{name}")).unwrap() }
    }

    /// Exchanges an access token; more is said about it by the request's own functions.
    pub fn exchanges(&self, subject: &str) -> Request<'a> {
        let request = self.posts("token").field("grant_type", EXCHANGE);
        request.field("subject_token", subject).field("subject_token_type", ACCESS_TOKEN)
    }

    /// Exchanges a hand-over.
    pub fn takes_over(&self, hand_over: &str) -> Request<'a> {
        self.exchanges(hand_over).field("subject_token_type", JWT)
    }

    /// Asks for a token of its own.
    pub fn asks_for_itself(&self) -> Request<'a> {
        self.posts("token").field("grant_type", "client_credentials")
    }

    /// Asks about a token.
    pub fn introspects(&self, token: &str) -> Request<'a> {
        self.posts("introspect").field("token", token)
    }

    /// Gives a token back.
    pub fn revokes(&self, token: &str) -> Request<'a> {
        self.posts("revoke").field("token", token)
    }

    /// A form to one of the issuer's endpoints.
    pub fn posts(&self, endpoint: &str) -> Request<'a> {
        self.sends(&format!("/oauth2/{endpoint}"))
    }

    /// Something to any path.
    pub fn sends(&self, path: &str) -> Request<'a> {
        let secret = self.world.secret(&self.id).expose().clone();
        Request {
            world: self.world,
            url: format!("{}{path}", self.world.url),
            basic: Some((self.id.to_string(), secret)),
            headers: Vec::new(),
            fields: Vec::new(),
        }
    }
}

/// A protected server, which asks with its owner's credentials.
pub struct Server<'a> {
    owner: Client<'a>,
    uri: String,
}

impl<'a> Server<'a> {
    pub(super) fn new(world: &'a World, id: &str) -> Server<'a> {
        let id = deputy::base::id::ResourceId::parse(id).unwrap();
        let resource = world.deputy.snapshot().config.resource(&id).unwrap().clone();
        let owner = Client { world, id: resource.owner.clone() };
        Server { owner, uri: resource.uri.as_str().to_owned() }
    }

    /// Asks whether a token is live for it.
    pub async fn sees(&self, token: &str) -> Answer {
        self.owner.introspects(token).field("resource", &self.uri).send().await
    }

    /// Whether a token is live for it.
    pub async fn accepts(&self, token: &str) -> bool {
        let answer = self.sees(token).await;
        let active = answer.json["active"] == true;
        assert!(active || answer.text == r#"{"active":false}"#, "IN-3: {answer:?}");
        active
    }

    /// Asks whether a call may be made.
    pub async fn asks(&self, token: &str, tool: &str, arguments: &str) -> Answer {
        let question = self.owner.introspects(token).field("resource", &self.uri);
        question.field("tool", tool).field("arguments", arguments).send().await
    }

    /// The reason of the decision about a call; it permits exactly when it is active.
    pub async fn decides(&self, token: &str, tool: &str, arguments: Value) -> String {
        let answer = self.asks(token, tool, &arguments.to_string()).await;
        let reason = answer.json["decision"]["reason"].as_str().unwrap_or("inactive").to_owned();
        assert_eq!(answer.json["active"], reason == "permitted", "{answer:?}");
        reason
    }
}

/// A form on its way.
#[derive(Clone)]
pub struct Request<'a> {
    world: &'a World,
    url: String,
    basic: Option<(String, String)>,
    headers: Vec<(&'static str, String)>,
    fields: Vec<(String, String)>,
}

impl Request<'_> {
    /// Says `value` under `name`, whatever was said there.
    pub fn field(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    /// Says `value` under `name` besides what was said there.
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says nothing under `name`.
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }

    /// Names the target.
    pub fn at(self, target: &str) -> Self {
        self.field("resource", target)
    }

    /// Asks for scopes.
    pub fn scope(self, scope: &str) -> Self {
        self.field("scope", scope)
    }

    /// Asks for tools at one location.
    pub fn tools(self, location: &str, tools: Value) -> Self {
        self.details(json!([entry(location, tools)]))
    }

    /// Asks for authorization details.
    pub fn details(self, details: Value) -> Self {
        self.field("authorization_details", &details.to_string())
    }

    /// Presents an actor token.
    pub fn actor(self, token: &str) -> Self {
        self.field("actor_token", token).field("actor_token_type", ACCESS_TOKEN)
    }

    /// Presents other credentials, or none.
    pub fn basic(mut self, credentials: Option<(&str, &str)>) -> Self {
        self.basic = credentials.map(|(id, secret)| (id.to_owned(), secret.to_owned()));
        self
    }

    /// Sends a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Asks the instance at `url` instead of the world's own.
    pub fn of_instance(mut self, url: &str) -> Self {
        let path = self.url.strip_prefix(&self.world.url).unwrap();
        self.url = format!("{url}{path}");
        self
    }

    /// The body as it will be sent.
    pub fn body(&self) -> String {
        let mut url = reqwest::Url::parse("http://form.invalid").unwrap();
        url.query_pairs_mut().extend_pairs(&self.fields);
        url.query().unwrap_or_default().to_owned()
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        Answer::of(self.form()).await
    }

    /// Sends any body with these credentials.
    pub async fn send_body(self, body: impl Into<reqwest::Body>, content_type: &str) -> Answer {
        Answer::of(self.with_body(body, content_type)).await
    }

    /// The form, ready to be sent.
    pub fn form(self) -> reqwest::RequestBuilder {
        let body = self.body();
        self.with_body(body, "application/x-www-form-urlencoded")
    }

    /// Any body with these credentials, ready to be sent.
    pub fn with_body(
        self,
        body: impl Into<reqwest::Body>,
        content_type: &str,
    ) -> reqwest::RequestBuilder {
        let mut request = self.world.http.post(&self.url).body(body);
        if let Some((id, secret)) = &self.basic {
            request = request.basic_auth(id, Some(secret));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.header(CONTENT_TYPE, content_type)
    }

    /// The token it is answered with.
    pub async fn token(self) -> String {
        self.send().await.token()
    }
}

impl World {
    /// Gets a public document.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.http.get(format!("{}{path}", self.url))).await
    }

    /// A request that says nothing yet.
    pub fn asks(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request of the first operator.
    pub fn operates(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let token = self.deputy.options().keys_dir.join(ADMIN_TOKEN_FILE);
        let token = fs::read_to_string(token).unwrap();
        self.asks(method, path).bearer_auth(token.trim())
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
    /// The operation that gave it, where there is one.
    pub operation: Option<String>,
}

impl Answer {
    /// Sends a request and reads its answer.
    pub async fn of(request: reqwest::RequestBuilder) -> Answer {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let response = client.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        assert_ne!(status, 500, "never a 500: {text}");
        let content_type = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
        let heard = Heard { method: &method, path: &path, status, content_type, body: &text };
        let operation = CONTRACT.holds(heard);
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, json, operation }
    }

    /// The token in it.
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json["access_token"].as_str().unwrap().to_owned()
    }

    /// Holds that this is a refusal with this code, in the form of RFC 6749 section 5.2.
    #[track_caller]
    pub fn is_refused(&self, code: &str) {
        let expected = match code {
            "invalid_client" => 401,
            "slow_down" => 429,
            _ => 400,
        };
        assert_eq!((self.status, &self.json["error"]), (expected, &json!(code)), "{}", self.text);
        let description = self.json["error_description"].as_str().unwrap();
        let legal = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(description.chars().all(legal), "TE-2: {description}");
        assert_eq!(self.headers["cache-control"], "no-store", "TE-5");
        // An id is drawn by chance, and chance may write `eyJ`; it is too short for a token.
        let mut told = self.json.clone();
        let id = told.as_object_mut().and_then(|members| members.remove("error_id"));
        assert!(id.is_none_or(|id| id.as_str().unwrap().len() == 22), "{}", self.text);
        assert!(!told.to_string().contains("eyJ"), "no token comes back: {}", self.text);
    }

    /// One header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// One entry of authorization details.
pub fn entry(location: &str, tools: Value) -> Value {
    json!({ "type": "mcp_tool_call", "locations": [location], "tools": tools })
}

/// What a token says, believed without proof.
pub fn claims(token: &str) -> Value {
    serde_json::from_str(&payload(token)).unwrap()
}

/// The exact text of what a token says.
pub fn payload(token: &str) -> String {
    part(token, 1)
}

/// The header of a token.
pub fn header(token: &str) -> Value {
    serde_json::from_str(&part(token, 0)).unwrap()
}

fn part(token: &str, n: usize) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A constraint: exactly this value.
pub fn exact(value: impl Into<Value>) -> Value {
    json!({ "constraint_type": "exact", "value": value.into() })
}
