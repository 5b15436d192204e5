//! The introspection endpoint: no database is read, and a write is waited for only where an allow
//! must be on record before it is answered.

use super::{Deputy, Failure, Fault, keys, token::Caller};
use crate::{
    base::{id::DecisionId, time::Timestamp},
    engine::{
        authenticate::Authenticated,
        introspect::{self, Introspection, Verdict},
    },
    oauth::{
        introspection::{self, INACTIVE, Question, TYP_SIGNED},
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
        self.answered(&client, question, now).await
    }

    /// Answers it with a JWT, which the asker can keep as evidence. RFC 9701.
    pub async fn introspect_signed(
        &self,
        caller: Caller,
        question: Result<Question, ParamError>,
    ) -> Result<String, Failure> {
        let now = self.now();
        let client = self.authenticate(&caller, now).await?;
        let answer = self.answered(&client, question, now).await?;
        let config = &self.snapshot().config;
        let asker = client.client();
        let payload = introspection::signed(&config.issuer, &asker.id, &answer, now);
        let kind = (TYP_SIGNED, asker.introspection_signing);
        Ok(keys::signed(&config.keys, kind, &payload, now)?)
    }

    async fn answered(
        &self,
        client: &Authenticated,
        question: Result<Question, ParamError>,
        now: Timestamp,
    ) -> Result<String, Failure> {
        let question = question.map_err(Failure::Malformed)?;
        let snapshot = self.snapshot();
        let token = self.0.memo.ours(&snapshot.config, question.token.expose(), now).ok();
        let asked = Introspection {
            caller: client,
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
