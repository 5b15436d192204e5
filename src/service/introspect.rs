//! The introspection endpoint: no database is read, and a write is waited for only where an allow
//! must be on record before it is answered.

use super::{Deputy, Failure, decide::Settled, token::Caller};
use crate::{
    engine::{
        call::{Asked, Decided},
        denial,
        snapshot::Snapshot,
    },
    oauth::{
        introspection::{self, INACTIVE, Question},
        params::ParamError,
    },
};

impl Deputy {
    /// Answers an introspection request with a JSON body.
    pub async fn introspect(
        &self,
        caller: Caller,
        question: Result<Question, ParamError>,
    ) -> Result<String, Failure> {
        let now = self.now();
        let client = self.authenticate(&caller, now).await?;
        let question = question.map_err(Failure::Malformed)?;
        let snapshot = self.snapshot();
        let token = self.0.memo.ours(&snapshot.config, question.token.expose(), now).ok();
        let asked = Asked {
            caller: &client,
            token: token.as_deref(),
            resource: question.resource.as_deref(),
            subject: None,
            call: question.call.as_ref(),
            id: self.decision_id()?,
        };
        let settled = self.decide(&snapshot, &asked, now).await?;
        Ok(match settled {
            Settled::Inactive => INACTIVE.to_owned(),
            Settled::Live(held) => {
                introspection::active(&snapshot.config.issuer, held.claims, None)
            }
            Settled::Decided(decided) => tell(&snapshot, &decided),
        })
    }
}

fn tell(snapshot: &Snapshot, decided: &Decided<'_>) -> String {
    let (claims, decision) = (decided.held().claims, decided.decision());
    if decision.allow {
        return introspection::active(&snapshot.config.issuer, claims, Some(decision));
    }
    let hint = denial::hint(&snapshot.config, decided);
    introspection::denied(claims, decision, hint.as_ref())
}
