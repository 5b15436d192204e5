//! How a configuration change is written: all documents or none, with one event, and applied here
//! before the operator is answered.

use std::{ops::Deref, sync::Arc};

use tokio::sync::MutexGuard;

use super::{Refused, documents::Kind};
use crate::{
    engine::snapshot::Snapshot,
    model::event::Event,
    service::Deputy,
    store::{Configured, Put},
};

/// Which version of a document the caller means to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whichever is there.
    Any,
    /// The one it saw (`If-Match`).
    Version(u64),
}

impl Expected {
    /// Refuses unless `current` is what the caller saw.
    pub(super) fn check(self, current: u64) -> Result<(), Refused> {
        match self {
            Expected::Version(seen) if seen != current => Err(Refused::Stale { current }),
            Expected::Any | Expected::Version(_) => Ok(()),
        }
    }
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is new.
    Created,
    /// It replaced another version, or is what was there already.
    Replaced,
}

/// A document that must not be there yet.
pub(super) fn create(kind: Kind, id: impl Into<String>, body: String) -> Put {
    Put { kind: kind.as_str().to_owned(), id: id.into(), expected: None, body }
}

/// A document that replaces this version.
pub(super) fn replace(kind: Kind, id: impl Into<String>, version: u64, body: String) -> Put {
    Put { kind: kind.as_str().to_owned(), id: id.into(), expected: Some(version), body }
}

/// A snapshot that no other change of this process can make old while it is held.
pub(super) struct Alone<'a> {
    snapshot: Arc<Snapshot>,
    _turn: MutexGuard<'a, ()>,
}

impl Deref for Alone<'_> {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl Deputy {
    /// The snapshot with everything in it that was committed before this call.
    pub(super) async fn newest(&self) -> Result<Arc<Snapshot>, Refused> {
        self.hear().await?;
        Ok(self.snapshot())
    }

    /// The same for a change that is checked against it: one at a time in this process, from the
    /// check to the commit, so that two cannot both find a name free. The store holds off other
    /// processes by the revision of the check, which the event names.
    pub(super) async fn newest_alone(&self) -> Result<Alone<'_>, Refused> {
        let turn = self.0.configuring.lock().await;
        Ok(Alone { snapshot: self.newest().await?, _turn: turn })
    }

    /// Writes the documents and the event; when this returns, they are in force at every
    /// instance. Every change
    /// of an operator comes through here, and none leaves the active policy set invalid.
    pub(super) async fn configure(&self, puts: Vec<Put>, event: Event) -> Result<(), Refused> {
        self.keep_policies_valid(&puts).await?;
        match self.store().writer().configure_checked(puts, event).await? {
            Configured::Done { revision } => Ok(self.in_force(revision).await?),
            Configured::Conflict { kind, id, current: Some(_) } => Err(Refused::Conflict(format!(
                "the {kind} `{id}` was written by somebody else meanwhile: read it again"
            ))),
            Configured::Moved => Err(Refused::Conflict(
                "the configuration was changed by somebody else meanwhile: repeat".to_owned(),
            )),
            Configured::Conflict { kind, id, current: None } => {
                Err(Refused::Missing(format!("{kind} `{id}`")))
            }
        }
    }
}
