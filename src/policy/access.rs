//! Access policies: requests without a token, about whatever an administrator's schema describes.
//! Nothing in such a request is proved; who may ask at all is the engine's question. Cedar's own
//! default deny holds, what the schema does not describe is denied, and so is what errs.

use std::{
    str::FromStr,
    sync::{Arc, LazyLock},
};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, PolicySet, Request, Schema, SchemaFragment, ValidationMode, Validator,
};
use serde_json::{Map, Value, json};

use super::{
    Family,
    compile::{one_for_each_place, placed},
    judge::id,
    text::{self, Written},
};
use crate::{
    base::json::Object,
    model::policy::{Access as Sources, Fault, Source},
};

/// Access policies with the schema that they were validated against.
#[derive(Debug)]
pub(super) struct Access {
    schema: Schema,
    /// The schema as JSON: which members there are.
    described: Value,
    enforced: PolicySet,
    /// With those that are only watched.
    watched: PolicySet,
}

/// One side of a question: a subject or a resource, as the caller says.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its properties.
    pub properties: &'a Object,
}

/// A question without a token. AuthZEN section 5.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who.
    pub subject: Named<'a>,
    /// What.
    pub action: &'a str,
    /// How: the properties of the action, for policies `context.action`.
    pub properties: &'a Object,
    /// On what.
    pub resource: Named<'a>,
    /// In which circumstances.
    pub context: &'a Object,
}

/// What access policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it comes out.
    pub outcome: AccessOutcome,
    /// The policies that say so, by id.
    pub decided: Vec<Arc<str>>,
    /// The policies that are only watched and would have turned the answer.
    pub shadow: Vec<Arc<str>>,
}

/// How a question without a token comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessOutcome {
    /// A policy permits it, and none forbids it.
    Permitted,
    /// No policy permits it.
    NotPermitted,
    /// A policy forbids it.
    Forbidden,
    /// A policy could not be evaluated.
    Failed,
    /// The schema describes no such question, or there is none.
    NotDescribed,
}

