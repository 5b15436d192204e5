//! Operators and their tokens. A token is drawn here, shown once, and kept only as a hash.

use super::{
    Refused,
    changes::{create, replace},
    documents::{Kind, missing, read},
};
use crate::{
    base::{
        id::OperatorName,
        secret::{Fingerprint, Secret},
    },
    engine::{admin, snapshot::Snapshot},
    model::event::Event,
    registry::operator::{self, Operator, Role},
    service::{Deputy, keys},
};

/// A token that was just drawn: the only time that it can be read.
#[derive(Debug)]
pub struct NewToken {
    /// Whose it is.
    pub operator: Operator,
    /// The token.
    pub token: Secret<String>,
}

impl Deputy {
    /// Every operator, in order of name.
    pub fn operators(&self) -> Vec<Operator> {
        let mut all: Vec<Operator> = self.snapshot().config.operators().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Makes an operator. A name that was used is not used again: the audit log knows it.
    pub async fn create_operator(&self, by: &Operator, body: &[u8]) -> Result<NewToken, Refused> {
        let snapshot = self.newest_alone().await?;
        let (name, role) = operator::parse_new(&read(body)?.to_json())?;
        if named(&snapshot, &name).is_ok() {
            return Err(Refused::Conflict(format!(
                "the name `{name}` is taken, for good: choose another, or give that operator a new \
                 token"
            )));
        }
        let token = keys::new_admin_token(self.random())?;
        let token_hash = Fingerprint::of(token.expose().as_bytes());
        let operator = Operator { name, token_hash, role, enabled: true };
        let put = create(Kind::Operator, operator.name.as_str(), operator::write(&operator));
        let event = self.operator_event(&snapshot, by, "operator.created", &operator);
        self.configure(vec![put], event).await?;
        Ok(NewToken { operator, token })
    }

    /// Gives an operator a new token; the old one opens nothing from then on. One that was ended
    /// is let in again.
    pub async fn replace_operator_token(
        &self,
        by: &Operator,
        name: &OperatorName,
    ) -> Result<NewToken, Refused> {
        let snapshot = self.newest_alone().await?;
        let token = keys::new_admin_token(self.random())?;
        let token_hash = Fingerprint::of(token.expose().as_bytes());
        let operator = Operator { token_hash, enabled: true, ..named(&snapshot, name)? };
        self.replace_operator(&snapshot, by, "operator.token_replaced", &operator).await?;
        Ok(NewToken { operator, token })
    }

    /// Ends an operator: its token opens nothing from now on. The last administrator stays.
    pub async fn end_operator(&self, by: &Operator, name: &OperatorName) -> Result<(), Refused> {
        let snapshot = self.newest_alone().await?;
        let operator = named(&snapshot, name)?;
        let is_admin = |o: &&Operator| o.enabled && o.role == Role::Admin && o.name != *name;
        if operator.role == Role::Admin && !snapshot.config.operators().any(|o| is_admin(&o)) {
            return Err(Refused::Conflict(format!(
                "`{name}` is the last administrator: make another one first"
            )));
        }
        let ended = Operator { enabled: false, ..operator };
        self.replace_operator(&snapshot, by, "operator.ended", &ended).await
    }

    async fn replace_operator(
        &self,
        snapshot: &Snapshot,
        by: &Operator,
        what: &'static str,
        operator: &Operator,
    ) -> Result<(), Refused> {
        let name = operator.name.as_str();
        let known = self.document(Kind::Operator, name).await?;
        let put = replace(Kind::Operator, name, known.version, operator::write(operator));
        let event = self.operator_event(snapshot, by, what, operator);
        self.configure(vec![put], event).await
    }

    fn operator_event(
        &self,
        at: &Snapshot,
        by: &Operator,
        what: &'static str,
        of: &Operator,
    ) -> Event {
        let mut event = admin::event(at, by, what, self.now());
        event.detail.push(("about".into(), of.name.to_string()));
        event.detail.push(("role".into(), of.role.as_str().to_owned()));
        event
    }
}

fn named(snapshot: &Snapshot, name: &OperatorName) -> Result<Operator, Refused> {
    let found = snapshot.config.operators().find(|operator| operator.name == *name);
    found.cloned().ok_or_else(|| missing(Kind::Operator, name.as_str()))
}
