//! AuthZEN Authorization API 1.0: what a gateway asks, and the shapes of what it is told. Reads and
//! writes only: nobody named here is believed, and nothing here decides.

#[cfg(test)]
mod tests;

use super::decision::{self, Hint};
use crate::{
    base::{
        compose::ObjectWriter,
        id::DecisionId,
        json::{self, JsonError, Limits, Object, Value, quote},
        secret::Secret,
        text::pointer,
    },
    model::{
        call::{Call, Decision},
        token::OurClaims,
    },
};

/// The most evaluations of one request. AuthZEN section 7 leaves the bound to the server.
pub const MAX_EVALUATIONS: usize = 64;
/// The longest type, id or name, in bytes.
pub const MAX_NAME_BYTES: usize = 1_024;
/// The `resource.type` of a registered resource; its `id` is the resource's URI.
pub const MCP_SERVER: &str = "mcp_server";

/// What a gateway asks.
#[derive(Debug)]
pub enum Request {
    /// One question, one decision.
    One(Box<Evaluation>),
    /// Several. AuthZEN section 7.
    Batch(Batch),
}

/// Several questions.
#[derive(Debug)]
pub struct Batch {
    /// How far to go.
    pub semantic: Semantic,
    /// In the order of the answer; what is malformed is denied in its place.
    pub items: Vec<Result<Evaluation, AuthzenError>>,
}

/// `options.evaluations_semantic`. AuthZEN section 7.1.2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semantic {
    /// Every question is answered.
    #[default]
    ExecuteAll,
    /// The first deny is the last answer.
    DenyOnFirstDeny,
    /// The first permit is the last answer.
    PermitOnFirstPermit,
}

impl Semantic {
    const ALL: [Semantic; 3] =
        [Semantic::ExecuteAll, Semantic::DenyOnFirstDeny, Semantic::PermitOnFirstPermit];

    const fn as_str(self) -> &'static str {
        match self {
            Semantic::ExecuteAll => "execute_all",
            Semantic::DenyOnFirstDeny => "deny_on_first_deny",
            Semantic::PermitOnFirstPermit => "permit_on_first_permit",
        }
    }

    /// Whether nothing more is asked after this decision.
    pub const fn ends_with(self, decision: bool) -> bool {
        match self {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision,
            Semantic::PermitOnFirstPermit => decision,
        }
    }
}

/// One question.
#[derive(Debug)]
pub struct Evaluation {
    /// Who, as the gateway says. With a token it must be the token's subject (CZ-3).
    pub subject: Entity,
    /// `subject.properties.token`: what proves the subject.
    pub token: Option<Secret<String>>,
    /// On what, as the gateway says.
    pub resource: Entity,
    /// What: the action's name is the tool, `context.arguments` and `context.call_id` the rest.
    pub call: Call<'static>,
    /// `action.properties`.
    pub action: Object,
    /// The whole context, for access policies.
    pub context: Object,
}

/// A subject or resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Its type.
    pub kind: String,
    /// Its id, unique within the type.
    pub id: String,
    /// Its properties, without a token.
    pub properties: Object,
}

/// Why a question cannot be read. Safe to show: never quotes a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthzenError {
    /// Not strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A required member is absent.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A member is not what is wanted there.
    #[error("{} must be {wanted}", place(at))]
    Wrong {
        /// Its JSON Pointer.
        at: String,
        /// What it must be.
        wanted: &'static str,
    },
}

/// A place, for people: the empty pointer is the whole of what was sent.
fn place(at: &str) -> String {
    if at.is_empty() { "the document".to_owned() } else { format!("`{at}`") }
}

type Read<T> = Result<T, AuthzenError>;

const OBJECT: &str = "a JSON object";
const NAME: &str = "a string of 1 to 1024 bytes";

/// Reads the body of `POST /access/v1/evaluation`. Members that are not known are ignored.
pub fn evaluation(body: &[u8]) -> Read<Request> {
    let request = body_of(body)?;
    Ok(Request::One(Box::new(Parts::of(&request, "")?.joined()?)))
}