/// Reads and validates access policies. Warnings come back with them.
pub(super) fn compile(
    sources: &Sources,
    faults: &mut Vec<Fault>,
) -> Option<(Access, Vec<Written>, Vec<Fault>)> {
    let written = text::read(Family::Access, &sources.policies, faults);
    let Some(file) = &sources.schema else {
        if let Some(file) = sources.policies.first() {
            let message = "access policies need a schema of what there is to ask about: write \
                           `access/schema.cedarschema`";
            faults.push(text::at_offset(file, 0, message));
        }
        return None;
    };
    let (schema, described) = match described(file) {
        Ok(read) => read,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let set = |keep: fn(&Written) -> bool| {
        let policies = written.iter().filter(|w| keep(w)).map(|w| w.policy.clone());
        PolicySet::from_policies(policies).ok()
    };
    let (enforced, watched) = (set(|written| !written.rule.shadow)?, set(|_| true)?);
    let result = Validator::new(schema.clone()).validate(&watched, ValidationMode::Strict);
    let place = |id: &cedar_policy::PolicyId, error: &dyn miette::Diagnostic| {
        placed(&sources.policies, &written, id, error)
    };
    let wrong = result.validation_errors().map(|error| place(error.policy_id(), error)).collect();
    faults.extend(one_for_each_place(wrong));
    let odd = result.validation_warnings().map(|odd| place(odd.policy_id(), odd)).collect();
    Some((Access { schema, described, enforced, watched }, written, one_for_each_place(odd)))
}

/// The schema, and the same as JSON. Named types are written out at every place that names them, so
/// that a few lines can be made to mean millions: there are none. Nor are there parents, as a
/// question cannot say whose child somebody is.
fn described(file: &Source) -> Result<(Schema, Value), Fault> {
    if let Some(fault) = text::beyond_measure(file, text::Brackets::OfTypes) {
        return Err(fault);
    }
    let (fragment, _) = SchemaFragment::from_cedarschema_str(&file.text)
        .map_err(|error| text::fault(file, &error, &error.to_string()))?;
    let whole = |message: &str| text::at_offset(file, 0, message);
    let described = fragment.clone().to_json_value().map_err(|e| whole(&e.to_string()))?;
    let spaces = || described.as_object().into_iter().flat_map(Map::values);
    let named = |space: &Value| {
        let types = space.get("commonTypes").and_then(Value::as_object);
        types.is_some_and(|types| !types.is_empty())
    };
    if spaces().any(named) {
        return Err(whole("names a `type`: write the record out where it stands"));
    }
    let is_child = |kind: &Value| {
        let parents = kind.get("memberOfTypes").and_then(Value::as_array);
        parents.is_some_and(|parents| !parents.is_empty())
    };
    let kinds = |space: &Value| {
        let kinds = space.get("entityTypes").and_then(Value::as_object);
        kinds.is_some_and(|kinds| kinds.values().any(is_child))
    };
    if spaces().any(kinds) {
        let message = "has an entity `in` another: a question cannot say whose child somebody is, \
                       so ask for a property instead";
        return Err(whole(message));
    }
    let schema = Schema::from_schema_fragments([fragment]).map_err(|e| whole(&e.to_string()))?;
    Ok((schema, described))
}

impl Access {
    /// What is said about a question.
    pub fn ask(&self, question: &Question<'_>) -> Answer {
        let Some((request, entities)) = self.put(question) else {
            return Answer {
                outcome: AccessOutcome::NotDescribed,
                decided: Vec::new(),
                shadow: Vec::new(),
            };
        };
        let (outcome, decided) = weigh(&self.enforced, &request, &entities);
        let (watched, by) = weigh(&self.watched, &request, &entities);
        let permits = |outcome| outcome == AccessOutcome::Permitted;
        let turned = permits(outcome) != permits(watched);
        let shadow = if turned { by } else { Vec::new() };
        Answer { outcome, decided, shadow }
    }

    /// The question in Cedar's terms; `None` where the schema does not describe it.
    fn put(&self, question: &Question<'_>) -> Option<(Request, Entities)> {
        let action = uid("Action", question.action)?;
        let (principal, subject) = self.entity(question.subject)?;
        let (resource, object) = self.entity(question.resource)?;
        let mut context = members(question.context);
        context.insert("action".to_owned(), Value::Object(members(question.properties)));
        let described = self.described.get("")?.get("actions")?.get(question.action)?;
        let described = described.get("appliesTo")?.get("context");
        let context = fitting(Value::Object(context), record_or_none(described));
        let context = Context::from_json_value(context, Some((&self.schema, &action))).ok()?;
        let request =
            Request::new(principal, action, resource, context, Some(&self.schema)).ok()?;
        // Who asks about itself is one entity, with the properties of both sides.
        let same = subject.uid() == object.uid();
        if same && !subject.deep_eq(&object) {
            return None;
        }
        let entities = [Some(subject), Some(object).filter(|_| !same)].into_iter().flatten();
        let actions = self.schema.action_entities().ok()?;
        Some((request, actions.add_entities(entities, Some(&self.schema)).ok()?))
    }

    fn entity(&self, named: Named<'_>) -> Option<(EntityUid, Entity)> {
        let id = uid(named.kind, named.id)?;
        let (space, kind) = named.kind.rsplit_once("::").unwrap_or(("", named.kind));
        let described = self.described.get(space)?.get("entityTypes")?.get(kind)?;
        let shape = record_or_none(described.get("shape"));
        let attributes = fitting(Value::Object(members(named.properties)), shape);
        let entity = json!({
            "uid": { "type": named.kind, "id": named.id }, "attrs": attributes, "parents": [],
        });
        Some((id, Entity::from_json_value(entity, Some(&self.schema)).ok()?))
    }
}

fn weigh(
    set: &PolicySet,
    request: &Request,
    entities: &Entities,
) -> (AccessOutcome, Vec<Arc<str>>) {
    let answer = Authorizer::new().is_authorized(request, set, entities);
    let failed: Vec<Arc<str>> = answer
        .diagnostics()
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(error)| id(error.policy_id()))
        .collect();
    if !failed.is_empty() {
        return (AccessOutcome::Failed, failed);
    }
    let mut decided: Vec<Arc<str>> = answer.diagnostics().reason().map(id).collect();
    decided.sort();
    let outcome = match answer.decision() {
        Decision::Allow => AccessOutcome::Permitted,
        Decision::Deny if decided.is_empty() => AccessOutcome::NotPermitted,
        Decision::Deny => AccessOutcome::Forbidden,
    };
    (outcome, decided)
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn members(object: &Object) -> Map<String, Value> {
    match Value::from_str(&object.to_json()) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// A type that is not written has no members.
fn record_or_none(described: Option<&Value>) -> &Value {
    static NONE: LazyLock<Value> = LazyLock::new(|| json!({ "type": "Record", "attributes": {} }));
    described.unwrap_or(&NONE)
}

/// The members that a record type has. What a caller says beyond that nobody can decide by.
fn fitting(value: Value, described: &Value) -> Value {
    let attributes = described.get("attributes").and_then(Value::as_object);
    match (value, attributes) {
        (Value::Object(members), Some(attributes)) => {
            let known = members.into_iter().filter_map(|(name, value)| {
                let value = fitting(value, attributes.get(&name)?);
                (!value.is_null()).then_some((name, value))
            });
            Value::Object(known.collect())
        }
        (value, _) => value,
    }
}
