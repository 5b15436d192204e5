//! Sending a request under a token: once more with a newer or a wider one, if the server says so.

use std::collections::BTreeSet;

use http::{Response, StatusCode, header::WWW_AUTHENTICATE};

use crate::{
    agent::{Agent, Subject, Token, Want},
    error::SendError,
};

/// The longest scope that is read from a challenge, in bytes.
const SCOPE_MAX: usize = 1_024;

impl Agent {
    /// Sends a request with a token for `want`; at most once again, with a token that is newer, if
    /// the server turned this one away (401), or wider, if it asks for more (403,
    /// `insufficient_scope`) and all of that is among the scopes of `step_up`. Then `want` has it
    /// from now on: what was named beforehand and granted once need not be asked for at every call.
    ///
    /// A `want` with tools is never widened; one with a scope alone never covers tools that destroy
    /// or let data out, so stepping up cannot reach those. `send` puts the token on the request and
    /// sends it to the server that `want` names, and to no other.
    ///
    /// # Errors
    /// Deputy refused the first token or gave no answer, or `send` failed. A second token that is not
    /// to be had is no error: the server's answer stands.
    pub async fn send<B, E>(
        &self,
        subject: &Subject,
        want: &mut Want,
        step_up: &str,
        send: impl AsyncFn(&Token) -> Result<Response<B>, E>,
    ) -> Result<Response<B>, SendError<E>> {
        let token = self.token(subject, want).await.map_err(SendError::Exchange)?;
        let answer = send(&token).await.map_err(SendError::Request)?;
        let next = match answer.status() {
            StatusCode::UNAUTHORIZED => {
                self.forget(subject, want, &token);
                want.clone()
            }
            StatusCode::FORBIDDEN => match wider(want, &answer, step_up) {
                Some(wider) => wider,
                None => return Ok(answer),
            },
            _ => return Ok(answer),
        };
        let Ok(token) = self.token(subject, &next).await else { return Ok(answer) };
        *want = next;
        send(&token).await.map_err(SendError::Request)
    }
}

/// What is wanted and what is challenged, if all of that was named beforehand.
fn wider<B>(want: &Want, answer: &Response<B>, step_up: &str) -> Option<Want> {
    let have: BTreeSet<&str> = want.scope_alone()?.split(' ').collect();
    let named: BTreeSet<&str> = step_up.split_whitespace().collect();
    let challenge = answer.headers().get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let asked: BTreeSet<&str> = asked_for(challenge)?.split(' ').collect();
    let more: BTreeSet<&str> = asked.difference(&have).copied().collect();
    if more.is_empty() || !more.is_subset(&named) {
        return None;
    }
    let all: Vec<&str> = have.union(&more).copied().collect();
    Some(want.clone().with_scope(&all.join(" ")))
}

/// The scope that a challenge asks for (RFC 6750 section 3).
fn asked_for(challenge: &str) -> Option<&str> {
    if !challenge.contains(r#"error="insufficient_scope""#) {
        return None;
    }
    let mut parts = challenge.split(r#"scope=""#);
    let mut before = parts.next()?;
    for rest in parts {
        if before.ends_with([' ', ',']) {
            let scope = rest.split('"').next()?;
            return (!scope.is_empty() && scope.len() <= SCOPE_MAX).then_some(scope);
        }
        before = rest;
    }
    None
}
