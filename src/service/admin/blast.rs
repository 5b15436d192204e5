//! The blast radius of a revocation, before it is made: which live delegations it would end, and
//! whose they are. Nothing is changed here.

use std::collections::BTreeSet;

use super::{DelegationView, Order, Refused, refuse, revocations::unknown};
use crate::{
    engine::{revoke::Rehearsal, snapshot::Snapshot},
    model::{revocation::Target, subject::Subject},
    service::Deputy,
    store::{DelegationFilter, Page, StoredDelegation},
};

/// Delegations that one look goes through; beyond it the radius is a lower bound and says so.
const LOOKED_AT_MAX: usize = 50_000;

/// What a revocation would end.
#[derive(Clone, Debug, Default)]
pub struct Radius {
    /// Live delegations.
    pub delegations: u64,
    /// The newest of them, at most [`Radius::SHOWN_MAX`].
    pub shown: Vec<DelegationView>,
    /// Everybody they are for, as (issuer, sub).
    pub users: BTreeSet<(String, String)>,
    /// Every actor in their chains.
    pub agents: BTreeSet<String>,
    /// Every resource or agent that they are addressed to.
    pub audiences: BTreeSet<String>,
    /// Whether every live delegation was looked at.
    pub complete: bool,
}

impl Radius {
    /// Delegations that are shown one by one, and the most names in a list.
    pub const SHOWN_MAX: usize = 100;

    fn take(&mut self, view: DelegationView) {
        let Subject { issuer, sub } = &view.stored.subject;
        self.delegations = self.delegations.saturating_add(1);
        self.users.insert((issuer.to_string(), sub.to_string()));
        self.agents.extend(view.chain.iter().map(|actor| actor.sub.to_string()));
        self.audiences.insert(view.stored.audience.clone());
        if self.shown.len() < Self::SHOWN_MAX {
            self.shown.push(view);
        }
    }
}

impl Deputy {
    /// What [`Deputy::revoke_by_order`] would end if it were called now.
    pub async fn radius_of(&self, order: &Order) -> Result<Radius, Refused> {
        let snapshot = self.newest().await?;
        refuse(unknown(&snapshot.config, &order.target))?;
        if let Target::Delegation(id) = &order.target {
            // A slip of the pen must not look harmless.
            self.delegation(*id).await?;
        }
        let now = self.now();
        let rehearsal = Rehearsal::of(order.target.clone(), now);
        let filter = DelegationFilter { live_at: Some(now), ..narrowed(&order.target) };
        let mut page = Page { after: None, limit: Page::LIMIT_MAX };
        let mut radius = Radius::default();
        let mut looked_at = 0_usize;
        while looked_at < LOOKED_AT_MAX {
            let found = self.store().delegations(&filter, &page).await?;
            looked_at = looked_at.saturating_add(found.items.len());
            for stored in found.items {
                if let Some(view) = self.ended(&snapshot, &rehearsal, stored) {
                    radius.take(view);
                }
            }
            page.after = found.next;
            if page.after.is_none() {
                radius.complete = true;
                break;
            }
        }
        Ok(radius)
    }

    fn ended(
        &self,
        snapshot: &Snapshot,
        rehearsal: &Rehearsal,
        stored: StoredDelegation,
    ) -> Option<DelegationView> {
        let claims = super::records::claims_of(snapshot, &stored)?;
        let view = self.view(snapshot, stored);
        (view.dead.is_none() && rehearsal.ends(snapshot, &claims)).then_some(view)
    }
}

/// What the database can leave out by itself.
fn narrowed(target: &Target) -> DelegationFilter {
    match target {
        Target::Transaction(txn) => DelegationFilter { txn: Some(*txn), ..Default::default() },
        Target::Subject(subject) => {
            DelegationFilter { subject: Some(subject.clone()), ..Default::default() }
        }
        Target::Delegation(_)
        | Target::Agent(_)
        | Target::Resource(_)
        | Target::Tool(..)
        | Target::Issuer(_)
        | Target::Everything => DelegationFilter::default(),
    }
}
