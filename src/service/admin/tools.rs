//! The tools of a resource: imported as their server lists them, or written one by one.

use std::collections::HashMap;

use super::{
    Refused,
    changes::{self, Written},
    documents::{DocumentPage, Kind, Sent, Stored, missing, named, read},
    refuse,
};
use crate::{
    base::id::ResourceId,
    engine::{
        admin::{
            self,
            pending::{self, Difference},
        },
        snapshot::Snapshot,
    },
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
    /// Described differently by their server: they wait to be accepted.
    pub pending: Vec<ToolName>,
    /// As they were.
    pub unchanged: Vec<ToolName>,
}

/// A change of a tool that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolChange {
    /// The resource it belongs to.
    pub resource: ResourceId,
    /// The tool as it was accepted.
    pub accepted: Tool,
    /// The tool as it is found now.
    pub found: Tool,
    /// What is different between the two.
    pub differences: Vec<Difference>,
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
            event.detail.push(("pending".into(), joined(&import.pending)));
            self.configure(puts, event).await?;
        }
        let admin::Import { imported, changed, pending, unchanged, .. } = import;
        Ok(Imported { imported, changed, pending, unchanged })
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

    /// Changes of tools that wait, in order of their ids.
    pub async fn tool_changes(
        &self,
        page: &DocumentPage,
    ) -> Result<(Vec<ToolChange>, Option<String>), Refused> {
        let snapshot = self.newest().await?;
        let mut waiting: Vec<ToolChange> = snapshot
            .config
            .resources()
            .flat_map(|resource| resource.tools.values().map(|tool| (&resource.id, tool)))
            .filter_map(|(resource, tool)| ToolChange::of(resource, tool))
            .filter(|change| page.after.as_ref().is_none_or(|after| change.id() > *after))
            .collect();
        waiting.sort_unstable_by_key(ToolChange::id);
        let more = waiting.len() > page.limit;
        waiting.truncate(page.limit);
        let next = waiting.last().filter(|_| more).map(ToolChange::id);
        Ok((waiting, next))
    }

    /// Settles a change that waits, if it is the one that the operator looked at.
    pub async fn settle_tool(
        &self,
        operator: &Operator,
        (id, name): (&ResourceId, &ToolName),
        body: &str,
    ) -> Result<Stored, Refused> {
        let order = registry::change::parse(body)?;
        let snapshot = self.newest_alone().await?;
        let tool = resource_of(&snapshot, id)?.tools.get(name);
        let tool = tool.ok_or_else(|| missing(Kind::Tool, &tool_id(id, name)))?;
        let none = || Refused::Conflict(format!("no change of `{name}` waits"));
        let waiting = tool.pending.as_ref().ok_or_else(none)?;
        if waiting.digest != order.digest {
            let other = format!("another change of `{name}` waits: look at it first");
            return Err(Refused::Conflict(other));
        }
        let settled = pending::settle(tool, order.settlement, self.now()).ok_or_else(none)?;
        let mut event = Event {
            tool: Some(name.as_str().into()),
            effect: Some(settled.effect),
            ..self.tool_event(&snapshot, operator, order.settlement.event(), id)
        };
        event.detail.push(("digest".into(), order.digest.text()));
        let put = tool_put(id, &settled, &self.versions(Kind::Tool).await?);
        self.configure(vec![put], event).await?;
        self.document(Kind::Tool, &tool_id(id, name)).await
    }

    fn tool_event(
        &self,
        at: &Snapshot,
        by: &Operator,
        reason: &'static str,
        id: &ResourceId,
    ) -> Event {
        Event { resource: Some(id.clone()), ..admin::event(at, by, reason, self.now()) }
    }
}

impl ToolChange {
    fn of(resource: &ResourceId, tool: &Tool) -> Option<ToolChange> {
        let found = tool.pending.as_ref()?;
        Some(ToolChange {
            resource: resource.clone(),
            accepted: tool.clone(),
            differences: pending::differences(tool, found),
            found: (**found).clone(),
        })
    }

    fn id(&self) -> String {
        tool_id(&self.resource, &self.accepted.name)
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
