//! Policy sets, compiled: never on a thread that answers, and once for each state of the set and
//! the tools, however often it is asked for. What a set means is the matter of `policy`.

use std::sync::Arc;

use quick_cache::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    Fault,
    state::{self, kind},
};
use crate::{
    base::secret::Fingerprint,
    model::{
        policy::{Fault as PolicyFault, Sources},
        resource::Resource,
    },
    policy::Policies,
    registry::policy_set::{self, PolicySet},
    store::Document,
};

/// Compiled sets that are remembered: the active one, the one that is about to be, and those of
/// the decisions that somebody looks into.
const CAPACITY: usize = 8;

/// The one id of the kind [`kind::POLICY_SET`].
pub const ACTIVE: &str = "active";

/// Compiled sets, by what they were compiled from.
#[derive(Debug)]
pub struct Compiled {
    known: Cache<Fingerprint, Arc<Policies>>,
    drafts: Mutex<()>,
}

/// The right to try drafts.
#[derive(Debug)]
pub struct Drafts<'a> {
    _turn: MutexGuard<'a, ()>,
}

impl Drafts<'_> {
    /// Compiles a set that is not active.
    pub async fn compile(
        &self,
        sources: Sources,
        resources: Vec<Arc<Resource>>,
    ) -> Result<Arc<Policies>, NotCompiled> {
        compile(0, sources, resources).await
    }
}

/// Why a set was not compiled.
#[derive(Debug)]
pub enum NotCompiled {
    /// Something is wrong with it.
    Faults(Vec<PolicyFault>),
    /// Ours.
    Fault(Fault),
}

impl From<Fault> for NotCompiled {
    fn from(fault: Fault) -> Self {
        NotCompiled::Fault(fault)
    }
}

impl Default for Compiled {
    fn default() -> Self {
        Compiled { known: Cache::new(CAPACITY), drafts: Mutex::default() }
    }
}

impl Compiled {
    /// The active set of these documents, compiled against the tools in them.
    pub async fn of(&self, documents: &[Document]) -> Result<Arc<Policies>, NotCompiled> {
        let Some(document) = active(documents) else { return Ok(Arc::default()) };
        let basis = basis(documents);
        if let Some(known) = self.known.get(&basis) {
            return Ok(known);
        }
        let set = read(document)?;
        let resources = state::resources(documents)?.into_iter().map(Arc::new).collect();
        let policies = compile(document.version, set.sources, resources).await?;
        self.known.insert(basis, Arc::clone(&policies));
        Ok(policies)
    }

    /// The right to try a draft. One at a time: whoever asks much waits for himself.
    pub async fn drafts(&self) -> Drafts<'_> {
        Drafts { _turn: self.drafts.lock().await }
    }

    /// The same for a set that is stored, whose faults are ours: nothing is half loaded.
    pub(super) async fn stored(&self, documents: &[Document]) -> Result<Arc<Policies>, Fault> {
        match self.of(documents).await {
            Ok(policies) => Ok(policies),
            Err(NotCompiled::Fault(fault)) => Err(fault),
            Err(NotCompiled::Faults(faults)) => {
                tracing::error!(
                    faults = listed(&faults),
                    "the stored policy set does not validate"
                );
                Err(Fault::Internal("the stored policy set does not validate", None))
            }
        }
    }
}

/// Whether the active set must be compiled anew when a document of this kind changes.
pub fn rest_on(kind: &str) -> bool {
    matches!(kind, kind::POLICY_SET | kind::RESOURCE | kind::TOOL)
}

/// The document of the active set, if there is one.
pub fn active(documents: &[Document]) -> Option<&Document> {
    documents.iter().find(|d| d.kind == kind::POLICY_SET && d.id == ACTIVE)
}

/// A stored set.
pub fn read(document: &Document) -> Result<PolicySet, Fault> {
    policy_set::parse(&document.body).map_err(|problems| state::unreadable(document, &problems))
}

/// Faults in one line, each with its place.
pub fn listed(faults: &[PolicyFault]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}

async fn compile(
    version: u64,
    sources: Sources,
    mut resources: Vec<Arc<Resource>>,
) -> Result<Arc<Policies>, NotCompiled> {
    // In one order, so that faults and warnings are.
    resources.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let compiled = tokio::task::spawn_blocking(move || {
        Policies::compile(version, &sources, resources.iter().map(AsRef::as_ref))
    });
    let compiled = compiled
        .await
        .map_err(|e| Fault::Internal("the policies were not compiled", Some(Box::new(e))))?;
    compiled.map(Arc::new).map_err(NotCompiled::Faults)
}

/// Everything that the compiled set of these documents rests on.
fn basis(documents: &[Document]) -> Fingerprint {
    fingerprint(documents.iter().filter(|d| rest_on(&d.kind)))
}

/// The tools that a set would be compiled against.
pub fn tools(documents: &[Document]) -> Fingerprint {
    fingerprint(documents.iter().filter(|d| matches!(&*d.kind, kind::RESOURCE | kind::TOOL)))
}

fn fingerprint<'a>(documents: impl Iterator<Item = &'a Document>) -> Fingerprint {
    let mut parts: Vec<&Document> = documents.collect();
    parts.sort_unstable_by_key(|d| (&d.kind, &d.id));
    let mut told = Vec::new();
    for part in parts {
        for text in [&part.kind, &part.id, &part.body] {
            told.extend_from_slice(Fingerprint::of(text.as_bytes()).as_bytes());
        }
        if part.kind == kind::POLICY_SET {
            told.extend_from_slice(&part.version.to_be_bytes());
        }
    }
    Fingerprint::of(&told)
}
