//! The introspection endpoint: no database is read, and a write is waited for only where an allow
//! must be on record before it is answered.

use super::{Deputy, Failure, decide::Settled, keys, token::Caller};
use crate::{
    base::time::Timestamp,
    engine::{authenticate::Authenticated, call::Asked, denial},
    oauth::{
        introspection::{self, INACTIVE, Question, TYP_SIGNED},
        params::ParamError,
    },
};

impl Deputy {
    /// Answers an introspection request with a JSON body.
    pub async fn introspect(
        &self,
        caller: &Caller,
        question: &Result<Question<'_>, ParamError>,
    ) -> Result<String, Failure> {
        let now = self.now();
        let mut client = self.authenticate(caller, now).await?;
        self.answered(&mut client, question, now).await
    }

    /// Answers it with a JWT, which the asker can keep as evidence. RFC 9701.
    pub async fn introspect_signed(
        &self,
        caller: &Caller,
        question: &Result<Question<'_>, ParamError>,
    ) -> Result<String, Failure> {
        let now = self.now();
        let mut client = self.authenticate(caller, now).await?;
        let answer = self.answered(&mut client, question, now).await?;
        let config = &self.snapshot().config;
        let asker = client.client();
        let payload = introspection::signed(&config.issuer, &asker.id, &answer, now);
        let kind = (TYP_SIGNED, asker.introspection_signing);
        Ok(keys::signed(&config.keys, kind, &payload, now)?)
    }

    async fn answered(
        &self,
        client: &mut Authenticated,
        question: &Result<Question<'_>, ParamError>,
        now: Timestamp,
    ) -> Result<String, Failure> {
        let question = question.as_ref().map_err(|error| Failure::Malformed(error.clone()))?;
        if question.call.is_some() {
            self.room_for(client, now).await?;
        }
        let snapshot = self.snapshot();
        let several = || snapshot.config.owned_by(&client.client().id).take(2).count() > 1;
        if question.call.is_some() && question.resource.is_none() && several() {
            // About the asker and not about the token, so nothing is told of one.
            return Err(Failure::Malformed(ParamError::Unacceptable {
                name: "resource",
                problem: "is needed beside `tool`: this client owns several resources",
            }));
        }
        let config = &snapshot.config;
        let Ok(known) = self.0.memo.known(config, question.token.expose(), now) else {
            return Ok(INACTIVE.to_owned());
        };
        let told = || known.told(|claims| introspection::active(&config.issuer, claims));
        let asked = Asked {
            caller: client,
            token: Some(&known.token),
            resource: question.resource,
            subject: None,
            call: question.call.as_ref(),
            id: self.decision_id(now)?,
        };
        let settled = self.decide(&snapshot, &asked, now).await?;
        Ok(match settled {
            Settled::Inactive => INACTIVE.to_owned(),
            Settled::Live(_) => told().to_owned(),
            Settled::Decided(decided) => {
                let (claims, decision) = (decided.held().claims, decided.decision());
                if decision.allow {
                    introspection::allowed(told(), claims, decision)
                } else {
                    let hint = denial::hint(config, &decided);
                    introspection::denied(claims, decision, hint.as_ref())
                }
            }
        })
    }
}
