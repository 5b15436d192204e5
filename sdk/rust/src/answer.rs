//! What Deputy says about a token and about a call, read strictly: an answer that does not say what
//! it must, or contradicts itself, is no answer.

use serde_json::{Map, Value};

use crate::{error::Unavailable, wire::Reply};

/// The longest reason or message that is passed on to a client, in characters.
const TEXT_CHARS_MAX: usize = 1024;

/// Who a live token speaks for, as Deputy says (RFC 7662 section 2.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

/// What Deputy decided about one call, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    allow: bool,
    reason: String,
    message: String,
    id: String,
    members: Map<String, Value>,
}

/// The answer about one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The token is not live here; nothing was decided.
    Dead,
    /// The token is live, the call may not be made.
    Denied(Decision),
    /// This very call may be made now, once.
    Permitted(Claims, Decision),
}

/// Where a question was asked: whose tokens, for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The issuer that was asked.
    pub issuer: &'a str,
    /// The resource that asked.
    pub resource: &'a str,
}

impl Claims {
    /// A claim that is text; empty if it is none.
    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Any claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The person for whom this is done.
    pub fn sub(&self) -> &str {
        self.text("sub")
    }

    /// Who issued the token.
    pub fn iss(&self) -> &str {
        self.text("iss")
    }

    /// The agent that holds the token.
    pub fn client_id(&self) -> &str {
        self.text("client_id")
    }

    /// The scopes, separated by spaces.
    pub fn scope(&self) -> &str {
        self.text("scope")
    }

    /// Who acts for whom: the person, then the agents in the order in which they came to act
    /// (RFC 8693 section 4.1).
    pub fn chain(&self) -> Vec<&str> {
        let outermost = self.0.get("act");
        let acts = std::iter::successors(outermost, |act| act.get("act"));
        let mut names: Vec<&str> =
            acts.filter_map(|act| act.get("sub").and_then(Value::as_str)).collect();
        names.push(self.sub());
        names.reverse();
        names
    }

    /// Whether the token is bound to a key (RFC 9449 section 6.2).
    pub(crate) fn is_bound(&self) -> bool {
        self.text("token_type").eq_ignore_ascii_case("dpop")
    }

    /// A yes must be about a token of our issuer for our resource, and say whose it is.
    fn of(body: Map<String, Value>, asked: Asked<'_>) -> Result<Claims, Unavailable> {
        for name in ["sub", "client_id", "scope"] {
            if !body.get(name).is_some_and(Value::is_string) {
                return Err(Unavailable::Answer("does not say whose the token is"));
            }
        }
        if !body.get("exp").is_some_and(|exp| exp.is_i64() || exp.is_u64()) {
            return Err(Unavailable::Answer("does not say when the token expires"));
        }
        let claims = Claims(body);
        if claims.text("aud") != asked.resource || claims.iss() != asked.issuer {
            return Err(Unavailable::Answer("is about a token for another server"));
        }
        Ok(claims)
    }
}

impl Decision {
    /// Whether the call may be made.
    pub fn allow(&self) -> bool {
        self.allow
    }

    /// Why, in Deputy's closed list of reasons.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Why, in words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the audit log has it under.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Any member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The exact scope to step up to, where Deputy says that stepping up would help. It goes into a
    /// header, where anything but a scope could say something else.
    pub(crate) fn scope_that_cures(&self) -> Option<&str> {
        let scope = self.members.get("required_scope").and_then(Value::as_str);
        scope.filter(|scope| scope.split(' ').all(is_scope_token))
    }

    /// What a 401 says, where Deputy says that a 401 is the answer.
    pub(crate) fn challenge(&self) -> Option<&str> {
        let status = self.members.get("mcp").and_then(|mcp| mcp.get("status"));
        let challenge = self.members.get("challenge").and_then(Value::as_str);
        challenge.filter(|_| status.and_then(Value::as_u64) == Some(401))
    }

    fn of(value: Value) -> Result<Decision, Unavailable> {
        let Value::Object(members) = value else {
            return Err(Unavailable::Answer("has a decision that is no object"));
        };
        let Some(Value::Bool(allow)) = members.get("allow") else {
            return Err(Unavailable::Answer("has a decision without `allow`"));
        };
        let allow = *allow;
        let text = |name: &str| {
            let text = members.get(name).and_then(Value::as_str);
            text.map(|text| text.chars().take(TEXT_CHARS_MAX).collect::<String>())
        };
        let reason = text("reason").filter(|reason| allow == (reason == "permitted"));
        let Some(reason) = reason else {
            return Err(Unavailable::Answer("has a decision without a reason that goes with it"));
        };
        let message = text("message").unwrap_or_else(|| reason.clone());
        let id = text("id").unwrap_or_default();
        Ok(Decision { allow, reason, message, id, members })
    }
}

/// RFC 6749 section 3.3.
pub(crate) fn is_scope_token(scope: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    !scope.is_empty() && scope.chars().all(allowed)
}

/// The answer to a question about a token alone: its claims if it is live.
pub(crate) fn token(reply: Reply, asked: Asked<'_>) -> Result<Option<Claims>, Unavailable> {
    let body = answered(reply)?;
    if body.contains_key("decision") {
        return Err(Unavailable::Answer("has a decision that nobody asked for"));
    }
    if active(&body)? { Claims::of(body, asked).map(Some) } else { Ok(None) }
}

/// The answer to a question about a call of `tool`.
pub(crate) fn call(reply: Reply, asked: Asked<'_>, tool: &str) -> Result<Verdict, Unavailable> {
    let mut body = answered(reply)?;
    let active = active(&body)?;
    let Some(decision) = body.remove("decision") else {
        return if active {
            Err(Unavailable::Answer("has no decision about the call"))
        } else {
            Ok(Verdict::Dead)
        };
    };
    let decision = Decision::of(decision)?;
    let about = decision.get("tool").is_none_or(|about| about.as_str() == Some(tool));
    if decision.allow() != active || !about {
        return Err(Unavailable::Answer("contradicts itself"));
    }
    if !active {
        return Ok(Verdict::Denied(decision));
    }
    Ok(Verdict::Permitted(Claims::of(body, asked)?, decision))
}

fn answered(reply: Reply) -> Result<Map<String, Value>, Unavailable> {
    match reply.status {
        200 => Ok(reply.body),
        _ if reply.body.get("error").and_then(Value::as_str) == Some("invalid_client") => {
            Err(Unavailable::UnknownClient)
        }
        status => Err(Unavailable::Status { status }),
    }
}

fn active(body: &Map<String, Value>) -> Result<bool, Unavailable> {
    let active = body.get("active").and_then(Value::as_bool);
    active.ok_or(Unavailable::Answer("has no `active` that is true or false"))
}
