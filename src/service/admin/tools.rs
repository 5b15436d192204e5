//! The tools of a resource: imported as their server lists them, or written one by one.

use std::collections::HashMap;

use super::{
    Refused,
    changes::{self, Written},
    documents::{Kind, Sent, Stored, missing, named, read},
    refuse,
};
use crate::{
    base::{id::ResourceId, json::Object},
    engine::{
        admin::{self, Change},
        snapshot::{Operator, Snapshot},
    },
    model::{
        authority::ToolName,
        event::Event,
        resource::{Resource, Tool},
    },
    registry,
    service::Deputy,
    store::Put,
};

/// What an import did, by name of tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// New.
    pub imported: Vec<ToolName>,
    /// Written again.
    pub changed: Vec<ToolName>,
    /// As they were.
    pub unchanged: Vec<ToolName>,
}

impl Deputy {
    /// Takes in what a server lists and what the operator assigns: all of it or nothing. Tools
    /// that are not spoken of stay as they are.
    pub async fn import_tools(
        &self,
        operator: &Operator,
        id: &ResourceId,
        body: &str,
    ) -> Result<Imported, Refused> {
        let snapshot = self.newest().await?;
        let resource = resource_of(&snapshot, id)?;
        let drafts = registry::import::parse(body)?;
        let import = admin::import(resource, drafts, self.now())?;
        let mut puts = Vec::with_capacity(import.changes.len());
        let versions = self.versions(Kind::Tool).await?;
        for change in &import.changes {
            puts.push(tool_put(id, change, &versions)?);
        }
        if !puts.is_empty() {
            let mut event = self.tool_event(&snapshot, operator, "tool.imported", id);
            event.detail.push(("imported".into(), joined(&import.imported)));
            event.detail.push(("changed".into(), joined(&import.changed)));
            self.configure(puts, event).await?;
        }
        let admin::Import { imported, changed, unchanged, .. } = import;
        Ok(Imported { imported, changed, unchanged })
    }

    /// Writes one tool; creates it where there is none.
    pub async fn replace_tool(
        &self,
        operator: &Operator,
        id: &ResourceId,
        sent: Sent<'_>,
    ) -> Result<(Written, Stored), Refused> {
        let snapshot = self.newest().await?;
        let resource = resource_of(&snapshot, id)?;
        let known = self.stored(Kind::Tool, &sent.id).await?;
        sent.expected.check(known.as_ref().map_or(0, |known| known.version))?;
        let body = named(read(sent.body)?, sent.names)?;
        let (_, draft) = registry::tool::parse_draft(&body.to_json())?;
        refuse(admin::tool(resource, &draft, ""))?;
        let name = draft.name.clone();
        if let Some(change) = admin::replace(resource.tools.get(&name), draft, self.now()) {
            let reason = if known.is_some() { "tool.replaced" } else { "tool.created" };
            let event = Event {
                tool: Some(name.as_str().into()),
                effect: Some(change.tool.effect),
                ..self.tool_event(&snapshot, operator, reason, id)
            };
            let put = tool_put(id, &change, &self.versions(Kind::Tool).await?)?;
            self.configure(vec![put], event).await?;
        }
        let written = if known.is_some() { Written::Replaced } else { Written::Created };
        Ok((written, self.document(Kind::Tool, &sent.id).await?))
    }

    fn tool_event(&self, at: &Snapshot, by: &Operator, reason: &str, id: &ResourceId) -> Event {
        Event { resource: Some(id.clone()), ..admin::event(at, by, reason, self.now()) }
    }
}

/// The id of a tool's document.
pub fn tool_id(resource: &ResourceId, name: &ToolName) -> String {
    format!("{resource}/{name}")
}

fn tool_put(
    resource: &ResourceId,
    change: &Change,
    versions: &HashMap<String, u64>,
) -> Result<Put, Refused> {
    let id = tool_id(resource, &change.tool.name);
    let body = body(resource, &change.tool, change.is_new_meaning)?;
    Ok(match versions.get(&id) {
        None => changes::create(Kind::Tool, id, body),
        Some(version) => changes::replace(Kind::Tool, id, *version, body),
    })
}

/// The document of a tool. Where its meaning is new it does not say when that changed: it did at
/// the revision that the document is written at, which only the store knows.
fn body(resource: &ResourceId, tool: &Tool, is_new_meaning: bool) -> Result<String, Refused> {
    let text = registry::tool::write(resource, tool);
    if !is_new_meaning {
        return Ok(text);
    }
    let object = read(text.as_bytes())?;
    let members = object.iter().filter(|(name, _)| *name != "changed_at");
    let body: Object =
        members.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    Ok(body.to_json())
}

fn resource_of<'a>(snapshot: &'a Snapshot, id: &ResourceId) -> Result<&'a Resource, Refused> {
    let found = snapshot.config.resource(id).map(AsRef::as_ref);
    found.ok_or_else(|| missing(Kind::Resource, id.as_str()))
}

fn joined(names: &[ToolName]) -> String {
    let names: Vec<&str> = names.iter().map(ToolName::as_str).collect();
    names.join(" ")
}
