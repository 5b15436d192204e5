//! The tools of a resource.

use super::{Answered, Asked, PREFIX, Problem, Reply};
use crate::{
    base::{compose::ObjectWriter, id::ResourceId},
    model::authority::ToolName,
    service::{
        Deputy,
        admin::{Kind, Sent, Written},
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
    let body = std::str::from_utf8(&asked.body)
        .map_err(|_| Problem::malformed("the body is not UTF-8".to_owned()))?;
    let done = deputy.import_tools(&asked.operator, &resource, body).await?;
    let texts = |names: &[ToolName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (imported, changed) = (texts(&done.imported), texts(&done.changed));
    let unchanged = texts(&done.unchanged);
    let body = ObjectWriter::new()
        .texts("imported", imported.iter().map(String::as_str))
        .texts("changed", changed.iter().map(String::as_str))
        .texts("unchanged", unchanged.iter().map(String::as_str));
    Ok(Reply::ok(body.finish()))
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
