//! The admin API as this program calls it: one request, one answer, and every refusal with its
//! place and its cure.

use std::{fmt, io::ErrorKind, path::Path, time::Duration};

use reqwest::{Client, Method, StatusCode, Url, header, redirect};

use super::args::Connection;
use crate::{
    base::{
        json::{self, Limits, Object, Value},
        secret::Secret,
    },
    registry::issuer::is_loopback,
    service::secret_file,
};

/// An import of hundreds of tools takes seconds on a slow disk; nothing takes longer.
const WAIT: Duration = Duration::from_mins(1);
/// A file may be as long as years of an audit log; silence is not waited out.
const WAIT_LONG: Duration = Duration::from_hours(24);
/// The largest answer: 500 delegations with claims of 16 KiB.
const LIMITS: Limits = Limits { max_bytes: 16 * 1024 * 1024, max_depth: 64, max_members: 1_024 };
/// Where a server in the same directory leaves the first admin token.
const TOKEN_FILE: &str = "keys/admin-token";
const TOKEN_VARIABLE: &str = "DEPUTY_ADMIN_TOKEN";

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The command line does not say enough: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// No token to show.
    #[error(
        "no admin token: none in `{0}`; name its file with --token-file, or set DEPUTY_ADMIN_TOKEN"
    )]
    NoToken(String),
    /// A file was not read.
    #[error("cannot read `{path}`: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The address is none.
    #[error("`{0}` is no address of a server; write one such as `http://127.0.0.1:8420`")]
    Address(String),
    /// The server did not answer.
    #[error("cannot reach `{url}`: {why}; is `deputy serve` running there?")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the connection said.
        why: String,
    },
    /// The server answered no.
    #[error("{detail}")]
    Refused {
        /// What it says.
        detail: String,
        /// What is wrong with the document.
        errors: Vec<Wrong>,
    },
    /// The answer is not one of the admin API.
    #[error("`{url}` answered {status} without JSON; does --url name the admin listener?")]
    NotOurs {
        /// Who answered.
        url: String,
        /// What.
        status: StatusCode,
    },
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The place, as a JSON Pointer.
    pub field: String,
    /// What is wrong there, and the cure.
    pub message: String,
    /// Where in a text of policies: its name, the line, the column.
    pub place: Option<(String, u32, u32)>,
}

impl Wrong {
    fn of(error: &Value) -> Wrong {
        let member = |name: &str| error.as_object().and_then(|error| error.get(name));
        let text = |name: &str| member(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| u32::try_from(member(name)?.as_i64()?).ok();
        let place = || Some((text("file")?, number("line")?, number("column")?));
        Wrong {
            field: text("field").unwrap_or_default(),
            message: text("message").unwrap_or_default(),
            place: place(),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, line, column)) => write!(f, "{file}:{line}:{column}")?,
            None if self.field.is_empty() => f.write_str("the document")?,
            None => f.write_str(&self.field)?,
        }
        write!(f, ": {}", self.message)
    }
}

/// One connection to the admin API.
pub struct Api {
    base: Url,
    token: Secret<String>,
    http: Client,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<Object>,
    version: Option<i64>,
    wait: Duration,
}

