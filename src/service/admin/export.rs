//! The audit log as a file of JSON lines that proves itself: everything that a proof looks at, in the
//! order in which it was written.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::timeout};

use super::Refused;
use crate::{
    base::compose::ObjectWriter,
    service::{Deputy, Fault},
    store::{Step, Walk},
};

/// What the first line calls the file.
pub const FORMAT: &str = "deputy-audit-log";
/// How it is to be read.
pub const VERSION: u64 = 1;
/// Pieces that wait for a slow reader. A piece is some lines, 64 KiB or one line.
const PIECES: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;
/// Exports and proofs at one time; each may hold a page of the log, 16 MiB.
pub const AT_ONCE: usize = 2;
/// The longest that one is waited for: a reader who takes a little now and then must not keep others
/// from theirs for ever.
const LONGEST: Duration = Duration::from_hours(24);

/// The file breaks off: something of ours failed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the export breaks off")]
pub struct BreaksOff;

/// The pieces of a file, as they are read.
pub type Pieces = mpsc::Receiver<Result<String, BreaksOff>>;

struct Sender {
    pieces: mpsc::Sender<Result<String, BreaksOff>>,
    piece: String,
    lines: u64,
}

/// Whoever wanted the file has gone.
struct Gone;

impl Deputy {
    /// Begins to export the log as it is now, covered by a checkpoint of this moment; without what
    /// leads to a person if `persons` is not set. Goes on while somebody reads.
    pub async fn export_audit(&self, persons: bool) -> Result<Pieces, Refused> {
        let turn = Arc::clone(&self.0.walks).try_acquire_owned().map_err(|_| Fault::Busy)?;
        self.store().writer().flush().await?;
        self.checkpoint().await?;
        let (pieces, receiver) = mpsc::channel(PIECES);
        let deputy = self.clone();
        tokio::spawn(async move {
            let sender = Sender { pieces, piece: String::new(), lines: 0 };
            _ = timeout(LONGEST, deputy.send_log(sender, persons)).await;
            drop(turn);
        });
        Ok(receiver)
    }

    /// What the file is, and the keys that its checkpoints were signed with.
    async fn head_lines(&self) -> Result<Vec<String>, Fault> {
        let first = ObjectWriter::new()
            .text("type", FORMAT)
            .count("version", VERSION)
            .text("issuer", &self.snapshot().config.issuer)
            .number("at", self.now().epoch_s())
            .finish();
        let key = |(_, jwk): (String, String)| {
            ObjectWriter::new().text("type", "key").raw("jwk", &jwk).finish()
        };
        let keys = self.checkpoint_jwks().await?.into_iter().map(key);
        Ok(std::iter::once(first).chain(keys).collect())
    }

    async fn send_log(&self, mut sender: Sender, persons: bool) {
        match self.send_lines(&mut sender, persons).await {
            Ok(Ok(())) => sender.end().await,
            Ok(Err(Gone)) => {}
            Err(error) => {
                tracing::warn!(%error, "an export of the audit log breaks off");
                sender.breaks_off().await;
            }
        }
    }

    async fn send_lines(
        &self,
        sender: &mut Sender,
        persons: bool,
    ) -> Result<Result<(), Gone>, Fault> {
        // Before the keys: what is signed later may be signed with another one.
        let walk = self.store().walk().await?;
        for line in self.head_lines().await? {
            if sender.line(&line).await.is_err() {
                return Ok(Err(Gone));
            }
        }
        send_steps(walk, sender, persons).await
    }
}

async fn send_steps(
    mut walk: Walk<'_>,
    sender: &mut Sender,
    persons: bool,
) -> Result<Result<(), Gone>, Fault> {
    while let Some(step) = walk.next().await? {
        let step = match step {
            Step::Link(link) if !persons => Step::Link(Box::new(link.without_persons())),
            step => step,
        };
        if sender.line(&step.line()).await.is_err() {
            return Ok(Err(Gone));
        }
    }
    Ok(Ok(()))
}

impl Sender {
    async fn line(&mut self, line: &str) -> Result<(), Gone> {
        self.piece.push_str(line);
        self.piece.push('\n');
        self.lines = self.lines.saturating_add(1);
        if self.piece.len() < PIECE_BYTES { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let piece = std::mem::take(&mut self.piece);
        self.pieces.send(Ok(piece)).await.map_err(|_| Gone)
    }

    /// The last line says how many there are: a file that was cut off has none.
    async fn end(mut self) {
        let lines = self.lines.saturating_add(1);
        let last = ObjectWriter::new().text("type", "end").count("lines", lines).finish();
        if self.line(&last).await.is_ok() {
            // Nobody is left to be told.
            let _ = self.flush().await;
        }
    }

    async fn breaks_off(self) {
        // As above.
        let _ = self.pieces.send(Err(BreaksOff)).await;
    }
}
