//! The active policy set: shown, tried, replaced, and gone back in. A set comes into force whole or
//! not at all, and no change of a resource or a tool may make it invalid.

use std::sync::Arc;

use super::{
    Refused,
    changes::{self, Expected},
    documents::{Kind, read},
};
use crate::{
    engine::admin,
    model::policy::{Fault as PolicyFault, Sources},
    policy::Policies,
    registry::{
        operator::Operator,
        policy_set::{self, PolicySet},
    },
    service::{
        Deputy,
        policies::{self, ACTIVE, NotCompiled},
        state::{self, kind},
    },
    store::{Document, DocumentVersion, Put},
};

/// The active set.
#[derive(Clone, Debug)]
pub struct ActivePolicies {
    /// As it is stored.
    pub set: PolicySet,
    /// Compiled; its version is the document's.
    pub policies: Arc<Policies>,
}

/// One version of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// As it was stored.
    pub set: PolicySet,
    /// Its number, when and at which revision it came into force.
    pub stored: DocumentVersion,
}

/// A fault, and where its text stands in what was sent, as a JSON Pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFault {
    /// The place of the text.
    pub field: String,
    /// The fault in it.
    pub fault: PolicyFault,
}

impl Deputy {
    /// The active set; an empty one of version 0 where none was ever written.
    pub async fn policies(&self) -> Result<ActivePolicies, Refused> {
        let documents = self.store().documents().await?;
        let set = policies::active(&documents).map(policies::read).transpose()?;
        let policies = self.0.policies.stored(&documents).await?;
        Ok(ActivePolicies { set: set.unwrap_or_default(), policies })
    }

    /// What a draft would be against the tools of now. Nothing is changed.
    pub async fn validate_policies(&self, body: &[u8]) -> Result<Arc<Policies>, Refused> {
        let snapshot = self.newest().await?;
        let sources = policy_set::parse_draft(&read(body)?.to_json())?;
        let resources = snapshot.config.resources().cloned().collect();
        let drafts = self.0.policies.drafts().await;
        let compiled = drafts.compile(sources.clone(), resources).await;
        compiled.map_err(|error| not_compiled(&sources, error))
    }

    /// Puts a set in the place of the active one.
    pub async fn replace_policies(
        &self,
        operator: &Operator,
        body: &[u8],
        expected: Expected,
    ) -> Result<ActivePolicies, Refused> {
        let sources = policy_set::parse_draft(&read(body)?.to_json())?;
        let by = operator.name.to_string();
        let set = PolicySet { sources, by, rolled_back_to: None };
        self.activate(operator, expected, "policy_set.replaced", |_| Ok(set)).await
    }

    /// Puts the texts of an earlier version in the place of the active ones, as a new version.
    pub async fn roll_back_policies(
        &self,
        operator: &Operator,
        body: &str,
        expected: Expected,
    ) -> Result<ActivePolicies, Refused> {
        let order = policy_set::parse_rollback(body)?;
        let active = self.policies().await?.policies.version();
        let none = || Refused::Conflict("there is no earlier policy set to go back to".to_owned());
        let wanted = match order.version {
            Some(version) => version,
            None => active.checked_sub(1).ok_or_else(none)?,
        };
        let sources = match wanted {
            // What there was before the first.
            0 => Sources::default(),
            _ => self.policy_version(wanted).await?.set.sources,
        };
        let set = |current: &PolicySet| {
            if current.sources == sources {
                let message = format!("the policies of version {wanted} are the active ones");
                return Err(Refused::Conflict(message));
            }
            let by = operator.name.to_string();
            Ok(PolicySet { sources, by, rolled_back_to: Some(wanted) })
        };
        // What was read above may be another set by now; then the caller meant the one it saw.
        let expected = match expected {
            Expected::Any => Expected::Version(active),
            Expected::Version(_) => expected,
        };
        let done = self.activate(operator, expected, "policy_set.rolled_back", set).await;
        done.map_err(|refused| match refused {
            Refused::Faulty(faults) => Refused::Unfit {
                what: format!("version {wanted} does not validate against the tools of now"),
                cure: "apply a set that does".to_owned(),
                faults: faults.into_iter().map(|placed| placed.fault).collect(),
            },
            other => other,
        })
    }

