//! Checkpoints of the audit log: one of us signs how far every chain is, every few seconds in which
//! one has grown. Nobody waits for it.

use super::{Deputy, Fault, keys, retention::TooOld};
use crate::{
    base::{secret::Fingerprint, time::Seconds},
    engine::verify::checkpoint::{CheckpointKeys, judge},
    jose::MacKey,
    model::{checkpoint::Checkpoint, signing::SigningAlgorithm},
    oauth::checkpoint::{self, TYP_CHECKPOINT},
    store::NewCheckpoint,
};

/// How far the clocks of instances may differ.
const CLOCKS_DIFFER_MAX: Seconds = Seconds::new(60);
const BEHIND: &str = "the clock is behind the last checkpoint of the audit log, and tokens that have \
    expired would be good once more: set the clock; or, if an instance's clock was ahead, start once \
    with --restored, which ends everything that was issued before";

/// What a checkpoint says, if one of these keys signed it.
pub fn opened(keys: &CheckpointKeys, jws: &str) -> Option<Checkpoint> {
    judge(keys, jws).ok().map(|checkpoint| checkpoint.get().clone())
}

impl Deputy {
    /// Signs the next checkpoint, unless nothing has happened since the last one. Where several
    /// instances do so at once, the database keeps one.
    pub async fn checkpoint(&self) -> Result<(), Fault> {
        self.sign_checkpoint(TooOld::default()).await
    }

    /// The same, with what it is to say of what is no longer kept.
    pub(super) async fn sign_checkpoint(&self, old: TooOld) -> Result<(), Fault> {
        // The number first: if another instance signs meanwhile, it is taken, and nothing is said twice.
        let last = self.store().last_checkpoint().await?;
        let heads = self.store().uncovered().await?;
        let TooOld { bases, gone, begins } = old;
        if heads.is_empty() && begins.is_none() {
            return Ok(());
        }
        let (n, previous) = last.map_or((1, None), |(n, jws)| {
            (n.saturating_add(1), Some(Fingerprint::of(jws.as_bytes())))
        });
        let (config, at) = (&self.snapshot().config, self.now());
        let said = Checkpoint { n, at, previous, heads, bases, begins };
        let payload = checkpoint::write(&config.issuer, &said);
        let alg = SigningAlgorithm::default();
        let no_key = || Fault::Internal("no signing key of the wanted algorithm", None);
        let key = config.keys.signer(alg.into(), at).ok_or_else(no_key)?;
        let jws = keys::signed(&config.keys, (TYP_CHECKPOINT, alg), &payload, at)?;
        let (kid, jwk) = (key.kid().to_owned(), key.public_jwk());
        let tag = tag(&config.macs.checkpoint_key, &kid, &jwk);
        let Checkpoint { heads, bases, .. } = said;
        let new = NewCheckpoint { n, at, jws, heads, bases, gone, begins, kid, jwk, tag };
        // If another instance was faster, its checkpoint says as much, or the next one will.
        self.store().writer().checkpoint(new).await?;
        Ok(())
    }

    /// At the start: refuses a clock that is further behind the last checkpoint than clocks may differ.
    /// What has expired would be good once more.
    pub(super) async fn check_clock(&self) -> Result<(), Fault> {
        let signed = self.store().last_checkpoint_at().await?;
        let behind = signed.is_some_and(|signed| self.now().plus(CLOCKS_DIFFER_MAX) < signed);
        if behind && !self.options().restored {
            return Err(Fault::Internal(BEHIND, None));
        }
        Ok(())
    }

    /// Says so while the wall clock is behind what it was: a restart would believe it.
    pub(super) fn tell_of_the_clock(&self) {
        let behind = self.clock().wall().until(self.now()).get();
        if behind > 1 {
            tracing::warn!(
                behind_s = behind,
                "the wall clock was set back; expiry goes on by the boot clock: set the clock"
            );
        }
    }

    /// The same at the end, when everything is written. What it cannot cover, the others will, or
    /// the next start.
    pub(super) async fn seal_log(&self) {
        let sealed = async {
            self.store().writer().flush().await?;
            self.checkpoint().await
        };
        if let Err(error) = sealed.await {
            tracing::warn!(%error, "the end of the audit log is not covered by a checkpoint yet");
        }
    }

    /// Every key of ours that ever signed a checkpoint, ready to verify.
    pub async fn checkpoint_keys(&self) -> Result<CheckpointKeys, Fault> {
        let mut keys = CheckpointKeys::default();
        for (kid, jwk) in self.checkpoint_jwks().await? {
            let unusable = |error| Fault::Internal("a key of checkpoints", Some(Box::new(error)));
            keys.add(&kid, &jwk).map_err(unusable)?;
        }
        Ok(keys)
    }

    /// The same as JWKs, each behind its `kid`. A key that was put into the database by another
    /// hand is not among them.
    pub(super) async fn checkpoint_jwks(&self) -> Result<Vec<(String, String)>, Fault> {
        let mac = &self.snapshot().config.macs.checkpoint_key;
        let ours = |(kid, jwk, tag): (String, String, String)| {
            let is_ours = Fingerprint::parse(&tag)
                .is_some_and(|tag| mac.verify(&[kid.as_bytes(), jwk.as_bytes()], tag.as_bytes()));
            if !is_ours {
                tracing::error!(kid, "a key of checkpoints is not ours: what it signed is forged");
            }
            is_ours.then_some((kid, jwk))
        };
        Ok(self.store().checkpoint_keys().await?.into_iter().filter_map(ours).collect())
    }
}

fn tag(mac: &MacKey, kid: &str, jwk: &str) -> String {
    Fingerprint::from_bytes(mac.tag(&[kid.as_bytes(), jwk.as_bytes()])).text()
}
