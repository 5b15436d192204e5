//! Clients, resources, issuers and edges: read, created and replaced as whole documents.

use super::{Answered, Asked, PREFIX, Reply, reply};
use crate::{
    base::id::{Alias, ClientId, ResourceId},
    service::{
        Deputy,
        admin::{Kind, Sent, Whole, Written},
    },
};

/// A page of one kind.
pub async fn list(deputy: Deputy, asked: Asked, kind: Kind) -> Answered {
    let (items, next) = deputy.documents(kind, "", &asked.document_page()?).await?;
    Ok(Reply::documents(&items, next.as_deref()))
}

/// One document whose id is the name in the path.
pub async fn show(deputy: Deputy, asked: Asked, kind: Kind, name: &'static str) -> Answered {
    Ok(Reply::document(&deputy.document(kind, asked.name(name)).await?))
}

/// Creates a client; its secret, if it has one, is in this answer and in no other.
pub async fn create_client(deputy: Deputy, asked: Asked) -> Answered {
    let (stored, secret) = deputy.create_client(&asked.operator, &asked.body).await?;
    let mut document = reply::with_version(&stored);
    if let Some(secret) = secret {
        document.insert("credential_id", secret.id.to_string());
        document.insert("client_secret", secret.secret.expose().as_str());
    }
    Ok(Reply::ok(document.to_json()).created(format!("{PREFIX}/clients/{}", stored.id)))
}

/// Creates a resource or an issuer.
pub async fn create(deputy: Deputy, asked: Asked, whole: Whole, under: &'static str) -> Answered {
    let stored = deputy.create(&asked.operator, whole, &asked.body).await?;
    Ok(Reply::document(&stored).created(format!("{PREFIX}/{under}/{}", stored.id)))
}

/// Replaces a client.
pub async fn replace_client(deputy: Deputy, asked: Asked) -> Answered {
    let id = asked.id("client_id", ClientId::parse)?;
    replace(deputy, &asked, Whole::Client, id.to_string(), &[("client_id", id.as_str())]).await
}

/// Replaces a resource.
pub async fn replace_resource(deputy: Deputy, asked: Asked) -> Answered {
    let id = asked.id("id", ResourceId::parse)?;
    replace(deputy, &asked, Whole::Resource, id.to_string(), &[("id", id.as_str())]).await
}

/// Replaces an issuer.
pub async fn replace_issuer(deputy: Deputy, asked: Asked) -> Answered {
    let alias = asked.id("alias", Alias::parse)?;
    replace(deputy, &asked, Whole::Issuer, alias.to_string(), &[("alias", alias.as_str())]).await
}

/// One edge.
pub async fn show_edge(deputy: Deputy, asked: Asked) -> Answered {
    let (from, to) = ends(&asked)?;
    Ok(Reply::document(&deputy.document(Kind::Edge, &format!("{from}>{to}")).await?))
}

/// Creates or replaces an edge.
pub async fn replace_edge(deputy: Deputy, asked: Asked) -> Answered {
    let (from, to) = ends(&asked)?;
    let names = [("from", from.as_str()), ("to", to.as_str())];
    replace(deputy, &asked, Whole::Edge, format!("{from}>{to}"), &names).await
}

fn ends(asked: &Asked) -> Result<(ClientId, ClientId), super::Problem> {
    Ok((asked.id("from", ClientId::parse)?, asked.id("to", ClientId::parse)?))
}

async fn replace(
    deputy: Deputy,
    asked: &Asked,
    whole: Whole,
    id: String,
    names: &[(&'static str, &str)],
) -> Answered {
    let sent = Sent { id, names, body: &asked.body, expected: asked.expected() };
    let (written, stored) = deputy.replace(&asked.operator, whole, sent).await?;
    let reply = Reply::document(&stored);
    Ok(match written {
        Written::Replaced => reply,
        Written::Created => {
            let address = stored.id.replace('>', "/");
            reply.created(format!("{PREFIX}/edges/{address}"))
        }
    })
}
