//! `--keep`: everything stays up, and the reader gets requests to paste into a shell. They hold real
//! tokens and secrets of this run, which die with it.

use serde_json::json;

use super::{
    DemoError,
    agent::{ACCESS_TOKEN, GRANT, details},
    scenes::Stage,
    wire::{Credentials, encoded},
};

/// How long the token for pasting lives: an hour, as old as Deputy lets a foreign token get.
const LIFETIME_S: u32 = 3_600;

impl Stage<'_> {
    /// Prints the requests and waits until the reader presses Ctrl-C.
    pub async fn keep(&mut self) -> Result<(), DemoError> {
        let alice = self.sign_in("alice", LIFETIME_S)?;
        let lines = self.lines(alice.secret.expose());
        let n = &mut self.narrator;
        n.gap();
        n.title("Everything is still running. Paste these into another shell, in this order:");
        for (comment, line) in lines {
            n.gap();
            n.verbatim(&format!("# {comment}"));
            n.verbatim(&line);
        }
        n.gap();
        n.title("Ctrl-C ends it.");
        tokio::signal::ctrl_c().await.map_err(DemoError::Listen)
    }

    fn lines(&self, alice: &str) -> Vec<(&'static str, String)> {
        let base = &self.admin.base;
        let uri = &self.cast.tickets.uri;
        let tools = json!({
            "tickets.get": { "id": { "constraint_type": "exact", "value": 4711 } },
        });
        let exchange = encoded(&[
            ("grant_type", GRANT),
            ("subject_token", alice),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", uri),
            ("authorization_details", &details(uri, &tools).to_string()),
        ]);
        let support = basic(&self.cast.support.credentials);
        let owner = basic(&self.cast.tickets.owner);
        let admin = format!("-H 'Authorization: Bearer {}'", self.admin.token.expose());
        let json = "-H 'Content-Type: application/json'";
        let introspect = |call: &str| {
            format!(
                "curl -s {owner} --data-urlencode \"token=$TOKEN\" -d '{call}' {base}/oauth2/introspect; echo"
            )
        };
        let introspect_plainly =
            format!("curl -s {owner} --data-urlencode \"token=$TOKEN\" {base}/oauth2/introspect");
        let asked = |id: &str| encoded(&[("tool", "tickets.get"), ("arguments", id)]);
        vec![
            (
                "the support agent exchanges Alice's token",
                format!(
                    "ANSWER=$(curl -s {support} -d '{exchange}' {base}/oauth2/token); echo \"$ANSWER\""
                ),
            ),
            (
                "keep the token, and the transaction it belongs to",
                format!(
                    "TOKEN=$(echo \"$ANSWER\" | {}); TXN=$({} | {}); echo \"$TXN\"",
                    taken("access_token"),
                    introspect_plainly,
                    taken("txn"),
                ),
            ),
            ("the ticket server asks about a call", introspect(&asked(r#"{"id":4711}"#))),
            ("... and about one that is not delegated", introspect(&asked(r#"{"id":4712}"#))),
            (
                "an operator revokes the transaction",
                format!(
                    "curl -s {admin} {json} -d '{{\"transaction\":\"'\"$TXN\"'\"}}' {base}/admin/v1/revocations; echo"
                ),
            ),
            ("the first call again: no longer", introspect(&asked(r#"{"id":4711}"#))),
            (
                "what is on record",
                format!("curl -s {admin} \"{base}/admin/v1/events?transaction=$TXN\"; echo"),
            ),
        ]
    }
}

/// A member of the JSON on standard input. Plain `sed`: nothing has to be installed.
fn taken(member: &str) -> String {
    format!(r#"sed 's/.*"{member}":"\([^"]*\)".*/\1/'"#)
}

fn basic(who: &Credentials) -> String {
    format!("-u '{}:{}'", who.client_id, who.secret.expose())
}
