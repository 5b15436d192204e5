//! The snapshot: built from the database, and caught up after every change, in number order.

use std::{collections::HashMap, sync::Arc};

use super::{Deputy, Fault, Options, keys, policies::Compiled};
use crate::{
    base::{
        id::{ClientId, ResourceId},
        time::Timestamp,
    },
    engine::snapshot::{Config, Parts, Snapshot},
    jose::Kek,
    model::{
        client::{Client, Credential},
        lease::Lease,
        resource::Resource,
        revocation::Revocations,
    },
    registry::{self, client, credential, edge, issuer, operator, resource, tool},
    store::{Document, Follow, Head, Store},
};

/// The kinds of document that make up the configuration.
pub mod kind {
    /// A client.
    pub const CLIENT: &str = "client";
    /// One secret of a client.
    pub const CREDENTIAL: &str = "credential";
    /// A resource.
    pub const RESOURCE: &str = "resource";
    /// A tool of a resource.
    pub const TOOL: &str = "tool";
    /// A trusted issuer.
    pub const ISSUER: &str = "issuer";
    /// An edge.
    pub const EDGE: &str = "edge";
    /// That a person was erased: its version says how often.
    pub const ERASURE: &str = "erasure";
    /// All policies together.
    pub const POLICY_SET: &str = "policy_set";
}

/// Loads everything.
pub async fn load(
    store: &Store,
    options: &Options,
    kek: &Kek,
    (compiled, now): (&Compiled, Timestamp),
) -> Result<Snapshot, Fault> {
    // The head is read first: what is read after it may be newer, and is then read again.
    let head = store.head().await?;
    let documents = store.documents().await?;
    let mut revocations = Revocations::default();
    for revocation in store.revocations_after(0).await? {
        revocations.apply(&revocation);
    }
    let config = config(&documents, head.configured, options, kek, now)?;
    Ok(Snapshot {
        revision: head.revision,
        config: Arc::new(config),
        policies: compiled.stored(&documents).await?,
        revocations: Arc::new(revocations),
    })
}

/// How often one turn asks the database anew, because it had taken in something and says so.
const TURNS_MAX: usize = 3;

impl Deputy {
    /// Takes in every revocation and configuration change that was committed, and swaps the
    /// snapshot. When this returns, every answer of this instance to a later request knows them.
    pub async fn catch_up(&self) -> Result<(), Fault> {
        let _one_at_a_time = self.0.catching_up.lock().await;
        self.follow().await
    }

    /// The same where there may be something to take in. What is taken in is said to whoever waits for
    /// it: nobody waits for an instance to take in its own change. No lease is renewed, which would be
    /// a durable commit each time.
    pub(super) async fn hear(&self) -> Result<(), Fault> {
        let _one_at_a_time = self.0.catching_up.lock().await;
        let Some(coherence) = &self.0.coherence else { return self.follow().await };
        let known = self.snapshot().revision;
        let applied = self.take_in_what_there_is().await?;
        if applied > known {
            coherence.owe(applied);
        }
        if coherence.owes() {
            let mut follow = self.store().follow().await?;
            follow.tell(coherence.writer(), applied).await?;
            follow.keep();
            coherence.said(applied);
        }
        Ok(())
    }

    /// The same up to a revision that this instance committed. The lease can wait.
    pub(super) async fn catch_up_to(&self, revision: u64) -> Result<(), Fault> {
        let _one_at_a_time = self.0.catching_up.lock().await;
        let known = self.snapshot().revision;
        if known >= revision {
            return Ok(());
        }
        let Some(coherence) = &self.0.coherence else { return self.follow().await };
        let applied = self.take_in_what_there_is().await?;
        if applied != revision || known.saturating_add(1) != revision {
            // Changes of others came along: of these it will be heard, too.
            coherence.owe(applied);
        }
        Ok(())
    }

    /// How far this instance is then.
    async fn take_in_what_there_is(&self) -> Result<u64, Fault> {
        let mut follow = self.store().follow().await?;
        self.take_in(&mut follow, &self.snapshot(), false).await?;
        follow.keep();
        Ok(self.snapshot().revision)
    }

