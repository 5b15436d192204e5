//! Clients and their secrets. A secret is drawn here, shown once, and kept only as a hash.

use super::{
    Refused,
    changes::{create, replace},
    documents::{Kind, Stored, missing, read},
    refuse,
};
use crate::{
    base::{
        id::{ClientId, CredentialId},
        secret::Secret,
        time::Timestamp,
    },
    engine::{admin, authenticate::new_secret, snapshot::Snapshot},
    jose::password,
    model::{
        client::{Client, Credential},
        event::Event,
    },
    registry::{self, operator::Operator},
    service::{Deputy, Fault},
};

/// A secret that was just drawn: the only time that it can be read.
#[derive(Debug)]
pub struct NewSecret {
    /// Which one.
    pub id: CredentialId,
    /// The secret.
    pub secret: Secret<String>,
}

/// What may be told about a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSummary {
    /// Which one.
    pub id: CredentialId,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops to work, if ever.
    pub expires: Option<Timestamp>,
}

impl Deputy {
    /// Creates a client; with its first secret, unless it authenticates by keys of its own.
    pub async fn create_client(
        &self,
        operator: &Operator,
        body: &[u8],
    ) -> Result<(Stored, Option<NewSecret>), Refused> {
        let snapshot = self.newest_alone().await?;
        let client = registry::client::parse(&read(body)?.to_json())?;
        refuse(admin::client(&snapshot.config, &client))?;
        self.refuse_existing(Kind::Client, client.id.as_str()).await?;
        let drawn = match client.assertions {
            Some(_) => None,
            None => Some(self.draw_secret(&snapshot, &client.id).await?),
        };
        let mut event = self.client_event(&snapshot, operator, "client.created", &client.id);
        let signing = Some(client.introspection_signing);
        let mut puts = self.first_key(&snapshot, signing, &mut event).await?;
        puts.push(create(Kind::Client, client.id.as_str(), registry::client::write(&client)));
        let secret = drawn.map(|(secret, credential)| {
            puts.push(create(Kind::Credential, secret.id.to_string(), credential));
            secret
        });
        self.configure(puts, event).await?;
        Ok((self.document(Kind::Client, client.id.as_str()).await?, secret))
    }

    /// The live secrets of a client, oldest first.
    pub fn secrets(&self, id: &ClientId) -> Result<Vec<SecretSummary>, Refused> {
        let snapshot = self.snapshot();
        let client = client_of(&snapshot, id)?;
        let mut all: Vec<SecretSummary> = live(client, self.now())
            .map(|c| SecretSummary { id: c.id, created: c.created, expires: c.expires })
            .collect();
        all.sort_by_key(|secret| secret.created);
        Ok(all)
    }

    /// Gives a client one more secret, so that the old one can be replaced without a pause.
    pub async fn add_secret(
        &self,
        operator: &Operator,
        id: &ClientId,
    ) -> Result<NewSecret, Refused> {
        let snapshot = self.newest_alone().await?;
        let client = client_of(&snapshot, id)?;
        if client.assertions.is_some() {
            return Err(Refused::Conflict(format!(
                "the client `{id}` authenticates by its keys: change its \
                 `token_endpoint_auth_method` first"
            )));
        }
        if live(client, self.now()).count() >= admin::MAX_LIVE_SECRETS {
            return Err(Refused::Conflict(format!(
                "the client `{id}` has {} live secrets: delete the one that is no longer used",
                admin::MAX_LIVE_SECRETS
            )));
        }
        let known = self.document(Kind::Client, id.as_str()).await?;
        let (secret, credential) = self.draw_secret(&snapshot, id).await?;
        let event = self.client_event(&snapshot, operator, "client.secret_added", id);
        let puts = vec![
            // Written again as it is, so that of two that count at the same time one fails.
            replace(Kind::Client, id.as_str(), known.version, known.body.to_json()),
            create(Kind::Credential, secret.id.to_string(), credential),
        ];
        self.configure(puts, event).await?;
        Ok(secret)
    }

    /// Ends a secret at once.
    pub async fn delete_secret(
        &self,
        operator: &Operator,
        id: &ClientId,
        secret: CredentialId,
    ) -> Result<(), Refused> {
        let snapshot = self.newest_alone().await?;
        let client = client_of(&snapshot, id)?;
        let credential = live(client, self.now())
            .find(|credential| credential.id == secret)
            .ok_or_else(|| Refused::Missing(format!("live secret `{secret}` of `{id}`")))?;
        // The epoch has passed on every clock, also on one that is behind ours.
        let ended = Credential { expires: Some(Timestamp::EPOCH), ..credential.clone() };
        let known = self.document(Kind::Credential, &secret.to_string()).await?;
        let body = registry::credential::write(id, &ended);
        let event = self.client_event(&snapshot, operator, "client.secret_deleted", id);
        let put = replace(Kind::Credential, secret.to_string(), known.version, body);
        self.configure(vec![put], event).await
    }

    /// Draws a secret; with it, the document that keeps its hash.
    async fn draw_secret(
        &self,
        snapshot: &Snapshot,
        client: &ClientId,
    ) -> Result<(NewSecret, String), Refused> {
        let random = Secret::new(self.random().bytes::<32>().map_err(Fault::from)?);
        let id = CredentialId::from_bytes(self.random().bytes().map_err(Fault::from)?);
        let secret = new_secret(&snapshot.config.macs.secret_tag, client, random.expose());
        let (deputy, hashed) = (self.clone(), secret.clone());
        let hash =
            tokio::task::spawn_blocking(move || password::hash(&hashed, deputy.random())).await;
        let hash = match hash {
            Ok(Ok(hash)) => hash,
            Ok(Err(e)) => return Err(internal("a secret was not hashed", e)),
            Err(e) => return Err(internal("hashing a secret ended early", e)),
        };
        let credential = Credential { id, hash, created: self.now(), expires: None };
        Ok((NewSecret { id, secret }, registry::credential::write(client, &credential)))
    }

    fn client_event(
        &self,
        at: &Snapshot,
        by: &Operator,
        reason: &'static str,
        id: &ClientId,
    ) -> Event {
        Event { client: Some(id.clone()), ..admin::event(at, by, reason, self.now()) }
    }
}

fn client_of<'a>(snapshot: &'a Snapshot, id: &ClientId) -> Result<&'a Client, Refused> {
    let found = snapshot.config.client(id).map(AsRef::as_ref);
    found.ok_or_else(|| missing(Kind::Client, id.as_str()))
}

fn live(client: &Client, now: Timestamp) -> impl Iterator<Item = &Credential> {
    client.credentials.iter().filter(move |c| c.expires.is_none_or(|end| now < end))
}

fn internal(what: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Refused {
    Refused::Fault(Fault::Internal(what, Some(Box::new(error))))
}
