//! `question`: what an operator supposes, to be told what would happen. Never stored.

use super::form::{self, Form, Read};
use crate::{
    base::{
        id::{Alias, ClientId, ResourceId},
        json::{Object, Value},
    },
    model::{authority::ToolName, issuer::ForeignKind, scope::Scope, token::OurClaims},
};

/// A call that nobody makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Who vouches for the user: the alias of a trusted issuer.
    pub issuer: Alias,
    /// The user there.
    pub sub: String,
    /// What kind of token the user would bring.
    pub kind: ForeignKind,
    /// What it would say besides.
    pub claims: Object,
    /// Through whom, in the order in which they come in: at least one.
    pub agents: Vec<ClientId>,
    /// At which resource.
    pub resource: ResourceId,
    /// Which tool.
    pub tool: ToolName,
    /// With which arguments.
    pub arguments: Object,
    /// What the agents ask for, as `authorization_details`; not read here.
    pub details: Option<Value>,
    /// The scopes that the last agent asks for.
    pub scope: Option<Scope>,
}

/// The most agents: each adds a hop, and a chain has no more.
const MAX_AGENTS: usize = OurClaims::MAX_PATH - 1;

/// Reads a question.
pub fn parse(text: &str) -> Read<Question> {
    form::document(text, |form| {
        let subject = form.required("subject", |value, at| form::object(value, at, subject));
        let agents = form::list(1..=MAX_AGENTS, form::parsed(ClientId::parse));
        let agents = form.required("agents", agents);
        let resource = form.required("resource", form::parsed(ResourceId::parse));
        let tool = form.required("tool", form::parsed(ToolName::parse));
        let arguments = form.or("arguments", Object::new(), object);
        let details = form.maybe("authorization_details", |value, _| Ok(value.clone()));
        let scope = form.maybe("scope", form::parsed(Scope::parse));
        let (issuer, sub, kind, claims) = subject?;
        Some(Question {
            issuer,
            sub,
            kind,
            claims,
            agents: agents?,
            resource: resource?,
            tool: tool?,
            arguments: arguments?,
            details: details?,
            scope: scope?,
        })
    })
}

fn subject(form: &mut Form<'_>) -> Option<(Alias, String, ForeignKind, Object)> {
    let kinds = [("access_token", ForeignKind::AccessToken), ("id_token", ForeignKind::IdToken)];
    let issuer = form.required("issuer", form::parsed(Alias::parse));
    let sub = form.required("sub", form::text);
    let kind = form.or("kind", ForeignKind::AccessToken, form::word(&kinds));
    let claims = form.or("claims", Object::new(), object);
    Some((issuer?, sub?, kind?, claims?))
}

fn object(value: &Value, at: &str) -> Read<Object> {
    form::as_object(value, at).cloned()
}
