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
        time::Timestamp,
    },
    engine::revoke::Intent,
    model::{
        event::{Event, Kind},
        revocation::Target,
    },
    store::{Configured, Document, Store},
};

const FILE: &str = "epoch";
/// The kind and the id of the document that says when the database was restored, and before that
/// that somebody is about it.
const RESTORED: (&str, &str) = ("restored", "last");
/// What it has while what was issued before is not ended yet.
const UNDER_WAY: &str = "under_way";
const OLDER: &str = "the database is older than what `epoch` in the keys directory has seen: was it \
    restored from a backup? Then start once with --restored, which ends everything that was issued \
    before; for a new database, move the keys directory away";
const UNFINISHED: &str = "somebody began to restore this database, and it was not finished: what was \
    revoked since the backup may be in force again. Start with --restored, which ends everything that \
    was issued before";
const OVERTAKEN: &str = "another instance is restoring this database at this moment: wait for it, and \
    start again; without --restored, if it has come to its end";
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

/// At the start: refuses a database that is older than what was seen, or whose restore was not
/// finished; raises its revision above what was seen where it is known to have been restored.
pub(super) async fn check(
    store: &Store,
    dir: &Path,
    (restored, now): (bool, Timestamp),
) -> Result<(), Fault> {
    let seen = read(dir)?;
    if restored {
        // Before the database looks as young as it was: until all is ended, only another
        // --restored may start on it, at any instance.
        let under_way = ObjectWriter::new().flag(UNDER_WAY, true).finish();
        let event = Event::new(Kind::Configuration, "restoring", now, 0);
        if !matches!(mark(store, under_way, event).await?, Configured::Done { .. }) {
            return Err(Fault::Internal(OVERTAKEN, None));
        }
        // What was judged at a revision that is lost must be smaller than the next one, too.
        if let Some(seen) = seen {
            store.writer().raise_to(seen.revision).await?;
        }
        return Ok(());
    }
    let marker = marker(store).await?;
    if marker.as_ref().is_some_and(is_under_way) {
        return Err(Fault::Internal(UNFINISHED, None));
    }
    let Some(seen) = seen else { return Ok(()) };
    let stands = of(store).await?;
    let restored = marker.is_some_and(|marker| seen.revision < marker.revision);
    let older = stands.revision < seen.revision || stands.checkpoint < seen.checkpoint;
    // Another instance restored it, and ended what this one had seen.
    if older && !(restored && seen.revision <= stands.revision) {
        return Err(Fault::Internal(OLDER, None));
    }
    Ok(())
}

/// What says that the database was restored, or is being restored.
async fn marker(store: &Store) -> Result<Option<Document>, Fault> {
    let (kind, id) = RESTORED;
    let documents = store.documents().await?;
    Ok(documents.into_iter().find(|document| document.kind == kind && document.id == id))
}

/// What cannot be read says nothing of an end.
fn is_under_way(marker: &Document) -> bool {
    let said = json::parse(marker.body.as_bytes(), &Limits::DEFAULT);
    let said = said.ok().and_then(|said| said.as_object()?.get("at")?.as_i64());
    said.is_none()
}

/// Replaces the marker, unless another instance does so at once.
async fn mark(store: &Store, body: String, event: Event) -> Result<Configured, Fault> {
    let (kind, id) = RESTORED;
    let mut put = put(kind, id, body);
    put.expected = marker(store).await?.map(|known| known.version);
    Ok(store.writer().configure(vec![put], event).await?)
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
        let event = Event::new(Kind::Configuration, "restored", now, self.snapshot().revision);
        let done = ObjectWriter::new().number("at", now.epoch_s()).finish();
        match mark(self.store(), done, event).await? {
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
