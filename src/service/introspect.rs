//! The introspection endpoint: no database is read, and a write is waited for only where an allow
//! must be on record before it is answered.

use super::{Deputy, Failure, Fault, token::Caller};
use crate::{
    base::id::DecisionId,
    engine::introspect::{self, Introspection, Tentative, Verdict},
    model::effect::Conflict,
    oauth::{
        introspection::{INACTIVE, Question},
        params::ParamError,
    },
    store::Decided,
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
                let (event, effects) = (tentative.event().clone(), tentative.effects().clone());
                match self.store().writer().decide(event, effects).await? {
                    Decided::Recorded(committed) => Ok(tentative.settle(&committed)),
                    Decided::Refused(conflict) => self.used_up(*tentative, conflict),
                }
            }
        }
    }

    /// The denial of a call that could not have what it would use up.
    fn used_up(&self, tentative: Tentative<'_>, conflict: Conflict) -> Result<String, Failure> {
        match tentative.refuse(conflict) {
            Ok((answer, event)) => {
                self.store().writer().journal(event);
                Ok(answer)
            }
            Err(refusal) => Err(Failure::Refused(refusal, self.error_id()?)),
        }
    }
}
