//! `tool`: an operation of a resource. What it says about itself comes from its server; what it
//! needs and does is an administrator's word.

use super::{
    form::{self, Form, Read},
    resource::scopes,
};
use crate::{
    base::{
        json::{Object, Value},
        secret::Fingerprint,
        time::Timestamp,
    },
    model::{
        authority::ToolName,
        constraint::{Argument, Constraint, Never, Shape},
        resource::{Effect, ResourceId, Tool},
        scope::{Scope, ScopeToken},
    },
};

/// The longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 8_192;

/// A tool as an administrator describes it; when it last changed is not theirs to say.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDraft {
    /// Its name.
    pub name: ToolName,
    /// What it says about itself.
    pub description: String,
    /// The scopes it needs, at least one. That its resource has them is the engine's to check.
    pub scopes: Scope,
    /// What a call does.
    pub effect: Effect,
    /// The JSON Schema of its arguments.
    pub input_schema: Value,
    /// Argument pointers whose values may be kept in the audit log, normalised.
    pub keep_arguments: Vec<String>,
    /// Whether it may be used; without a word it stays as it is, and a new one may.
    pub enabled: Option<bool>,
}

impl ToolDraft {
    /// The fingerprint of what the administrator looked at: name, description and schema.
    pub fn digest(&self) -> Fingerprint {
        let seen: Object = [
            ("name", Value::from(self.name.as_str())),
            ("description", self.description.as_str().into()),
            ("input_schema", self.input_schema.clone()),
        ]
        .into_iter()
        .collect();
        Fingerprint::of(seen.canonical().as_bytes())
    }

    /// The tool, whose meaning last changed at this revision and time.
    pub fn into_tool(self, changed_at: u64, changed_on: Timestamp) -> Tool {
        Tool {
            digest: self.digest(),
            name: self.name,
            description: self.description,
            scopes: self.scopes,
            effect: self.effect,
            input_schema: self.input_schema,
            keep_arguments: self.keep_arguments,
            enabled: self.enabled.unwrap_or(true),
            changed_at,
            changed_on,
        }
    }
}

/// Reads what an administrator sends. `changed_at` and `changed_on` may stand there, as they do in
/// what was read before, and are not believed.
pub fn parse_draft(text: &str) -> Read<(ResourceId, ToolDraft)> {
    form::document(text, |form| {
        form.ignored("changed_at");
        form.ignored("changed_on");
        draft(form)
    })
}

/// Reads a stored tool and the resource it belongs to.
pub fn parse(text: &str) -> Read<(ResourceId, Tool)> {
    form::document(text, |form| {
        let changed_at = form.required("changed_at", form::number(0..=i64::MAX));
        let changed_on = form.required("changed_on", form::number(0..=Timestamp::MAX.epoch_s()));
        let (resource, draft) = draft(form)?;
        let changed_at = u64::try_from(changed_at?).ok()?;
        Some((resource, draft.into_tool(changed_at, Timestamp::from_epoch_s(changed_on?)?)))
    })
}

fn draft(form: &mut Form<'_>) -> Option<(ResourceId, ToolDraft)> {
    let resource = form.required("resource", form::parsed(ResourceId::parse));
    let name = form.required("name", form::parsed(ToolName::parse));
    let description = form.or("description", String::new(), description);
    let assigned = assigned(form);
    let input_schema = form.required("input_schema", schema);
    let (scopes, effect, keep_arguments, enabled) = assigned?;
    let draft = ToolDraft {
        name: name?,
        description: description?,
        scopes,
        effect,
        input_schema: input_schema?,
        keep_arguments,
        enabled,
    };
    Some((resource?, draft))
}

/// What an administrator says about a tool: scopes, effect, arguments to keep, enabled.
pub(super) fn assigned(form: &mut Form<'_>) -> Option<(Scope, Effect, Vec<String>, Option<bool>)> {
    let words = Effect::ALL.map(|effect| (effect.as_str(), effect));
    let scopes = form.required("scopes", scopes(1));
    let effect = form.required("effect", form::word(&words));
    let keep_arguments = form.or("keep_arguments", Vec::new(), pointers);
    let enabled = form.or("enabled", None, |value, at| form::flag(value, at).map(Some));
    Some((scopes?, effect?, keep_arguments?, enabled?))
}

/// Reads a description: any text, also none.
pub(super) fn description(value: &Value, at: &str) -> Read<String> {
    let text = form::string(value, at)?;
    if text.len() > MAX_DESCRIPTION_BYTES {
        let most = MAX_DESCRIPTION_BYTES;
        return Err(form::problem(at, format!("must be at most {most} bytes")));
    }
    Ok(text.to_owned())
}

/// Reads a JSON Schema: an object; what is in it is the server's matter.
pub(super) fn schema(value: &Value, at: &str) -> Read<Value> {
    form::as_object(value, at).map(|_| value.clone())
}

/// Argument names or JSON Pointers, under the rules of constraints, as normalised pointers.
fn pointers(value: &Value, at: &str) -> Read<Vec<String>> {
    let texts = form::list(0..=Shape::<Never>::MAX_POINTERS, form::text)(value, at)?;
    if texts.is_empty() {
        return Ok(texts);
    }
    let named = texts.into_iter().map(|text| (text, Argument::Required(Constraint::Wildcard)));
    let shape: Shape = Shape::of(named)
        .map_err(|e| form::problem(&format!("{at}/{}", e.index), e.why.to_string()))?;
    Ok(shape.pointers().into_iter().map(|(pointer, _)| pointer).collect())
}

/// Writes a tool of a resource.
pub fn write(resource: &ResourceId, tool: &Tool) -> String {
    let mut document = Object::new();
    document.insert("resource", resource.as_str());
    document.insert("name", tool.name.as_str());
    document.insert("description", tool.description.as_str());
    document.insert("scopes", form::texts(tool.scopes.iter().map(ScopeToken::as_str)));
    document.insert("effect", tool.effect.as_str());
    document.insert("input_schema", tool.input_schema.clone());
    document.insert("keep_arguments", form::texts(tool.keep_arguments.iter().map(String::as_str)));
    document.insert("enabled", tool.enabled);
    // Revisions are counted by the database in 64 bits with a sign.
    document.insert("changed_at", i64::try_from(tool.changed_at).unwrap_or(i64::MAX));
    document.insert("changed_on", tool.changed_on.epoch_s());
    document.to_json()
}
