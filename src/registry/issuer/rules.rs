//! Grant rules: what foreign tokens with certain claims are worth here, and nothing else.

use std::collections::BTreeMap;

use crate::{
    base::json::{Object, Value},
    model::{
        issuer::{ForeignKind, ForeignScope, GrantRule},
        scope::ScopeToken,
    },
    registry::{
        ceiling::{self, MAX_ENTRIES},
        form::{self, Form, Read},
    },
};

/// The most rules of one issuer: each one is looked at in every exchange.
const MAX_RULES: usize = 256;
/// The most claims of one rule.
const MAX_CLAIMS: usize = 16;
/// The most values of one claim.
const MAX_VALUES: usize = 64;
const KINDS: [(&str, ForeignKind); 2] =
    [("access_token", ForeignKind::AccessToken), ("id_token", ForeignKind::IdToken)];

/// Reads the rules.
pub(super) fn read(value: &Value, at: &str) -> Read<Vec<GrantRule>> {
    form::list(0..=MAX_RULES, |value, at| form::object(value, at, rule))(value, at)
}

fn rule(form: &mut Form<'_>) -> Option<GrantRule> {
    let kind = form.required("kind", form::word(&KINDS));
    let claims = form.or("claims", BTreeMap::new(), claims);
    let foreign_scope = foreign_scope(form, kind);
    let gives = form.required("gives", ceiling::entries(1..=MAX_ENTRIES));
    Some(GrantRule { kind: kind?, claims: claims?, foreign_scope: foreign_scope?, gives: gives? })
}

/// An access token was issued for something: the rule says for what, or that it does not matter.
fn foreign_scope(form: &mut Form<'_>, kind: Option<ForeignKind>) -> Option<ForeignScope> {
    let token = form.maybe("foreign_scope", form::parsed(ScopeToken::parse));
    let any = form.or("any_scope", false, form::flag);
    match (kind?, token?, any?) {
        (ForeignKind::AccessToken, Some(token), false) => Some(ForeignScope::Token(token)),
        (ForeignKind::AccessToken, None, true) | (ForeignKind::IdToken, None, false) => {
            Some(ForeignScope::Any)
        }
        (ForeignKind::AccessToken, Some(_), true) => {
            form.problem("any_scope", "must not be true beside `foreign_scope`: keep one of them");
            None
        }
        (ForeignKind::AccessToken, None, false) => {
            form.problem(
                "foreign_scope",
                "is missing: name the scope that the access token must carry, or say \
                 `\"any_scope\": true`",
            );
            None
        }
        (ForeignKind::IdToken, _, _) => {
            form.problem("foreign_scope", "and `any_scope` must be left out: an ID token has none");
            None
        }
    }
}

/// Reads `{claim: [value, …]}`.
pub(super) fn claims(value: &Value, at: &str) -> Read<BTreeMap<String, Vec<Value>>> {
    form::map(0..=MAX_CLAIMS, claim_name, form::list(1..=MAX_VALUES, scalar))(value, at)
}

fn claim_name(name: &str) -> Result<String, &'static str> {
    let fits = (1..=form::MAX_TEXT_BYTES).contains(&name.len()) && !name.contains(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err("a claim name is 1 to 512 bytes") }
}

fn scalar(value: &Value, at: &str) -> Read<Value> {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(form::problem(
            at,
            "must be a string, a number or a boolean: an array claim must contain one of them",
        )),
    }
}

/// Writes the rules.
pub(super) fn to_json(rules: &[GrantRule]) -> Value {
    Value::Array(rules.iter().map(|rule| rule_to_json(rule).into()).collect())
}

fn rule_to_json(rule: &GrantRule) -> Object {
    let mut object = Object::new();
    let kind = KINDS.iter().find(|(_, kind)| *kind == rule.kind).map(|(word, _)| *word);
    object.insert("kind", kind.unwrap_or_default());
    object.insert("claims", claims_to_json(&rule.claims));
    match (&rule.foreign_scope, rule.kind) {
        (ForeignScope::Token(token), _) => drop(object.insert("foreign_scope", token.as_str())),
        (ForeignScope::Any, ForeignKind::AccessToken) => drop(object.insert("any_scope", true)),
        (ForeignScope::Any, ForeignKind::IdToken) => {}
    }
    object.insert("gives", ceiling::to_json(&rule.gives));
    object
}

/// Writes claims with their values.
pub(super) fn claims_to_json(claims: &BTreeMap<String, Vec<Value>>) -> Object {
    claims.iter().map(|(name, values)| (name.as_str(), values.clone())).collect()
}
