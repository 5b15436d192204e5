//! `client`: whatever authenticates to Deputy. Its secrets are documents of their own, so that
//! reading or writing a client never touches one.

use super::{
    ceiling,
    form::{self, Form, Read},
};
use crate::{
    base::{
        id::ClientId,
        json::{Object, Value},
    },
    model::{
        ceiling::Ceiling,
        client::{Agent, AuthMethod, Client},
        signing::SigningAlgorithm,
        uri::Uri,
    },
};

/// Reads a client; its credentials are empty.
pub fn parse(text: &str) -> Read<Client> {
    form::document(text, |form| {
        let id = form.required("client_id", form::parsed(ClientId::parse));
        let name = form.required("name", form::label);
        let methods = AuthMethod::ALL.map(|method| (method.as_str(), method));
        // RFC 7591 section 2: the default is `client_secret_basic`.
        let auth_method = form.or(
            "token_endpoint_auth_method",
            AuthMethod::ClientSecretBasic,
            form::word(&methods),
        );
        let introspection_signing = form.or(
            "introspection_signed_response_alg",
            SigningAlgorithm::default(),
            form::signing_algorithm,
        );
        let agent = form.maybe("agent", |value, at| form::object(value, at, agent));
        let enabled = form.or("enabled", true, form::flag);
        Some(Client {
            id: id?,
            name: name?,
            auth_method: auth_method?,
            introspection_signing: introspection_signing?,
            agent: agent?,
            credentials: Vec::new(),
            enabled: enabled?,
        })
    })
}

fn agent(form: &mut Form<'_>) -> Option<Agent> {
    let uri = form.required("uri", form::parsed(Uri::parse));
    let allowance = form.or("allowance", Ceiling::default(), ceiling::read);
    let own_allowance = form.or("own_allowance", Ceiling::default(), ceiling::read);
    Some(Agent { uri: uri?, allowance: allowance?, own_allowance: own_allowance? })
}

/// Writes a client without its credentials.
pub fn write(client: &Client) -> String {
    let mut document = Object::new();
    document.insert("client_id", client.id.as_str());
    document.insert("name", client.name.as_str());
    document.insert("token_endpoint_auth_method", client.auth_method.as_str());
    let signing = client.introspection_signing.as_str();
    document.insert("introspection_signed_response_alg", signing);
    if let Some(agent) = &client.agent {
        document.insert("agent", agent_to_json(agent));
    }
    document.insert("enabled", client.enabled);
    document.to_json()
}

fn agent_to_json(agent: &Agent) -> Object {
    [
        ("uri", Value::from(agent.uri.as_str())),
        ("allowance", ceiling::to_json(agent.allowance.entries())),
        ("own_allowance", ceiling::to_json(agent.own_allowance.entries())),
    ]
    .into_iter()
    .collect()
}
