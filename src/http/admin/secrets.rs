//! A client's secrets: two may live while one is being replaced.

use super::{Answered, Asked, PREFIX, Reply};
use crate::{
    base::{
        compose::ObjectWriter,
        id::{ClientId, CredentialId},
    },
    service::{Deputy, admin::SecretSummary},
};

/// The live secrets, without the secrets.
pub fn list(deputy: &Deputy, asked: &Asked) -> Answered {
    let id = asked.id("client_id", ClientId::parse)?;
    let secrets = deputy.secrets(&id)?;
    Ok(Reply::list(&secrets.iter().map(summary).collect::<Vec<_>>(), None))
}

/// A new secret; it is in this answer and in no other.
pub async fn add(deputy: Deputy, asked: Asked) -> Answered {
    let id = asked.id("client_id", ClientId::parse)?;
    let new = deputy.add_secret(&asked.operator, &id).await?;
    let body = ObjectWriter::new()
        .text("credential_id", &new.id.to_string())
        .text("client_secret", new.secret.expose())
        .finish();
    Ok(Reply::ok(body).created(format!("{PREFIX}/clients/{id}/secrets/{}", new.id)))
}

/// Ends a secret at once.
pub async fn delete(deputy: Deputy, asked: Asked) -> Answered {
    let id = asked.id("client_id", ClientId::parse)?;
    let secret = asked.id("credential_id", CredentialId::parse)?;
    deputy.delete_secret(&asked.operator, &id, secret).await?;
    Ok(Reply::done())
}

fn summary(secret: &SecretSummary) -> String {
    let expires = secret.expires.map(|at| at.to_string());
    ObjectWriter::new()
        .text("credential_id", &secret.id.to_string())
        .number("created", secret.created.epoch_s())
        .maybe_raw("expires", expires.as_deref())
        .finish()
}
