//! How long the audit log is kept. Every hour one of us says, in a signed checkpoint, where the chains
//! begin from now on; what is before that is swept an hour later, when nobody reads it any more.

use super::{Deputy, Fault};
use crate::{base::time::Timestamp, store::Shorten};

impl Deputy {
    /// Has chains begin with what is not too old, if the log is not kept for ever.
    pub(super) async fn shorten_log(&self, now: Timestamp) -> Result<(), Fault> {
        let Some(keep) = self.options().keep_audit else { return Ok(()) };
        let old = self.store().too_old(now.minus(keep)).await?;
        if old.is_nothing() {
            return Ok(());
        }
        // First it is said and kept; then it is so.
        let bases = old.bases.clone();
        let Some(n) = self.sign_checkpoint(old.bases, old.begins).await? else { return Ok(()) };
        self.store().writer().shorten(Shorten { n, at: now, bases }).await?;
        Ok(())
    }
}
