//! Erasing a person from the audit log: what leads to them is destroyed, and every chain still holds.

use super::Refused;
use crate::{
    base::{compose::ObjectWriter, json::Value},
    engine::admin,
    model::subject::Subject,
    registry::operator::Operator,
    service::{Deputy, keys::put, state::kind},
    store::{DelegationFilter, Page},
};

use super::{documents::read, problem};

/// The one id of [`kind::ERASURE`].
const LAST: &str = "last";
/// How often an instance tries to say what it has destroyed while others change something.
const ATTEMPTS: usize = 16;

/// Who is to be erased.
#[derive(Clone, Debug, PartialEq)]
pub struct Erasure {
    /// The person.
    pub subject: Subject,
    /// Whether to look only.
    pub dry_run: bool,
}

/// What was destroyed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Keys, one for each run of a server that met the person.
    pub keys: u64,
    /// Rows of delegations.
    pub delegations: u64,
}

impl Erasure {
    /// Reads a request.
    pub fn parse(body: &[u8]) -> Result<Erasure, Refused> {
        let said = read(body)?;
        if said.iter().any(|(name, _)| !matches!(name, "subject" | "dry_run")) {
            return Err(problem("", "has `subject` and perhaps `dry_run`, nothing else").into());
        }
        let dry_run = match said.get("dry_run") {
            None => false,
            Some(value) => {
                value.as_bool().ok_or_else(|| problem("/dry_run", "must be `true` or `false`"))?
            }
        };
        let subject = said.get("subject").and_then(Value::as_object);
        let text = |name: &str| {
            let text = subject?.get(name)?.as_str()?;
            (!text.is_empty() && text.len() <= 512).then(|| text.into())
        };
        let wrong =
            || problem("/subject", "must be an object with the texts `iss` and `sub` alone");
        let alone = subject.is_some_and(|subject| subject.len() == 2);
        match (text("iss"), text("sub")) {
            (Some(issuer), Some(sub)) if alone => {
                Ok(Erasure { subject: Subject { issuer, sub }, dry_run })
            }
            _ => Err(wrong().into()),
        }
    }
}

impl Deputy {
    /// Erases a person. When this returns, nothing in the audit log leads to them any more, whatever
    /// instance wrote it, and what happens from now on is written under another key. Refused while
    /// anything lives that was delegated for them.
    ///
    /// The order is put on record first, so that nothing is ever destroyed without one; what was
    /// destroyed is put on record last. Each of the two makes every instance forget the keys it
    /// knows: a key that was drawn between them may have been destroyed with the others, and who
    /// went on writing under it would write what nobody can read.
    ///
    /// Revocations that name them go when their time is over; what an administrator wrote about
    /// them, in policies or documents, stays. So do exports and backups.
    pub async fn erase(&self, operator: &Operator, order: &Erasure) -> Result<Destroyed, Refused> {
        let subject = &order.subject;
        let filter = DelegationFilter { subject: Some(subject.clone()), ..Default::default() };
        if self.has_live(&filter).await? {
            return Err(Refused::Conflict(
                "something that was delegated for this person still lives: revoke it first \
                 (`deputy revoke user`), or wait until it has ended"
                    .to_owned(),
            ));
        }
        if order.dry_run {
            let keys = self.store().keys_of(subject).await?;
            let page = Page { after: None, limit: Page::LIMIT_MAX };
            let rows = self.store().delegations(&filter, &page).await?.items.len();
            return Ok(Destroyed { keys, delegations: u64::try_from(rows).unwrap_or(u64::MAX) });
        }
        self.renew_keys(operator, "person.erasing", None).await?;
        let mut destroyed = Destroyed::default();
        loop {
            let erased = self.store().writer().erase(subject.clone()).await?;
            destroyed.keys = destroyed.keys.saturating_add(erased.keys);
            destroyed.delegations = destroyed.delegations.saturating_add(erased.delegations);
            if !erased.more {
                break;
            }
        }
        let mut attempts = 1..ATTEMPTS;
        loop {
            match self.renew_keys(operator, "person.erased", Some(destroyed)).await {
                // Somebody else changed something meanwhile; what is destroyed is still to be said.
                Err(Refused::Conflict(_)) if attempts.next().is_some() => {}
                said => return said.map(|()| destroyed),
            }
        }
    }

    /// Whether any of these delegations lives.
    async fn has_live(&self, filter: &DelegationFilter) -> Result<bool, Refused> {
        let mut page = Page { after: None, limit: Page::LIMIT_MAX };
        loop {
            let found = self.delegations(filter.clone(), true, &page).await?;
            match found.next {
                _ if !found.items.is_empty() => return Ok(true),
                None => return Ok(false),
                next => page.after = next,
            }
        }
    }

    /// Puts on record that somebody is erased, not whom; when this returns, no instance writes under
    /// a key that it knew before.
    async fn renew_keys(
        &self,
        operator: &Operator,
        reason: &'static str,
        destroyed: Option<Destroyed>,
    ) -> Result<(), Refused> {
        let snapshot = self.newest_alone().await?;
        let n = snapshot.config.erasures;
        let body = ObjectWriter::new().count("n", n.saturating_add(1)).finish();
        let mut marker = put(kind::ERASURE, LAST, body);
        marker.expected = (n > 0).then_some(n);
        let mut event = admin::event(&snapshot, operator, reason, self.now());
        if let Some(Destroyed { keys, delegations }) = destroyed {
            event.detail.push(("keys".into(), keys.to_string()));
            event.detail.push(("delegations".into(), delegations.to_string()));
        }
        self.configure(vec![marker], event).await
    }
}
