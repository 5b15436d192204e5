//! The words that delegation policies are written in: Cedar's names for what Deputy knows.

use std::{collections::BTreeSet, sync::LazyLock};

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use serde_json::{Map, Value, json};

use super::{action::Call, shape};
use crate::model::{
    authority::ToolName,
    resource::{Effect, Resource, ResourceId},
};

/// The action of making a token.
pub(super) const DELEGATE: &str = "delegate";
/// The group of all calls.
const CALL: &str = "call";

static SUBJECT: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| name("Subject"));
static AGENT: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| name("Agent"));
static RESOURCE: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| name("Resource"));
static ACTION: LazyLock<Option<EntityTypeName>> = LazyLock::new(|| name("Action"));

fn name(text: &str) -> Option<EntityTypeName> {
    text.parse().ok()
}

fn named(of: &LazyLock<Option<EntityTypeName>>, id: impl AsRef<str>) -> Option<EntityUid> {
    let kind = Option::as_ref(of)?.clone();
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// An originating user, or an agent that acts for itself.
pub(super) fn subject(sub: &str) -> Option<EntityUid> {
    named(&SUBJECT, sub)
}

/// An agent.
pub(super) fn agent(id: &str) -> Option<EntityUid> {
    named(&AGENT, id)
}

/// A resource.
pub(super) fn resource(id: &ResourceId) -> Option<EntityUid> {
    named(&RESOURCE, id.as_str())
}

/// An action, or a group of them.
pub(super) fn action(id: &str) -> Option<EntityUid> {
    named(&ACTION, id)
}

/// The action of calling a tool.
pub(super) fn tool(resource: &ResourceId, tool: &ToolName) -> String {
    format!("{resource}/{tool}")
}

/// The groups that the calls of a tool are in.
pub(super) fn groups(resource: &ResourceId, effect: Effect) -> [String; 3] {
    [CALL.to_owned(), format!("effect-{effect}"), format!("{resource}/*")]
}

/// The Cedar schema of these resources and calls, with the clocks of these zones.
pub(super) fn schema(
    resources: &[&Resource],
    calls: &[&Call<'_>],
    zones: &BTreeSet<String>,
) -> Value {
    let mut actions = Map::new();
    actions.insert(CALL.to_owned(), json!({}));
    for effect in Effect::ALL {
        actions.insert(format!("effect-{effect}"), json!({}));
    }
    let delegated = context(zones, [("tools", texts()), ("effects", texts()), ("scope", texts())]);
    actions.insert(DELEGATE.to_owned(), applies_to(&["Resource", "Agent"], &delegated, &[]));
    for resource in resources {
        actions.insert(format!("{}/*", resource.id), json!({}));
    }
    for Call { resource, tool, members, .. } in calls {
        let members = [
            ("tool", text()),
            ("effect", text()),
            ("arguments", shape::record(members)),
            ("unrepresentable", texts()),
        ];
        let called = context(zones, members);
        let groups = groups(&resource.id, tool.effect);
        let id = self::tool(&resource.id, &tool.name);
        actions.insert(id, applies_to(&["Resource"], &called, &groups));
    }
    let subject = record([("issuer", text()), ("groups", texts()), ("is_agent", truth())]);
    json!({ "": {
        "entityTypes": { "Subject": { "shape": subject }, "Agent": {}, "Resource": {} },
        "actions": actions,
    } })
}

fn applies_to(resources: &[&str], context: &Value, groups: &[String]) -> Value {
    let groups: Vec<Value> = groups.iter().map(|id| json!({ "id": id })).collect();
    json!({
        "memberOf": groups,
        "appliesTo": {
            "principalTypes": ["Subject"], "resourceTypes": resources, "context": context,
        },
    })
}

fn context<const N: usize>(zones: &BTreeSet<String>, more: [(&str, Value); N]) -> Value {
    let clock =
        record([("hour", long()), ("minute", long()), ("weekday", long()), ("date", text())]);
    let clocks: Map<String, Value> = zones.iter().map(|z| (z.clone(), clock.clone())).collect();
    let agent = json!({ "type": "Entity", "name": "Agent" });
    let common = [
        ("actor", agent.clone()),
        ("chain", json!({ "type": "Set", "element": agent })),
        ("depth", long()),
        ("verified", truth()),
        ("bound", truth()),
        ("acr", optional(text())),
        ("amr", texts()),
        ("auth_age", optional(long())),
        ("now", json!({ "type": "Extension", "name": "datetime" })),
        ("local", json!({ "type": "Record", "attributes": clocks })),
    ];
    record(common.into_iter().chain(more))
}

fn record<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let attributes: Map<String, Value> =
        members.into_iter().map(|(name, of)| (name.to_owned(), of)).collect();
    json!({ "type": "Record", "attributes": attributes })
}

fn optional(mut of: Value) -> Value {
    if let Some(of) = of.as_object_mut() {
        of.insert("required".to_owned(), json!(false));
    }
    of
}

fn text() -> Value {
    json!({ "type": "String" })
}

fn texts() -> Value {
    json!({ "type": "Set", "element": { "type": "String" } })
}

fn long() -> Value {
    json!({ "type": "Long" })
}

fn truth() -> Value {
    json!({ "type": "Boolean" })
}
