//! How a configuration change is written: all documents or none, with one event, and applied here
//! before the operator is answered.

use std::sync::Arc;

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

impl Deputy {
    /// The snapshot with everything in it that was committed before this call.
    pub(super) async fn newest(&self) -> Result<Arc<Snapshot>, Refused> {
        self.catch_up().await?;
        Ok(self.snapshot())
    }

    /// Writes the documents and the event; when this returns, they are in force here.
    pub(super) async fn configure(&self, puts: Vec<Put>, event: Event) -> Result<(), Refused> {
        match self.store().writer().configure(puts, event).await? {
            Configured::Done { .. } => Ok(self.catch_up().await?),
            Configured::Conflict { kind, id, current: Some(_) } => Err(Refused::Conflict(format!(
                "the {kind} `{id}` was written by somebody else meanwhile: read it again"
            ))),
            Configured::Conflict { kind, id, current: None } => {
                Err(Refused::Missing(format!("{kind} `{id}`")))
            }
        }
    }
}