impl<'a> Request<'a> {
    /// Reads.
    pub fn get(path: &[&'a str]) -> Request<'a> {
        Request {
            method: Method::GET,
            path: path.to_vec(),
            query: Vec::new(),
            body: None,
            version: None,
            wait: WAIT,
        }
    }

    /// Reads what may take long to be made.
    pub fn get_late(path: &[&'a str]) -> Request<'a> {
        Request { wait: WAIT_LONG, ..Request::get(path) }
    }

    /// Creates, or asks for something to be done.
    pub fn post(path: &[&'a str], body: Option<Object>) -> Request<'a> {
        Request { method: Method::POST, body, ..Request::get(path) }
    }

    /// Replaces. A document that says its version replaces only that one.
    pub fn put(path: &[&'a str], body: Object) -> Request<'a> {
        let version = body.get("version").and_then(Value::as_i64);
        Request { method: Method::PUT, body: Some(body), version, ..Request::get(path) }
    }

    /// Deletes.
    pub fn delete(path: &[&'a str]) -> Request<'a> {
        Request { method: Method::DELETE, ..Request::get(path) }
    }

    /// With a query parameter, where there is a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Request<'a> {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

impl Api {
    /// Makes ready; nothing is sent yet. `env` gives the variables.
    pub fn open(
        connection: &Connection,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Api, Trouble> {
        let address = || Trouble::Address(connection.url.clone());
        let base = Url::parse(&connection.url).map_err(|_| address())?;
        if base.cannot_be_a_base() || !matches!(base.scheme(), "http" | "https") {
            return Err(address());
        }
        // An error only says that another part of this program was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().read_timeout(WAIT).redirect(redirect::Policy::none());
        let http = if is_loopback(&connection.url) { http.no_proxy() } else { http };
        let http = http.build().map_err(|e| unreachable(&base, &e))?;
        Ok(Api { base, token: token(connection, env)?, http })
    }

    /// Whether the token would cross a network in the clear.
    pub fn is_in_the_clear(&self) -> bool {
        self.base.scheme() == "http" && !is_loopback(self.base.as_str())
    }

    /// Asks, and reads the answer; an empty answer is an empty object.
    pub async fn ask(&self, request: Request<'_>) -> Result<Value, Trouble> {
        let url = self.url(&request)?;
        let bearer = Secret::new(format!("Bearer {}", self.token.expose()));
        let mut sent = self.http.request(request.method, url.clone()).timeout(request.wait);
        sent = sent.header(header::AUTHORIZATION, bearer.expose().as_str());
        if let Some(version) = request.version {
            sent = sent.header(header::IF_MATCH, format!("\"{version}\""));
        }
        if let Some(body) = request.body {
            sent = sent.header(header::CONTENT_TYPE, "application/json").body(body.to_json());
        }
        let answer = sent.send().await.map_err(|e| unreachable(&url, &e))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|e| unreachable(&url, &e))?;
        read(&url, status, &bytes)
    }

    /// Asks for a file, and hands its pieces on as they come.
    pub async fn download(
        &self,
        request: Request<'_>,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), Trouble> {
        let url = self.url(&request)?;
        let bearer = Secret::new(format!("Bearer {}", self.token.expose()));
        let sent = self.http.request(request.method, url.clone()).timeout(request.wait);
        let sent = sent.header(header::AUTHORIZATION, bearer.expose().as_str()).send().await;
        let mut answer = sent.map_err(|e| unreachable(&url, &e))?;
        let status = answer.status();
        if !status.is_success() {
            let bytes = answer.bytes().await.map_err(|e| unreachable(&url, &e))?;
            return read(&url, status, &bytes).map(drop);
        }
        while let Some(piece) = answer.chunk().await.map_err(|e| unreachable(&url, &e))? {
            let wrong = |source| Trouble::File { path: "the output".to_owned(), source };
            take(&piece).map_err(wrong)?;
        }
        Ok(())
    }

    fn url(&self, request: &Request<'_>) -> Result<Url, Trouble> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(["admin", "v1"]).extend(&request.path);
            }
            Err(()) => return Err(Trouble::Address(self.base.to_string())),
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }
}

fn read(url: &Url, status: StatusCode, bytes: &[u8]) -> Result<Value, Trouble> {
    if status == StatusCode::NO_CONTENT {
        return Ok(Value::Object(Object::new()));
    }
    let not_ours = || Trouble::NotOurs { url: url.origin().ascii_serialization(), status };
    let value = json::parse(bytes, &LIMITS).map_err(|_| not_ours())?;
    if status.is_success() {
        return Ok(value);
    }
    let problem = value.as_object().ok_or_else(not_ours)?;
    let detail = problem.get("detail").and_then(Value::as_str).ok_or_else(not_ours)?;
    let errors = problem.get("errors").and_then(Value::as_array).unwrap_or_default();
    let errors = errors.iter().map(Wrong::of).collect();
    Err(Trouble::Refused { detail: detail.to_owned(), errors })
}

/// The token is never an argument, because every process of the machine may read those.
fn token(
    connection: &Connection,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret<String>, Trouble> {
    if let Some(path) = &connection.token_file {
        return token_in(path);
    }
    match env(TOKEN_VARIABLE).filter(|token| !token.trim().is_empty()) {
        Some(token) => Ok(Secret::new(token.trim().to_owned())),
        None => token_in(Path::new(TOKEN_FILE)),
    }
}

fn token_in(path: &Path) -> Result<Secret<String>, Trouble> {
    let shown = || path.display().to_string();
    let text = secret_file::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => Trouble::NoToken(shown()),
        _ => Trouble::File { path: shown(), source },
    })?;
    let token = text.expose().trim();
    if token.is_empty() {
        return Err(Trouble::NoToken(shown()));
    }
    Ok(Secret::new(token.to_owned()))
}

fn unreachable(url: &Url, error: &reqwest::Error) -> Trouble {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Trouble::Unreachable { url: url.origin().ascii_serialization(), why: cause.to_string() }
}
