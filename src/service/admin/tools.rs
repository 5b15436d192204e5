//! The tools of a resource: imported as their server lists them, or written one by one.

use std::collections::HashMap;

use super::{
    Refused,
    changes::{self, Written},
    documents::{Kind, Sent, Stored, missing, named, read},
    refuse,
};
use crate::{
    base::id::ResourceId,
    engine::{admin, snapshot::Snapshot},
    model::{
        authority::ToolName,
        event::Event,
        resource::{Resource, Tool},
    },
    registry::{self, operator::Operator},
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
        let snapshot = self.newest_alone().await?;
        let resource = resource_of(&snapshot, id)?;
        let drafts = registry::import::parse(body)?;
        let import = admin::import(resource, drafts, self.now())?;
        let mut puts = Vec::with_capacity(import.changes.len());
        let versions = self.versions(Kind::Tool).await?;
        for tool in &import.changes {
            puts.push(tool_put(id, tool, &versions));
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
        let snapshot = self.newest_alone().await?;
        let resource = resource_of(&snapshot, id)?;
        let known = self.stored(Kind::Tool, &sent.id).await?;
        sent.expected.check(known.as_ref().map_or(0, |known| known.version))?;
        let body = named(read(sent.body)?, sent.names)?;
        let (_, draft) = registry::tool::parse_draft(&body.to_json())?;
        refuse(admin::tool(resource, &draft, ""))?;
        let name = draft.name.clone();
        if let Some(tool) = admin::replace(resource.tools.get(&name), draft, self.now()) {
            let reason = if known.is_some() { "tool.replaced" } else { "tool.created" };
            let event = Event {
                tool: Some(name.as_str().into()),
                effect: Some(tool.effect),
                ..self.tool_event(&snapshot, operator, reason, id)
            };
            let put = tool_put(id, &tool, &self.versions(Kind::Tool).await?);
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

fn tool_put(resource: &ResourceId, tool: &Tool, versions: &HashMap<String, u64>) -> Put {
    let id = tool_id(resource, &tool.name);
    let body = registry::tool::write(resource, tool);
    match versions.get(&id) {
        None => changes::create(Kind::Tool, id, body),
        Some(version) => changes::replace(Kind::Tool, id, *version, body),
    }
}

fn resource_of<'a>(snapshot: &'a Snapshot, id: &ResourceId) -> Result<&'a Resource, Refused> {
    let found = snapshot.config.resource(id).map(AsRef::as_ref);
    found.ok_or_else(|| missing(Kind::Resource, id.as_str()))
}

fn joined(names: &[ToolName]) -> String {
    let names: Vec<&str> = names.iter().map(ToolName::as_str).collect();
    names.join(" ")
}
