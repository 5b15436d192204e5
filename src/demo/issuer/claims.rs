//! What a token of the demo issuer says. A builder that starts from an ordinary token and lets a
//! caller change, add or leave out any claim; nothing here checks anything.

use serde_json::{Map, Value, json};

use super::USERS;
use crate::base::time::{Seconds, Timestamp};

/// The claims of one token to be.
#[derive(Clone, Debug)]
pub struct Claims {
    subject: String,
    now: Timestamp,
    ordinary: Map<String, Value>,
    changes: Vec<(String, Option<Value>)>,
}

impl Claims {
    /// How long an ordinary token lives.
    pub const TTL: Seconds = Seconds::new(600);

    /// A token about `subject` for `audience`, issued at `now`.
    pub fn new(subject: &str, audience: &str, now: Timestamp) -> Claims {
        let mut ordinary = Map::new();
        ordinary.insert("sub".to_owned(), json!(subject));
        ordinary.insert("aud".to_owned(), json!(audience));
        ordinary.insert("iat".to_owned(), json!(now.epoch_s()));
        ordinary.insert("exp".to_owned(), json!(now.plus(Claims::TTL).epoch_s()));
        Claims { subject: subject.to_owned(), now, ordinary, changes: Vec::new() }
    }

    /// Says `value` under `name`, whatever an ordinary token says there.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Claims {
        self.changes.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Says nothing under `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Claims {
        self.changes.push((name.to_owned(), None));
        self
    }

    pub(super) fn id_token(mut self, issuer: &str, id: &str) -> Value {
        // OpenID Connect Core section 2: when the user logged in; a moment before this token.
        let auth_time = self.now.minus(Seconds::new(30)).epoch_s();
        self.put("auth_time", json!(auth_time));
        self.finish(issuer, id)
    }

    pub(super) fn access_token(
        mut self,
        issuer: &str,
        id: &str,
        client_id: &str,
        scope: &str,
    ) -> Value {
        // RFC 9068 section 2.2.
        self.put("client_id", json!(client_id));
        self.put("scope", json!(scope));
        self.finish(issuer, id)
    }

    fn finish(mut self, issuer: &str, id: &str) -> Value {
        self.put("iss", json!(issuer));
        self.put("jti", json!(id));
        if let Some(user) = USERS.iter().find(|user| user.subject == self.subject) {
            self.put("name", json!(user.subject));
            self.put("email", json!(user.email));
            self.put("groups", json!(user.groups));
        }
        for (name, value) in self.changes {
            match value {
                Some(value) => self.ordinary.insert(name, value),
                None => self.ordinary.remove(&name),
            };
        }
        Value::Object(self.ordinary)
    }

    fn put(&mut self, name: &str, value: Value) {
        self.ordinary.insert(name.to_owned(), value);
    }
}
