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
        resource::{About, Effect, ResourceId, Tool},
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
    /// What else its server says about it.
    pub about: About,
    /// Argument pointers whose values may be kept in the audit log, normalised; without a word they
    /// stay as they are, and of a new one none is kept.
    pub keep_arguments: Option<Vec<String>>,
    /// Whether it may be used; without a word it stays as it is, and a new one may.
    pub enabled: Option<bool>,
}

impl ToolDraft {
    /// What it says, and where it says nothing, what holds for the tool already.
    #[must_use]
    pub fn or_as(self, known: &Tool) -> ToolDraft {
        let keep_arguments = self.keep_arguments.unwrap_or_else(|| known.keep_arguments.clone());
        let enabled = self.enabled.unwrap_or(known.enabled);
        ToolDraft { keep_arguments: Some(keep_arguments), enabled: Some(enabled), ..self }
    }

    /// The tool, whose meaning last changed at this revision and time.
    pub fn into_tool(self, changed_at: u64, changed_on: Timestamp) -> Tool {
        let mut tool = Tool {
            digest: Fingerprint::of(&[]),
            name: self.name,
            description: self.description,
            scopes: self.scopes,
            effect: self.effect,
            input_schema: self.input_schema,
            about: self.about,
            keep_arguments: self.keep_arguments.unwrap_or_default(),
            enabled: self.enabled.unwrap_or(true),
            changed_at,
            changed_on,
            pending: None,
        };
        tool.digest = Fingerprint::of(definition(&tool).canonical().as_bytes());
        tool
    }
}

/// What a server says about a tool, in the words of MCP: what is pinned by its digest.
pub fn definition(tool: &Tool) -> Object {
    let mut definition = Object::new();
    definition.insert("name", tool.name.as_str());
    if let Some(title) = &tool.about.title {
        definition.insert("title", title.as_str());
    }
    definition.insert("description", tool.description.as_str());
    definition.insert("inputSchema", tool.input_schema.clone());
    if let Some(schema) = &tool.about.output_schema {
        definition.insert("outputSchema", schema.clone());
    }
    if let Some(annotations) = &tool.about.annotations {
        definition.insert("annotations", annotations.clone());
    }
    definition
}

/// Reads what an administrator sends. `changed_at`, `changed_on` and `pending` may stand there, as
/// they do in what was read before, and are not believed.
pub fn parse_draft(text: &str) -> Read<(ResourceId, ToolDraft)> {
    form::document(text, |form| {
        form.ignored("changed_at");
        form.ignored("changed_on");
        form.ignored("pending");
        let resource = form.required("resource", form::parsed(ResourceId::parse));
        let name = form.required("name", form::parsed(ToolName::parse))?;
        let draft = draft(form, name);
        Some((resource?, draft?))
    })
}

/// Reads a stored tool and the resource it belongs to.
pub fn parse(text: &str) -> Read<(ResourceId, Tool)> {
    form::document(text, |form| {
        let changed_at = form.required("changed_at", form::number(0..=i64::MAX));
        let changed_on = form.required("changed_on", form::number(0..=Timestamp::MAX.epoch_s()));
        let resource = form.required("resource", form::parsed(ResourceId::parse));
        let name = form.required("name", form::parsed(ToolName::parse))?;
        let pending = form.maybe("pending", |value, at| {
            form::object(value, at, |form| pending(form, name.clone()))
        });
        let draft = draft(form, name.clone())?;
        let changed_at = u64::try_from(changed_at?).ok()?;
        let tool = draft.into_tool(changed_at, Timestamp::from_epoch_s(changed_on?)?);
        Some((resource?, Tool { pending: pending?.map(Box::new), ..tool }))
    })
}

fn pending(form: &mut Form<'_>, name: ToolName) -> Option<Tool> {
    let found_on = form.required("found_on", form::number(0..=Timestamp::MAX.epoch_s()));
    let draft = draft(form, name)?;
    Some(draft.into_tool(0, Timestamp::from_epoch_s(found_on?)?))
}

fn draft(form: &mut Form<'_>, name: ToolName) -> Option<ToolDraft> {
    let description = form.or("description", String::new(), description);
    let assigned = assigned(form);
    let input_schema = form.required("input_schema", schema);
    let about = about(form, "output_schema");
    let (scopes, effect, keep_arguments, enabled) = assigned?;
    Some(ToolDraft {
        name,
        description: description?,
        scopes,
        effect,
        input_schema: input_schema?,
        about: about?,
        keep_arguments,
        enabled,
    })
}

/// Reads what else is said about a tool; our documents and MCP name the schema differently.
pub(super) fn about(form: &mut Form<'_>, output_schema: &'static str) -> Option<About> {
    let title = form.maybe("title", description);
    let output_schema = form.maybe(output_schema, schema);
    let annotations = form.maybe("annotations", schema);
    Some(About { title: title?, output_schema: output_schema?, annotations: annotations? })
}

/// What an administrator says about a tool: scopes, effect, arguments to keep, enabled.
pub(super) type Assigned = (Scope, Effect, Option<Vec<String>>, Option<bool>);

/// Reads what an administrator says about a tool.
pub(super) fn assigned(form: &mut Form<'_>) -> Option<Assigned> {
    let words = Effect::ALL.map(|effect| (effect.as_str(), effect));
    let scopes = form.required("scopes", scopes(1));
    let effect = form.required("effect", form::word(&words));
    let keep_arguments = form.maybe("keep_arguments", pointers);
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

/// Reads a JSON Schema or annotations: an object; what is in it is the server's matter.
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
    describe(&mut document, tool);
    // Revisions are counted by the database in 64 bits with a sign.
    document.insert("changed_at", i64::try_from(tool.changed_at).unwrap_or(i64::MAX));
    document.insert("changed_on", tool.changed_on.epoch_s());
    if let Some(pending) = &tool.pending {
        let mut found = Object::new();
        describe(&mut found, pending);
        found.insert("found_on", pending.changed_on.epoch_s());
        document.insert("pending", found);
    }
    document.to_json()
}

fn describe(document: &mut Object, tool: &Tool) {
    document.insert("description", tool.description.as_str());
    document.insert("scopes", form::texts(tool.scopes.iter().map(ScopeToken::as_str)));
    document.insert("effect", tool.effect.as_str());
    document.insert("input_schema", tool.input_schema.clone());
    if let Some(title) = &tool.about.title {
        document.insert("title", title.as_str());
    }
    if let Some(schema) = &tool.about.output_schema {
        document.insert("output_schema", schema.clone());
    }
    if let Some(annotations) = &tool.about.annotations {
        document.insert("annotations", annotations.clone());
    }
    document.insert("keep_arguments", form::texts(tool.keep_arguments.iter().map(String::as_str)));
    document.insert("enabled", tool.enabled);
}