    /// Catches up, and renews the lease where there is one; by whoever holds `catching_up`.
    pub(super) async fn follow(&self) -> Result<(), Fault> {
        for _ in 0..TURNS_MAX {
            let known = self.snapshot();
            let mut follow = self.store().follow().await?;
            // Before anything is sent: what the database says then is at least as new.
            let asked = self.clock().moment();
            let head = self.head(&mut follow, known.revision).await?;
            let retired = self.has_retired_keys(&known);
            let news = head.revision > known.revision;
            if news || retired {
                self.take_in(&mut follow, &known, retired).await?;
            }
            follow.keep();
            if let Some(coherence) = &self.0.coherence {
                coherence.take(Lease::asked_at(asked));
            }
            if !news || self.0.coherence.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// How far the database is; on the way it learns how far this instance is.
    async fn head(&self, follow: &mut Follow<'_>, applied: u64) -> Result<Head, Fault> {
        let Some(coherence) = &self.0.coherence else { return Ok(follow.head().await?) };
        let mut head = follow.renew(&coherence.standing(applied)).await?;
        if head.is_none() {
            // A lease rests on a row that was there, for all to see, before the revision was read.
            follow.enter(&coherence.standing(applied), self.now()).await?;
            head = follow.renew(&coherence.standing(applied)).await?;
        }
        let head = head.ok_or(Fault::Busy)?;
        coherence.said(applied);
        Ok(head)
    }

    async fn take_in(
        &self,
        follow: &mut Follow<'_>,
        known: &Snapshot,
        retired: bool,
    ) -> Result<(), Fault> {
        let (head, news) = follow.news(known.revision).await?;
        if head.revision <= known.revision && !retired {
            return Ok(());
        }
        let mut revocations = Arc::clone(&known.revocations);
        for revocation in news {
            // A revision that is not in `head` yet is applied early, which only ends more, sooner.
            Arc::make_mut(&mut revocations).apply(&revocation);
        }
        // What was revoked is in force even if the new configuration cannot be read: then nothing
        // can be minted either, because what is judged at the old revision is not recorded.
        let ended = Snapshot { revocations: Arc::clone(&revocations), ..Snapshot::clone(known) };
        self.0.snapshot.store(Arc::new(ended));
        let (config, policies) = if head.configured == known.config.revision && !retired {
            (Arc::clone(&known.config), Arc::clone(&known.policies))
        } else {
            let documents = follow.documents().await?;
            let (options, kek) = (&self.0.options, &self.0.kek);
            let config = config(&documents, head.configured, options, kek, self.now())?;
            if config.erasures != known.config.erasures {
                self.store().writer().forget_persons();
            }
            (Arc::new(config), self.0.policies.stored(&documents).await?)
        };
        let next = Snapshot { revision: head.revision, config, policies, revocations };
        self.0.snapshot.store(Arc::new(next));
        Ok(())
    }

    /// Forgets revocations that were made at `until` or earlier: a process that runs for months
    /// must not remember every token that was ever given back.
    pub(super) async fn forget_revocations(&self, until: Timestamp) {
        let _one_at_a_time = self.0.catching_up.lock().await;
        let mut next = Snapshot::clone(&self.snapshot());
        if Arc::make_mut(&mut next.revocations).forget(until) {
            self.0.snapshot.store(Arc::new(next));
        }
    }
}

/// The configuration that documents make.
pub(super) fn config(
    documents: &[Document],
    revision: u64,
    options: &Options,
    kek: &Kek,
    now: Timestamp,
) -> Result<Config, Fault> {
    Ok(Config::new(Parts {
        revision,
        public_url: options.public_url.as_str().into(),
        issuer: format!("{}{}", options.public_url, options.issuer_path).into(),
        keys: keys::ring(documents, kek, now)?,
        macs: keys::macs(documents, kek)?,
        erasures: documents.iter().find(|d| d.kind == kind::ERASURE).map_or(0, |d| d.version),
        clients: clients(documents)?,
        resources: resources(documents)?,
        issuers: read(documents, kind::ISSUER, issuer::parse)?,
        edges: read(documents, kind::EDGE, edge::parse)?,
        operators: read(documents, keys::OPERATOR, operator::parse)?,
    }))
}

fn read<T>(
    documents: &[Document],
    kind: &str,
    parse: impl Fn(&str) -> Result<T, Vec<registry::Problem>>,
) -> Result<Vec<T>, Fault> {
    let of_kind = documents.iter().filter(|d| d.kind == kind);
    of_kind.map(|d| parse(&d.body).map_err(|problems| unreadable(d, &problems))).collect()
}

/// A stored document that this version cannot read. Nothing is half loaded.
pub(super) fn unreadable(document: &Document, problems: &[registry::Problem]) -> Fault {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let Document { kind, id, .. } = document;
    tracing::error!(kind, id, problems = problems.join("; "), "a stored document cannot be read");
    Fault::Internal("a stored document cannot be read", None)
}

fn clients(documents: &[Document]) -> Result<Vec<Client>, Fault> {
    let mut of_client: HashMap<ClientId, Vec<Credential>> = HashMap::new();
    for (owner, credential) in read(documents, kind::CREDENTIAL, credential::parse)? {
        of_client.entry(owner).or_default().push(credential);
    }
    let mut clients = read(documents, kind::CLIENT, client::parse)?;
    for client in &mut clients {
        client.credentials = of_client.remove(&client.id).unwrap_or_default();
        client.credentials.sort_by_key(|c| std::cmp::Reverse(c.created));
    }
    Ok(clients)
}

/// The resources with their tools.
pub(super) fn resources(documents: &[Document]) -> Result<Vec<Resource>, Fault> {
    let resources = read(documents, kind::RESOURCE, resource::parse)?;
    let mut resources: HashMap<ResourceId, Resource> =
        resources.into_iter().map(|resource| (resource.id.clone(), resource)).collect();
    for document in documents.iter().filter(|d| d.kind == kind::TOOL) {
        let (owner, mut tool) =
            tool::parse(&document.body).map_err(|problems| unreadable(document, &problems))?;
        if tool.changed_at == 0 {
            // Written with this very revision, whose number its writer could not know.
            tool.changed_at = document.revision;
        }
        if let Some(resource) = resources.get_mut(&owner) {
            resource.tools.insert(tool.name.clone(), tool);
        }
    }
    Ok(resources.into_values().collect())
}
