//! Who calls, as a server behind the gate knows it: an extension of every request that the gate
//! lets through. `rmcp` hands it to a tool as
//! `context.extensions.get::<http::request::Parts>()?.extensions.get::<Caller>()`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Map, Value};

use crate::{
    agent::Subject,
    answer::{Claims, Decision},
    denial::{self, Denial},
    deputy::Call,
    secret::Secret,
};

/// One request's token, what Deputy says of it, and the one call it may make.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Known>);

#[derive(Debug)]
struct Known {
    claims: Claims,
    token: Secret,
    permit: Option<Permit>,
}

/// Leave for one execution of one call.
#[derive(Debug)]
pub(crate) struct Permit {
    /// What was asked about.
    pub call: Call,
    /// What Deputy said.
    pub decision: Decision,
    used: AtomicBool,
}

impl Permit {
    /// Leave that nobody has used.
    pub fn new(call: Call, decision: Decision) -> Permit {
        Permit { call, decision, used: AtomicBool::new(false) }
    }
}

impl Caller {
    /// What came through.
    pub(crate) fn new(claims: Claims, token: Secret, permit: Option<Permit>) -> Caller {
        Caller(Arc::new(Known { claims, token, permit }))
    }

    /// Who the token speaks for.
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// The token itself, for a server that is an agent too and was given onward authority.
    pub fn subject(&self) -> Subject {
        Subject::access_token(self.0.token.expose())
    }

    /// The decision about this call, as a client may see it, for the `_meta` of the result under
    /// [`denial::DECISION`].
    pub fn decision(&self) -> Option<Value> {
        self.0.permit.as_ref().map(|permit| denial::shown(&permit.decision))
    }

    /// The last check, at the tool: is this the very call that Deputy permitted, and does it run for
    /// the first time? If something between the gate and the tool rewrote the call, or runs it
    /// twice, the answer does not count.
    pub fn admit(&self, tool: &str, arguments: &Map<String, Value>) -> Result<(), Denial> {
        let same = |permit: &&Permit| {
            let asked = serde_json::from_str::<Map<String, Value>>(&permit.call.arguments);
            permit.call.tool == tool && asked.is_ok_and(|asked| asked == *arguments)
        };
        let Some(permit) = self.0.permit.as_ref().filter(same) else {
            return Err(Denial::plain(CHANGED.to_owned()));
        };
        if permit.used.swap(true, Ordering::Relaxed) {
            return Err(Denial::plain(USED.to_owned()));
        }
        Ok(())
    }
}

const CHANGED: &str = "denied: the call was changed after Deputy decided about it; let nothing \
                       between the gate and the tool rewrite names or arguments";
const USED: &str = "denied: Deputy permitted one execution of this call, and this is another";
