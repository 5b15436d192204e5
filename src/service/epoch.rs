//! How far this installation has seen its database come, in a file beside the keys: a database that
//! was restored from a backup is older, and does not know what was revoked since. Two numbers grow:
//! the revision with every revocation and change, and the number of the last checkpoint with
//! everything that was put on record.
//!
//! The file is written within a second, or ten, of what it tells of. What was lost with that second
//! is not noticed.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Mutex,
};

use super::{Deputy, Fault, keys::put};
use crate::{
    base::{
        compose::ObjectWriter,
        json::{self, Limits, Value},
    },
    engine::revoke::Intent,
    model::{
        event::{Event, Kind},
        revocation::Target,
    },
    store::{Configured, Store},
};

const FILE: &str = "epoch";
/// The kind and the id of the document that says when the database was restored.
const RESTORED: (&str, &str) = ("restored", "last");
const OLDER: &str = "the database is older than what `epoch` in the keys directory has seen: was it \
    restored from a backup? Then start once with --restored, which ends everything that was issued \
    before; for a new database, move the keys directory away";
const UNREADABLE: &str = "`epoch` in the keys directory cannot be read: it must be a file that this \
    program wrote, readable by its owner alone";

/// How far a database has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Its revision.
    revision: u64,
    /// The number of its last checkpoint.
    checkpoint: u64,
}

/// What this process wrote down last.
#[derive(Debug, Default)]
pub struct Noted(Mutex<Epoch>);

/// What the file says; `None` if there is none.
fn read(dir: &Path) -> Result<Option<Epoch>, Fault> {
    let text = match fs::read(dir.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::Internal(UNREADABLE, Some(Box::new(error)))),
    };
    let said = json::parse(&text, &Limits::DEFAULT);
    let said = said.map_err(|error| Fault::Internal(UNREADABLE, Some(Box::new(error))))?;
    let number = |name: &str| {
        let number = said.as_object().and_then(|said| said.get(name)).and_then(Value::as_i64);
        number.and_then(|number| u64::try_from(number).ok())
    };
    match (number("revision"), number("checkpoint")) {
        (Some(revision), Some(checkpoint)) => Ok(Some(Epoch { revision, checkpoint })),
        _ => Err(Fault::Internal(UNREADABLE, None)),
    }
}

/// Replaces the file as a whole: a crash leaves the old one or the new one.
fn write(dir: &Path, epoch: Epoch) -> io::Result<()> {
    let Epoch { revision, checkpoint } = epoch;
    let said = ObjectWriter::new().count("revision", revision).count("checkpoint", checkpoint);
    let new = dir.join(format!("{FILE}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(said.finish().as_bytes())?;
    file.sync_all()?;
    fs::rename(new, dir.join(FILE))
}

async fn of(store: &Store) -> Result<Epoch, Fault> {
    let last = store.last_checkpoint().await?;
    let checkpoint = last.map_or(0, |(n, _)| n);
    Ok(Epoch { revision: store.head().await?.revision, checkpoint })
}

/// At the start: refuses a database that is older than what was seen; raises its revision above that
/// where it is known to have been restored.
pub(super) async fn check(store: &Store, dir: &Path, restored: bool) -> Result<(), Fault> {
    let Some(seen) = read(dir)? else { return Ok(()) };
    if restored {
        // What was judged at a revision that is lost must be smaller than the next one, too.
        return Ok(store.writer().raise_to(seen.revision).await?);
    }
    let stands = of(store).await?;
    let restored = restored_at(store).await?.is_some_and(|revision| seen.revision < revision);
    let older = stands.revision < seen.revision || stands.checkpoint < seen.checkpoint;
    // Another instance restored it, and ended what this one had seen.
    if older && !(restored && seen.revision <= stands.revision) {
        return Err(Fault::Internal(OLDER, None));
    }
    Ok(())
}

/// The revision at which the database was last restored.
async fn restored_at(store: &Store) -> Result<Option<u64>, Fault> {
    let (kind, id) = RESTORED;
    let documents = store.documents().await?;
    let marker = documents.iter().find(|document| document.kind == kind && document.id == id);
    Ok(marker.map(|marker| marker.revision))
}

impl Deputy {
    /// After a restore: ends everything that was issued before, and refuses every user token that
    /// is not newer, because what was revoked meanwhile is not known.
    pub(super) async fn end_what_was_before(&self) -> Result<(), Fault> {
        let now = self.now();
        let issuers: Vec<_> = self.snapshot().config.issuers().map(|i| i.url.clone()).collect();
        let issuers = issuers.into_iter().map(Target::Issuer);
        for target in std::iter::once(Target::Everything).chain(issuers) {
            let mut event = Event::new(Kind::Revocation, "restored", now, self.snapshot().revision);
            if let Target::Issuer(url) = &target {
                event.detail.push(("issuer".into(), url.to_string()));
            }
            self.revoke(Intent { target, bar: None, event }, now).await?;
        }
        let (kind, id) = RESTORED;
        let stored = self.store().documents().await?;
        let known = stored.iter().find(|document| document.kind == kind && document.id == id);
        let mut marker = put(kind, id, ObjectWriter::new().number("at", now.epoch_s()).finish());
        marker.expected = known.map(|known| known.version);
        let event = Event::new(Kind::Configuration, "restored", now, self.snapshot().revision);
        match self.store().writer().configure(vec![marker], event).await? {
            Configured::Done { revision } => self.in_force(revision).await?,
            // Another instance says so too.
            Configured::Conflict { .. } | Configured::Moved => {}
        }
        tracing::warn!(
            "restored: what was issued before is ended, and every user must log in anew"
        );
        Ok(())
    }

    /// The number of the last checkpoint that was written down beside the keys.
    pub(super) fn noted_checkpoint(&self) -> u64 {
        self.0.noted.0.lock().map_or(0, |noted| noted.checkpoint)
    }

    /// Writes down how far the database is, if it has come further. Nobody waits for it.
    pub(super) async fn note_epoch(&self) {
        let noted = async {
            let stands = of(self.store()).await?;
            let dir = self.options().keys_dir.clone();
            let known = self.0.noted.0.lock().is_ok_and(|noted| *noted == stands);
            if known {
                return Ok(());
            }
            let written = tokio::task::spawn_blocking(move || write(&dir, stands)).await;
            let failed = |error: io::Error| Fault::Internal("`epoch`", Some(Box::new(error)));
            written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)?;
            if let Ok(mut noted) = self.0.noted.0.lock() {
                *noted = stands;
            }
            Ok::<(), Fault>(())
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "how far the database has come was not written down");
        }
    }
}
