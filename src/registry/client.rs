//! `client`: whatever authenticates to Deputy. Its secrets are documents of their own, so that
//! reading or writing a client never touches one.

use std::sync::Arc;

use super::{
    ceiling,
    form::{self, Form, Read},
    issuer::keys,
};
use crate::{
    base::{
        id::ClientId,
        json::{Object, Value},
    },
    model::{
        ceiling::Ceiling,
        client::{Agent, AssertionRules, AuthMethod, Client},
        issuer::KeySource,
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
        let assertions = assertions(form, auth_method);
        let dpop_bound = form.or("dpop_bound_access_tokens", false, form::flag);
        let introspection_signing = form.or(
            "introspection_signed_response_alg",
            SigningAlgorithm::default(),
            form::signing_algorithm,
        );
        let asks_without_token = form.or("asks_without_token", false, form::flag);
        let agent = form.maybe("agent", |value, at| form::object(value, at, agent));
        let enabled = form.or("enabled", true, form::flag);
        Some(Client {
            id: id?,
            name: name?,
            auth_method: auth_method?,
            dpop_bound: dpop_bound?,
            introspection_signing: introspection_signing?,
            asks_without_token: asks_without_token?,
            agent: agent?,
            assertions: assertions.ok()?,
            credentials: Vec::new(),
            enabled: enabled?,
        })
    })
}

/// What is wrong was said in the form.
struct Refused;

/// RFC 7591 section 2: `jwks` or `jwks_uri`, one of them, exactly where keys are the method.
fn assertions(
    form: &mut Form<'_>,
    method: Option<AuthMethod>,
) -> Result<Option<Arc<AssertionRules>>, Refused> {
    let uri = form.maybe("jwks_uri", keys::jwks_uri);
    let inline = form.maybe("jwks", keys::jwks);
    let legacy = form.or("legacy_assertions", false, form::flag);
    let (Some(method), Some(uri), Some(inline), Some(legacy)) = (method, uri, inline, legacy)
    else {
        return Err(Refused);
    };
    let keys = match (method, uri, inline) {
        (AuthMethod::PrivateKeyJwt, Some(uri), None) => KeySource::JwksUri(uri),
        (AuthMethod::PrivateKeyJwt, None, Some(text)) => KeySource::Inline(text),
        (AuthMethod::PrivateKeyJwt, _, _) => {
            form.problem_here("needs its public keys: either `jwks` or `jwks_uri`");
            return Err(Refused);
        }
        (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, None, None) if !legacy => {
            return Ok(None);
        }
        (AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, _, _) => {
            let message = "must be `private_key_jwt` beside `jwks`, `jwks_uri` or \
                           `legacy_assertions`: a client has one method";
            form.problem("token_endpoint_auth_method", message);
            return Err(Refused);
        }
    };
    Ok(Some(Arc::new(AssertionRules { keys, legacy })))
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
    if let Some(rules) = &client.assertions {
        for (name, value) in keys::to_json(&rules.keys).iter() {
            document.insert(name, value.clone());
        }
        document.insert("legacy_assertions", rules.legacy);
    }
    document.insert("dpop_bound_access_tokens", client.dpop_bound);
    let signing = client.introspection_signing.as_str();
    document.insert("introspection_signed_response_alg", signing);
    document.insert("asks_without_token", client.asks_without_token);
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
