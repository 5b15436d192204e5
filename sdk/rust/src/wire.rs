//! The only place that speaks HTTP to Deputy: one form, one strict answer, all of it bounded.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Response, Url,
    header::{ACCEPT, CONTENT_TYPE},
    redirect,
};
use rustls::crypto::CryptoProvider;
use serde_json::{Map, Value};

use crate::{
    credentials::{Credentials, Shown},
    error::{SetupError, Unavailable},
    json,
};

/// The longest answer that is read. A call token is at most 4 KiB, a hand-over 16 KiB.
pub const ANSWER_BYTES_MAX: usize = 65_536;
/// How long one whole question may take, connecting and reading included, unless told otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Deputy as one client sees it, over connections that stay open.
#[derive(Clone, Debug)]
pub struct Wire {
    client: Client,
    issuer: String,
    credentials: Credentials,
    timeout: Duration,
}

/// An answer: its status, and its body, one JSON object.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Map<String, Value>,
}

impl Wire {
    /// Deputy at `issuer`.
    pub fn new(issuer: &str, credentials: Credentials) -> Result<Wire, SetupError> {
        let url = Url::parse(issuer).ok().filter(is_safe);
        let url = url.ok_or_else(|| SetupError::Issuer(issuer.to_owned()))?;
        if CryptoProvider::get_default().is_none() {
            return Err(SetupError::CryptoProvider);
        }
        let builder = Client::builder().redirect(redirect::Policy::none());
        // What goes to loopback in the clear does not take the way over a proxy.
        let builder = if url.scheme() == "http" { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|e| SetupError::HttpClient(e.to_string()))?;
        let issuer = issuer.trim_end_matches('/').to_owned();
        Ok(Wire { client, issuer, credentials, timeout: TIMEOUT })
    }

    /// The same with another limit to one question.
    pub fn with_timeout(self, timeout: Duration) -> Wire {
        Wire { timeout, ..self }
    }

    /// The issuer, without a slash at its end.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Posts `fields` as a form to an endpoint of the issuer.
    pub async fn post(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, Unavailable> {
        let url = format!("{}/{endpoint}", self.issuer);
        let answer = tokio::time::timeout(self.timeout, self.send(&url, fields)).await;
        let (status, bytes) = match answer {
            Ok(answer) => answer?,
            Err(_) => return Err(Unavailable::Slow { url, timeout: self.timeout }),
        };
        let body = json::object(&bytes).ok_or(Unavailable::NotJson { url })?;
        Ok(Reply { status, body })
    }

    async fn send(
        &self,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<(u16, Vec<u8>), Unavailable> {
        let mut fields = fields.to_vec();
        let shown = self.credentials.shown(&self.issuer).ok_or(Unavailable::NoRandomness)?;
        let request = match &shown {
            Shown::Basic(id, secret) => self.client.post(url).basic_auth(id, Some(secret.expose())),
            Shown::Fields(more) => {
                fields.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
                self.client.post(url)
            }
        };
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let form = pairs.collect::<Vec<_>>().join("&");
        let request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        let response = request.send().await.map_err(|source| unreachable(url, source))?;
        let status = response.status().as_u16();
        Ok((status, whole(url, response).await?))
    }
}

async fn whole(url: &str, mut response: Response) -> Result<Vec<u8>, Unavailable> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|source| unreachable(url, source))? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_BYTES_MAX {
            let url = url.to_owned();
            return Err(Unavailable::TooLong { url, bytes_max: ANSWER_BYTES_MAX });
        }
    }
    Ok(body)
}

fn unreachable(url: &str, source: reqwest::Error) -> Unavailable {
    Unavailable::Unreachable { url: url.to_owned(), source: Arc::new(source) }
}

/// Whether a secret may be sent there.
fn is_safe(url: &Url) -> bool {
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let safe = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    let bare = url.username().is_empty() && url.password().is_none();
    safe && bare && url.query().is_none() && url.fragment().is_none()
}

/// `application/x-www-form-urlencoded`, the value of one field.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    out
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(issuer: &str) -> Result<Wire, SetupError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Wire::new(issuer, Credentials::secret("cl_x", "hush"))
    }

    #[test]
    fn a_form_is_encoded_so_that_json_survives() {
        assert_eq!(encoded(r#"{"x":"A-17 & *"}"#), "%7B%22x%22%3A%22A-17+%26+*%22%7D");
        assert_eq!(encoded("ü+c"), "%C3%BC%2Bc");
    }

    #[test]
    fn a_secret_is_never_sent_in_the_clear() {
        for bad in [
            "http://deputy.example/oauth2",
            "ftp://x",
            "deputy",
            "https://u@x/",
            "https://x/?a",
            "https://x/#a",
            "http://localhost.example/oauth2",
        ] {
            assert_eq!(wire(bad).unwrap_err(), SetupError::Issuer(bad.to_owned()));
        }
        for good in ["https://x/oauth2/", "http://127.0.0.1:1/oauth2", "http://[::1]:1/oauth2"] {
            assert_eq!(wire(good).unwrap().issuer(), good.trim_end_matches('/'));
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let printed = format!("{:?}", wire("https://x/oauth2").unwrap());
        assert!(printed.contains("cl_x"), "{printed}");
        assert!(!printed.contains("hush") && !printed.contains("Basic"), "{printed}");
    }
}
