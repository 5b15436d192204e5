//! The admin API as an operator speaks to it: JSON over real HTTP, with a token.

use std::fs;

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{World, wire::Answer};

/// An operator with a token.
pub struct Admin<'a> {
    world: &'a World,
    token: String,
}

impl World {
    /// The first operator, who may do everything.
    pub fn operator(&self) -> Admin<'_> {
        let token = fs::read_to_string(self.home.dir.join("keys/admin-token")).unwrap();
        Admin { world: self, token: token.trim().to_owned() }
    }

    /// An operator who may only read.
    pub async fn auditor(&self) -> Admin<'_> {
        let operator = self.operator();
        let made =
            operator.post("/operators", json!({ "name": "reader", "role": "auditor" })).await;
        Admin { world: self, token: made.json["admin_token"].as_str().unwrap().to_owned() }
    }

    /// Whoever has this token.
    pub fn bearer(&self, token: &str) -> Admin<'_> {
        Admin { world: self, token: token.to_owned() }
    }
}

impl Admin<'_> {
    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.sends(Method::GET, path, None).await
    }

    /// Asks for something.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.sends(Method::POST, path, Some(body)).await
    }

    /// One request below `/admin/v1`.
    pub async fn sends(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}/admin/v1{path}", self.world.url);
        let mut request = self.world.http.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        Answer::of(request).await
    }
}
