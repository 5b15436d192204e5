//! `issuer`: an identity provider whose tokens may start a delegation, and what they are worth.
//!
//! Everything defaults to less: no token kind, no agent and no grant rule unless it is written.

mod groups;
pub mod keys;
mod mapping;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use super::form::{self, Form, Read};
use crate::{
    base::{
        id::{Alias, ClientId},
        json::{Object, Value},
        text::shown,
        time::Seconds,
    },
    model::{
        issuer::{AccessTokenRules, ForeignKind, TrustedIssuer},
        uri::Uri,
    },
};

/// The signature algorithms that an issuer may be registered for. JW-1: never `none`, and never a
/// symmetric one, for which the public key would be the secret.
pub const ALGORITHMS: [&str; 8] =
    ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];
/// The algorithms of an issuer that does not say.
pub const DEFAULT_ALGORITHMS: [&str; 2] = ["RS256", "ES256"];
/// The longest age of a foreign token, and how long rows that bar one are kept: a day.
pub const MAX_MAX_AGE_S: i64 = 86_400;
/// The age that is accepted unless the issuer says otherwise: an hour.
pub const DEFAULT_MAX_AGE_S: i64 = 3_600;
/// The most audiences of one issuer, and client ids of one agent there.
pub const MAX_AUDIENCES: usize = 16;
/// The most agents that are named for one issuer.
pub const MAX_AGENTS: usize = 256;

/// Reads a trusted issuer.
pub fn parse(text: &str) -> Read<TrustedIssuer> {
    form::document(text, |form| {
        let url = form.required("issuer", |value, at| checked_url(value, at, Query::Refused));
        let alias = form.required("alias", form::parsed(Alias::parse));
        let primary = form.or("primary", false, form::flag);
        let keys = form.required("keys", |value, at| form::object(value, at, keys::read));
        let algorithms = form.or("algorithms", default_algorithms(), algorithms);
        let access_tokens =
            form.maybe("access_tokens", |value, at| form::object(value, at, access_tokens));
        let id_tokens = form.or("id_tokens", false, form::flag);
        let max_age = form.or("max_age_s", DEFAULT_MAX_AGE_S, form::number(1..=MAX_MAX_AGE_S));
        let required_claims = form.or("required_claims", BTreeMap::new(), rules::claims);
        let claim_mapping = form.or("claim_mapping", BTreeMap::new(), mapping::read);
        let groups = form.or("groups", Vec::new(), groups::read);
        let grant_rules = form.or("grant_rules", Vec::new(), rules::read);
        let agents =
            form.or("agents", BTreeMap::new(), form::map(0..=MAX_AGENTS, ClientId::parse, texts));
        let any_agent = form.or("any_agent", false, form::flag);
        let asserts_actors = form.or("asserts_actors", false, form::flag);
        let enabled = form.or("enabled", true, form::flag);
        let issuer = TrustedIssuer {
            url: url?.into(),
            alias: alias?,
            primary: primary?,
            keys: keys?,
            algorithms: algorithms?,
            access_tokens: access_tokens?,
            id_tokens: id_tokens?,
            max_age: u32::try_from(max_age?).ok().map(Seconds::new)?,
            required_claims: required_claims?,
            claim_mapping: claim_mapping?,
            groups: groups?,
            grant_rules: grant_rules?,
            agents: agents?,
            any_agent: any_agent?,
            asserts_actors: asserts_actors?,
            enabled: enabled?,
        };
        refuse_idle_rules(form, &issuer);
        Some(issuer)
    })
}

/// A rule for a kind of token that is not accepted would look as if it held.
fn refuse_idle_rules(form: &mut Form<'_>, issuer: &TrustedIssuer) {
    let speaks_of = |kind| issuer.grant_rules.iter().any(|rule| rule.kind == kind);
    if speaks_of(ForeignKind::AccessToken) && issuer.access_tokens.is_none() {
        form.problem("access_tokens", "is missing: a grant rule speaks of access tokens");
    }
    if speaks_of(ForeignKind::IdToken) && !issuer.id_tokens {
        form.problem("id_tokens", "must be true: a grant rule speaks of ID tokens");
    }
}

