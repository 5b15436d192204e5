//! The demo's side of the wire: form posts as OAuth clients send them, and JSON for the admin API.
//! Nothing here knows what is said, only how; and nothing here is used by Deputy itself.

use std::time::Duration;

use reqwest::{
    Client, Method, RequestBuilder, Url,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::Value;

use super::DemoError;
use crate::base::secret::Secret;

/// How long any answer on loopback may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A client id and its secret.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The client id.
    pub client_id: String,
    /// The secret, as it was shown once.
    pub secret: Secret<String>,
}

/// An HTTP client for loopback.
#[derive(Clone, Debug)]
pub struct Wire(Client);

/// An answer: its status and its JSON (`null` where there is none).
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Wire {
    /// A client that uses no proxy and follows no redirect.
    pub fn new() -> Result<Wire, DemoError> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(DemoError::Client)?;
        Ok(Wire(client))
    }

    /// The client itself, for the MCP transport.
    pub fn client(&self) -> Client {
        self.0.clone()
    }

    /// Posts a form with `client_secret_basic` (RFC 6749 section 2.3.1).
    pub async fn form(
        &self,
        url: &str,
        who: &Credentials,
        fields: &[(&str, &str)],
    ) -> Result<Reply, DemoError> {
        let request = self
            .0
            .post(url)
            .basic_auth(&who.client_id, Some(who.secret.expose()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(fields));
        send(url, request).await
    }

    /// Asks the admin API.
    pub async fn admin(
        &self,
        method: Method,
        url: &str,
        token: &Secret<String>,
        body: Option<&Value>,
    ) -> Result<Reply, DemoError> {
        let mut request = self.0.request(method, url).bearer_auth(token.expose());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        send(url, request).await
    }
}

async fn send(url: &str, request: RequestBuilder) -> Result<Reply, DemoError> {
    let broken = |source| DemoError::Http { url: url.to_owned(), source };
    let response = request.header(ACCEPT, "application/json").send().await.map_err(broken)?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.map_err(broken)?;
    Ok(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
}

/// `application/x-www-form-urlencoded`: what the query of a URL is made of.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params("http://form.invalid", fields).ok();
    url.as_ref().and_then(Url::query).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_so_that_json_survives() {
        let sent = encoded(&[("a", r#"{"x":"A-17 & *"}"#), ("b", "urn:c+d")]);
        assert_eq!(sent, "a=%7B%22x%22%3A%22A-17+%26+*%22%7D&b=urn%3Ac%2Bd");
    }
}