/// Reads the body of `POST /access/v1/evaluations`. Without `evaluations`, or with none in it, it
/// is one question (AuthZEN section 7.1).
pub fn evaluations(body: &[u8]) -> Read<Request> {
    let request = body_of(body)?;
    let semantic = semantic(&request)?;
    let items = match request.get("evaluations") {
        None => &[],
        Some(value) => value.as_array().ok_or_else(|| wrong("/evaluations", "a JSON array"))?,
    };
    if items.len() > MAX_EVALUATIONS {
        return Err(wrong("/evaluations", "at most 64 evaluations"));
    }
    // What every item falls back on is read once, and a fault in it is the whole request's.
    let defaults = Parts::of(&request, "")?;
    if items.is_empty() {
        return Ok(Request::One(Box::new(defaults.joined()?)));
    }
    let items = items.iter().enumerate().map(|(index, value)| {
        let at = format!("/evaluations/{index}");
        let item = value.as_object().ok_or_else(|| wrong(&at, OBJECT))?;
        Parts::of(item, &at)?.or(&defaults).joined()
    });
    Ok(Request::Batch(Batch { semantic, items: items.collect() }))
}

fn body_of(body: &[u8]) -> Read<Object> {
    match json::parse(body, &Limits::DEFAULT)? {
        Value::Object(object) => Ok(object),
        _ => Err(wrong("", OBJECT)),
    }
}

fn semantic(request: &Object) -> Read<Semantic> {
    let Some(options) = object(request, "", "options")? else { return Ok(Semantic::default()) };
    let at = "/options/evaluations_semantic";
    let wanted = "`execute_all`, `deny_on_first_deny` or `permit_on_first_permit`";
    match options.get("evaluations_semantic") {
        None => Ok(Semantic::default()),
        Some(value) => Semantic::ALL
            .into_iter()
            .find(|known| value.as_str() == Some(known.as_str()))
            .ok_or_else(|| wrong(at, wanted)),
    }
}

/// The four members of a question, each there or not. An item's member replaces the default whole.
#[derive(Clone)]
struct Parts {
    at: String,
    subject: Option<(Entity, Option<Secret<String>>)>,
    action: Option<(String, Object)>,
    resource: Option<Entity>,
    context: Option<Object>,
}

impl Parts {
    fn of(members: &Object, at: &str) -> Read<Parts> {
        let subject = object(members, at, "subject")?;
        let action = object(members, at, "action")?;
        let resource = object(members, at, "resource")?;
        Ok(Parts {
            at: at.to_owned(),
            subject: subject.map(|o| read_subject(o, &pointer(at, "subject"))).transpose()?,
            action: action.map(|o| read_action(o, &pointer(at, "action"))).transpose()?,
            resource: resource.map(|o| entity(o, &pointer(at, "resource"))).transpose()?,
            context: object(members, at, "context")?.cloned(),
        })
    }

    fn or(self, defaults: &Parts) -> Parts {
        Parts {
            at: self.at,
            subject: self.subject.or_else(|| defaults.subject.clone()),
            action: self.action.or_else(|| defaults.action.clone()),
            resource: self.resource.or_else(|| defaults.resource.clone()),
            context: self.context.or_else(|| defaults.context.clone()),
        }
    }

    fn joined(self) -> Read<Evaluation> {
        let missing = |name| AuthzenError::Missing(pointer(&self.at, name));
        let (subject, token) = self.subject.ok_or_else(|| missing("subject"))?;
        let (tool, action) = self.action.ok_or_else(|| missing("action"))?;
        let resource = self.resource.ok_or_else(|| missing("resource"))?;
        let context = self.context.unwrap_or_default();
        if token.is_some() && resource.kind != MCP_SERVER {
            let wanted =
                "`mcp_server`, with the resource's URI as `id`, where a token is presented";
            return Err(wrong(&format!("{}/resource/type", self.at), wanted));
        }
        let call = call(tool, &context, &pointer(&self.at, "context"))?;
        Ok(Evaluation { subject, token, resource, call, action, context })
    }
}

fn read_subject(members: &Object, at: &str) -> Read<(Entity, Option<Secret<String>>)> {
    let subject = entity(members, at)?;
    let (mut token, mut properties) = (None, Object::new());
    for (name, value) in subject.properties {
        if name == "token" {
            let at = pointer(&pointer(at, "properties"), "token");
            let text = value.as_str().filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| wrong(&at, "a string that is not empty"))?;
            token = Some(Secret::new(text.to_owned()));
        } else {
            properties.insert(name, value);
        }
    }
    Ok((Entity { properties, ..subject }, token))
}