    /// Versions of the set before one, newest first, and before which the next page begins.
    pub async fn policy_versions(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<PolicyVersion>, Option<u64>), Refused> {
        let before = before.unwrap_or(u64::MAX);
        let which = (kind::POLICY_SET, ACTIVE);
        let mut found = self.store().versions(which, before, limit.saturating_add(1)).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let items = found.into_iter().map(PolicyVersion::of).collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| more).map(|last| last.stored.version);
        Ok((items, next))
    }

    /// One version of the set, if it is still kept.
    pub async fn policy_version(&self, version: u64) -> Result<PolicyVersion, Refused> {
        let before = version.saturating_add(1);
        let found = self.store().versions((kind::POLICY_SET, ACTIVE), before, 1).await?;
        let found = found.into_iter().find(|found| found.version == version);
        let found = found.ok_or_else(|| Refused::Missing(format!("policy set {version}")))?;
        PolicyVersion::of(found)
    }

    /// Writes what `set` makes of the active set, unless that says nothing new.
    async fn activate(
        &self,
        operator: &Operator,
        expected: Expected,
        what: &'static str,
        set: impl FnOnce(&PolicySet) -> Result<PolicySet, Refused>,
    ) -> Result<ActivePolicies, Refused> {
        let snapshot = self.newest_alone().await?;
        let active = self.policies().await?;
        let version = active.policies.version();
        expected.check(version)?;
        let set = set(&active.set)?;
        if set.sources == active.set.sources && version > 0 {
            return Ok(active);
        }
        let body = policy_set::write(&set);
        let put = match version {
            0 => changes::create(Kind::PolicySet, ACTIVE, body),
            _ => changes::replace(Kind::PolicySet, ACTIVE, version, body),
        };
        let mut event = admin::event(&snapshot, operator, what, self.now());
        event.detail.push(("replaced".into(), version.to_string()));
        event.detail.push(("version".into(), version.saturating_add(1).to_string()));
        if let Some(wanted) = set.rolled_back_to {
            event.detail.push(("rolled_back_to".into(), wanted.to_string()));
        }
        self.configure(vec![put], event).await?;
        self.policies().await
    }

    /// Refuses a change after which the active set would not validate: a policy that names what is
    /// no longer there would decide nothing, and nobody would notice.
    pub(super) async fn keep_policies_valid(&self, puts: &[Put]) -> Result<(), Refused> {
        if !puts.iter().any(|put| policies::rest_on(&put.kind)) {
            return Ok(());
        }
        let documents = after(self.store().documents().await?, puts);
        let is_written = puts.iter().any(|put| put.kind == kind::POLICY_SET);
        match self.0.policies.of(&documents).await {
            Ok(_) if is_written => Ok(()),
            Ok(next) => refuse_unheard(&self.snapshot().policies, &next),
            Err(error) if is_written => {
                let set = policies::active(&documents).map(policies::read).transpose()?;
                Err(not_compiled(&set.unwrap_or_default().sources, error))
            }
            Err(NotCompiled::Fault(fault)) => Err(fault.into()),
            Err(NotCompiled::Faults(faults)) => Err(Refused::Unfit {
                what: "the active policy set would no longer validate".to_owned(),
                cure: CURE.to_owned(),
                faults,
            }),
        }
    }
}

/// Refuses what a policy set was not warned of when it was written: most of all, a policy that can
/// never apply any more because an argument is gone.
fn refuse_unheard(active: &Policies, next: &Policies) -> Result<(), Refused> {
    let place = |warning: &PolicyFault| (warning.file.clone(), warning.line, warning.column);
    let heard: Vec<_> = active.warnings().iter().map(place).collect();
    let unheard = next.warnings().iter().filter(|warning| !heard.contains(&place(warning)));
    let mut faults: Vec<PolicyFault> = unheard.cloned().collect();
    faults.extend(active.blinded_by(next));
    if faults.is_empty() {
        return Ok(());
    }
    Err(Refused::Unfit {
        what: "the active policy set would no longer mean what it says".to_owned(),
        cure: CURE.to_owned(),
        faults,
    })
}

/// What to do about a change that does not go with the active set.
const CURE: &str = "change the policies first, or leave the tool as it is";

impl PolicyVersion {
    fn of(stored: DocumentVersion) -> Result<PolicyVersion, Refused> {
        let set = policy_set::parse(&stored.body).map_err(|problems| {
            let (id, version) = (ACTIVE.to_owned(), stored.version);
            let (kind, body) = (kind::POLICY_SET.to_owned(), String::new());
            state::unreadable(&Document { kind, id, version, revision: 0, body }, &problems)
        })?;
        Ok(PolicyVersion { set, stored })
    }
}

/// The documents as they are once `puts` are written.
fn after(mut documents: Vec<Document>, puts: &[Put]) -> Vec<Document> {
    for put in puts {
        let known = documents.iter_mut().find(|d| d.kind == put.kind && d.id == put.id);
        match known {
            Some(known) => {
                known.version = put.expected.unwrap_or_default().saturating_add(1);
                known.body.clone_from(&put.body);
            }
            None => documents.push(Document {
                kind: put.kind.clone(),
                id: put.id.clone(),
                version: 1,
                revision: admin::AT_THIS_WRITE,
                body: put.body.clone(),
            }),
        }
    }
    documents
}

pub(super) fn not_compiled(sources: &Sources, error: NotCompiled) -> Refused {
    match error {
        NotCompiled::Fault(fault) => fault.into(),
        NotCompiled::Faults(faults) => {
            let placed = faults
                .into_iter()
                .map(|fault| PlacedFault { field: policy_set::place(sources, &fault), fault });
            Refused::Faulty(placed.collect())
        }
    }
}
