//! The tools of a resource.

use super::{Answered, Asked, PREFIX, Problem, Reply, text};
use crate::{
    base::{compose::ObjectWriter, id::ResourceId, json::Value},
    engine::admin::pending::MAX_DIFFERENCES,
    model::{authority::ToolName, scope::ScopeToken},
    service::{
        Deputy,
        admin::{Kind, Sent, ToolChange, Written},
    },
};

/// A page of the tools of one resource.
pub async fn list(deputy: Deputy, asked: Asked) -> Answered {
    let resource = asked.id("id", ResourceId::parse)?;
    deputy.document(Kind::Resource, resource.as_str()).await?;
    let prefix = format!("{resource}/");
    let (items, next) = deputy.documents(Kind::Tool, &prefix, &asked.document_page()?).await?;
    Ok(Reply::documents(&items, next.as_deref()))
}

/// One tool.
pub async fn show(deputy: Deputy, asked: Asked) -> Answered {
    let (resource, name) = names(&asked)?;
    Ok(Reply::document(&deputy.document(Kind::Tool, &format!("{resource}/{name}")).await?))
}

/// Takes in what a server lists.
pub async fn import(deputy: Deputy, asked: Asked) -> Answered {
    let resource = asked.id("id", ResourceId::parse)?;
    let done = deputy.import_tools(&asked.operator, &resource, text(&asked)?).await?;
    let texts = |names: &[ToolName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (imported, changed) = (texts(&done.imported), texts(&done.changed));
    let (pending, unchanged) = (texts(&done.pending), texts(&done.unchanged));
    let body = ObjectWriter::new()
        .texts("imported", imported.iter().map(String::as_str))
        .texts("changed", changed.iter().map(String::as_str))
        .texts("pending", pending.iter().map(String::as_str))
        .texts("unchanged", unchanged.iter().map(String::as_str));
    Ok(Reply::ok(body.finish()))
}

/// A page of the changes that wait.
pub async fn changes(deputy: Deputy, asked: Asked) -> Answered {
    let (changes, next) = deputy.tool_changes(&asked.document_page()?).await?;
    let items: Vec<String> = changes.iter().map(change).collect();
    Ok(Reply::list(&items, next.as_deref()))
}

/// Settles one change.
pub async fn settle(deputy: Deputy, asked: Asked) -> Answered {
    let (resource, name) = names(&asked)?;
    let body = text(&asked)?;
    let stored = deputy.settle_tool(&asked.operator, (&resource, &name), body).await?;
    Ok(Reply::document(&stored))
}

fn change(change: &ToolChange) -> String {
    let found = &change.found;
    let told = change.differences.iter().take(MAX_DIFFERENCES).map(|difference| {
        ObjectWriter::new()
            .text("at", &difference.at)
            .maybe_raw("accepted", difference.accepted.as_ref().map(Value::to_json).as_deref())
            .maybe_raw("found", difference.found.as_ref().map(Value::to_json).as_deref())
            .finish()
    });
    let told: Vec<String> = told.collect();
    ObjectWriter::new()
        .text("resource", change.resource.as_str())
        .text("tool", found.name.as_str())
        .text("digest", &found.digest.text())
        .number("found_on", found.changed_on.epoch_s())
        .text("effect", found.effect.as_str())
        .texts("scopes", found.scopes.iter().map(ScopeToken::as_str))
        .raw("differences", &format!("[{}]", told.join(",")))
        .flag("more", change.differences.len() > MAX_DIFFERENCES)
        .finish()
}

/// Creates or replaces one tool.
pub async fn replace(deputy: Deputy, asked: Asked) -> Answered {
    let (resource, name) = names(&asked)?;
    let id = format!("{resource}/{name}");
    let given = [("resource", resource.as_str()), ("name", name.as_str())];
    let sent = Sent { id, names: &given, body: &asked.body, expected: asked.expected() };
    let (written, stored) = deputy.replace_tool(&asked.operator, &resource, sent).await?;
    let reply = Reply::document(&stored);
    Ok(match written {
        Written::Replaced => reply,
        Written::Created => reply.created(format!("{PREFIX}/resources/{resource}/tools/{name}")),
    })
}

fn names(asked: &Asked) -> Result<(ResourceId, ToolName), Problem> {
    let resource = asked.id("id", ResourceId::parse)?;
    let name = asked.name("name");
    let tool = ToolName::parse(name).map_err(|_| Problem::missing(&format!("tool `{name}`")))?;
    Ok((resource, tool))
}
