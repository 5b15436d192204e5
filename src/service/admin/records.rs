//! What operators look up: delegations, audit events, and whether the audit log is whole.

use super::Refused;
use crate::{
    base::{id::DelegationId, json},
    engine::{
        admin,
        snapshot::{Dead, Snapshot},
    },
    model::{
        actor::Actor,
        event::Outcome,
        token::{OurClaims, OurKind},
    },
    oauth::claims,
    registry::operator::Operator,
    service::{Deputy, Fault, checkpoint},
    store::{
        Broken, BrokenPlace, ChainReport, DelegationFilter, EventFilter, Listing, Page,
        StoredDelegation, StoredEvent, Why,
    },
};

/// A delegation, and what it is worth now.
#[derive(Clone, Debug, PartialEq)]
pub struct DelegationView {
    /// As it is stored.
    pub stored: StoredDelegation,
    /// Who acts, current actor first.
    pub chain: Vec<Actor>,
    /// Why it is worth nothing, as a machine code; `None` while it is live.
    pub dead: Option<&'static str>,
}

impl Deputy {
    /// One delegation.
    pub async fn delegation(&self, id: DelegationId) -> Result<DelegationView, Refused> {
        let found = self.store().delegation(id).await?;
        let found = found.ok_or_else(|| Refused::Missing(format!("delegation `{id}`")))?;
        Ok(self.view(&self.snapshot(), found))
    }

    /// Delegations, newest first. With `only_live`, the dead are left out of each page, so that a
    /// page may be short although there is a next one.
    pub async fn delegations(
        &self,
        filter: DelegationFilter,
        only_live: bool,
        page: &Page,
    ) -> Result<Listing<DelegationView>, Refused> {
        let live_at = only_live.then(|| self.now());
        let found = self.store().delegations(&DelegationFilter { live_at, ..filter }, page).await?;
        let snapshot = self.snapshot();
        let mut items: Vec<DelegationView> =
            found.items.into_iter().map(|stored| self.view(&snapshot, stored)).collect();
        items.retain(|view| !only_live || view.dead.is_none());
        Ok(Listing { items, next: found.next })
    }

    /// Audit events, newest first. Those of this moment are written first, so that what was
    /// answered before is found.
    pub async fn events(
        &self,
        filter: &EventFilter,
        page: &Page,
    ) -> Result<Listing<StoredEvent>, Refused> {
        self.store().writer().flush().await?;
        Ok(self.store().events(filter, page).await?)
    }

    /// Proves the whole audit log.
    pub async fn verify_audit(&self) -> Result<ChainReport, Refused> {
        let _turn = self.0.walks.try_acquire().map_err(|_| Fault::Busy)?;
        self.store().writer().flush().await?;
        // Before the keys: what is signed later may be signed with another one.
        let walk = self.store().walk().await?;
        let keys = self.checkpoint_keys().await?;
        let opens = move |jws: &str| checkpoint::opened(&keys, jws);
        let noted = self.noted_checkpoint();
        let mut report = walk.proved(&opens).await?;
        // Whoever cuts off an end together with its checkpoints leaves a log that is in order. That
        // there were more stands outside the database.
        if report.broken.is_none() && report.last_checkpoint < noted {
            let place = BrokenPlace::Checkpoint(report.last_checkpoint.saturating_add(1));
            report.broken = Some(Broken { place, why: Why::Missing });
        }
        Ok(report)
    }

    /// The last checkpoint, after one of this moment: its number, and itself as it was signed.
    pub async fn last_checkpoint(&self) -> Result<(u64, String), Refused> {
        self.store().writer().flush().await?;
        self.checkpoint().await?;
        let last = self.store().last_checkpoint().await?;
        last.ok_or_else(|| Refused::Missing("a checkpoint".to_owned()))
    }

    /// Puts on record that an operator was refused a change.
    pub fn journal_forbidden(&self, operator: &Operator, operation: &str) {
        let snapshot = self.snapshot();
        let mut event = admin::event(&snapshot, operator, "operator_may_only_read", self.now());
        event.outcome = Outcome::Refused;
        event.detail.push(("operation".into(), operation.to_owned()));
        self.store().writer().journal(event);
    }

    pub(super) fn view(&self, snapshot: &Snapshot, stored: StoredDelegation) -> DelegationView {
        let Some(claims) = claims_of(snapshot, &stored) else {
            // A record that does not read back was signed for another issuer, or not by us.
            return DelegationView { stored, chain: Vec::new(), dead: Some("unreadable") };
        };
        let dead = snapshot.is_live(&claims, self.now()).err().map(Dead::as_str);
        DelegationView { stored, chain: claims.chain.hops().to_vec(), dead }
    }
}

/// What a stored delegation's token says; `None` if it was signed for another issuer.
pub(super) fn claims_of(snapshot: &Snapshot, stored: &StoredDelegation) -> Option<OurClaims> {
    let typ = match stored.kind {
        OurKind::HandOver => claims::TYP_HAND_OVER,
        OurKind::Call | OurKind::Agent => claims::TYP_ACCESS_TOKEN,
    };
    let limits = json::Limits::DEFAULT;
    let value = json::parse(stored.record.as_bytes(), &limits).ok()?;
    claims::read(&snapshot.config.issuer, typ, &stored.record, value.as_object()?).ok()
}