fn access_tokens(form: &mut Form<'_>) -> Option<AccessTokenRules> {
    let audiences = form.required("audiences", texts);
    let untyped_marker = form.maybe("untyped_marker", form::text);
    Some(AccessTokenRules { audiences: audiences?, untyped_marker: untyped_marker? })
}

fn texts(value: &Value, at: &str) -> Read<BTreeSet<String>> {
    let texts = form::list(1..=MAX_AUDIENCES, form::text)(value, at)?;
    Ok(texts.into_iter().collect())
}

fn default_algorithms() -> BTreeSet<String> {
    DEFAULT_ALGORITHMS.iter().map(|&name| name.to_owned()).collect()
}

fn algorithms(value: &Value, at: &str) -> Read<BTreeSet<String>> {
    let words = ALGORITHMS.map(|name| (name, name));
    let names = form::list(1..=ALGORITHMS.len(), form::word(&words))(value, at)?;
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// Whether a URL may have a query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Query {
    Accepted,
    Refused,
}

/// A URL that is kept exactly as written, because `iss` is compared exactly.
///
/// OpenID Connect Discovery section 3: https, without query or fragment. Plain http passes here
/// for loopback only; whether even that is wanted is the server's configuration.
fn checked_url(value: &Value, at: &str, query: Query) -> Read<String> {
    let url = form::text(value, at)?;
    let refused = |why: &str| Err(form::problem(at, format!("{} is refused: {why}", shown(&url))));
    if let Err(error) = Uri::parse(&url) {
        return refused(&error.to_string());
    }
    if !url.starts_with("https://") && !is_loopback(&url) {
        return refused("it must begin with https://");
    }
    if query == Query::Refused && url.contains('?') {
        return refused("it must not have a query");
    }
    Ok(url)
}

/// Whether this is a plain-http URL of this machine itself, which only development may use.
pub fn is_loopback(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => {
            return v6
                .split_once(']')
                .is_some_and(|(host, port)| host == "::1" && (port.is_empty() || is_port(port)));
        }
        None => match authority.find(':').and_then(|at| authority.split_at_checked(at)) {
            Some((_, port)) if !is_port(port) => return false,
            Some((host, _)) => host,
            None => authority,
        },
    };
    host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok())
}

/// Writes a trusted issuer.
pub fn write(issuer: &TrustedIssuer) -> String {
    let mut document = Object::new();
    document.insert("issuer", &*issuer.url);
    document.insert("alias", issuer.alias.as_str());
    document.insert("primary", issuer.primary);
    document.insert("keys", keys::to_json(&issuer.keys));
    document.insert("algorithms", form::texts(issuer.algorithms.iter().map(String::as_str)));
    if let Some(rules) = &issuer.access_tokens {
        document.insert("access_tokens", access_tokens_to_json(rules));
    }
    document.insert("id_tokens", issuer.id_tokens);
    document.insert("max_age_s", issuer.max_age.get());
    document.insert("required_claims", rules::claims_to_json(&issuer.required_claims));
    document.insert("claim_mapping", mapping::to_json(&issuer.claim_mapping));
    document.insert("groups", groups::to_json(&issuer.groups));
    document.insert("grant_rules", rules::to_json(&issuer.grant_rules));
    let agents: Object = issuer
        .agents
        .iter()
        .map(|(id, theirs)| (id.as_str(), form::texts(theirs.iter().map(String::as_str))))
        .collect();
    document.insert("agents", agents);
    document.insert("any_agent", issuer.any_agent);
    document.insert("asserts_actors", issuer.asserts_actors);
    document.insert("enabled", issuer.enabled);
    document.to_json()
}

fn access_tokens_to_json(rules: &AccessTokenRules) -> Object {
    let mut object = Object::new();
    object.insert("audiences", form::texts(rules.audiences.iter().map(String::as_str)));
    if let Some(marker) = &rules.untyped_marker {
        object.insert("untyped_marker", marker.as_str());
    }
    object
}