fn read_action(members: &Object, at: &str) -> Read<(String, Object)> {
    let properties = object(members, at, "properties")?.cloned().unwrap_or_default();
    Ok((name(members, at, "name")?, properties))
}

fn entity(members: &Object, at: &str) -> Read<Entity> {
    Ok(Entity {
        kind: name(members, at, "type")?,
        id: name(members, at, "id")?,
        properties: object(members, at, "properties")?.cloned().unwrap_or_default(),
    })
}

fn call(tool: String, context: &Object, at: &str) -> Read<Call<'static>> {
    let call_id = match context.get("call_id") {
        None => None,
        Some(value) => {
            let fits = |id: &&str| !id.is_empty() && id.len() <= Call::MAX_CALL_ID_BYTES;
            let id = value.as_str().filter(fits);
            let wanted = "a string of 1 to 128 bytes";
            Some(id.ok_or_else(|| wrong(&pointer(at, "call_id"), wanted))?.to_owned().into())
        }
    };
    let arguments = context.get("arguments").map(|value| value.to_json().into());
    Ok(Call { tool: tool.into(), arguments, call_id, proof: None })
}

fn name(members: &Object, at: &str, name: &'static str) -> Read<String> {
    let at = pointer(at, name);
    let Some(value) = members.get(name) else { return Err(AuthzenError::Missing(at)) };
    let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_NAME_BYTES);
    text.map(str::to_owned).ok_or_else(|| wrong(&at, NAME))
}

fn object<'a>(members: &'a Object, at: &str, name: &str) -> Read<Option<&'a Object>> {
    let Some(value) = members.get(name) else { return Ok(None) };
    value.as_object().map(Some).ok_or_else(|| wrong(&pointer(at, name), OBJECT))
}

fn wrong(at: &str, wanted: &'static str) -> AuthzenError {
    AuthzenError::Wrong { at: at.to_owned(), wanted }
}

/// The decision about a call with a token.
pub fn decided(claims: &OurClaims, decision: &Decision, hint: Option<&Hint>) -> String {
    let context = decision::members(ObjectWriter::new(), claims, decision, hint).finish();
    answer(decision.allow, &context)
}

/// The one answer for every token that is not live for this caller. `challenge` is what its own
/// 401 should say.
pub fn inactive(challenge: &str) -> String {
    let context = ObjectWriter::new()
        .text("reason", "token_inactive")
        .text("challenge", challenge)
        .raw("mcp", r#"{"status":401}"#);
    answer(false, &context.finish())
}

/// The answer to a question without a token. Which policy decided is for administrators. `id`: under
/// which it is on record.
pub fn without_token(allow: bool, reason: &str, id: Option<DecisionId>) -> String {
    let id = id.map(|id| id.to_string());
    answer(
        allow,
        &ObjectWriter::new().text("reason", reason).maybe_text("id", id.as_deref()).finish(),
    )
}

/// The answer in the place of an item that cannot be read. AuthZEN section 7.2.1.
pub fn malformed(error: &AuthzenError) -> String {
    let error = ObjectWriter::new().number("status", 400).text("message", &error.to_string());
    answer(false, &ObjectWriter::new().raw("error", &error.finish()).finish())
}

/// Several answers, in the order of the questions.
pub fn batch(answers: &[String]) -> String {
    let answers = format!("[{}]", answers.join(","));
    ObjectWriter::new().raw("evaluations", &answers).finish()
}

/// What a transport error says: a JSON string (AuthZEN section 10.1.2: an error message).
pub fn error(message: &str) -> String {
    quote(message)
}

/// The discovery document. AuthZEN section 9.
pub fn configuration(public_url: &str) -> String {
    let at = |path: &str| format!("{public_url}/access/v1/{path}");
    ObjectWriter::new()
        .text("policy_decision_point", public_url)
        .text("access_evaluation_endpoint", &at("evaluation"))
        .text("access_evaluations_endpoint", &at("evaluations"))
        .finish()
}

fn answer(decision: bool, context: &str) -> String {
    ObjectWriter::new().flag("decision", decision).raw("context", context).finish()
}
