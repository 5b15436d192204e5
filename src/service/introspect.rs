//! The introspection endpoint: no database is read, and a write is waited for only where an allow
//! must be on record before it is answered.

use super::{Deputy, Failure, Fault, token::Caller};
use crate::{
    base::id::DecisionId,
    engine::introspect::{self, Introspection, Verdict},
    oauth::{
        introspection::{INACTIVE, Question},
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
        let asked = Introspection {
            caller: &client,
            token: token.as_deref(),
            question: &question,
            id: DecisionId::from_bytes(self.random().bytes().map_err(Fault::from)?),
        };
        match introspect::judge(&snapshot, &asked, now) {
            Verdict::Inactive => Ok(INACTIVE.to_owned()),
            Verdict::Active(answer) => Ok(answer),
            Verdict::Decided(answer, event) => {
                self.store().writer().journal(*event);
                Ok(answer)
            }
            Verdict::Tentative(tentative) => {
                let event = tentative.event().clone();
                let committed = self.store().writer().decide(event).await?;
                Ok(tentative.settle(committed))
            }
        }
    }
}
