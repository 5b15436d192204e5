//! AuthZEN: a gateway asks about calls, one or several at once. The same road as introspection:
//! every question is judged by `engine/call` and settled by `service/decide`.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};

use super::{Deputy, Failure, decide::Settled, token::Caller};
use crate::{
    base::time::Timestamp,
    engine::{access, authenticate::Authenticated, call::Asked, denial, snapshot::Snapshot},
    oauth::authzen::{self, AuthzenError, Batch, Evaluation, Request, Semantic},
    policy::{Named, Question},
};

/// The questions of one batch that are answered at once.
const AT_ONCE: usize = 16;

/// A question that is being answered: at which snapshot, for whom, when.
#[derive(Clone, Copy)]
struct Desk<'a> {
    deputy: &'a Deputy,
    snapshot: &'a Snapshot,
    client: &'a Authenticated,
    now: Timestamp,
    /// Whether this request was refused for want of a token: that is on record once, however many
    /// questions it has.
    refused: &'a AtomicBool,
}

/// One answer, and whether it permits.
struct Told {
    decision: bool,
    text: String,
}

impl Deputy {
    /// Answers an AuthZEN request with a JSON body.
    pub async fn evaluate(
        &self,
        caller: &Caller,
        request: &Result<Request, AuthzenError>,
    ) -> Result<String, Failure> {
        let now = self.now();
        let mut client = self.authenticate(caller, now).await?;
        self.room_for(&mut client, now).await?;
        let snapshot = self.snapshot();
        let refused = AtomicBool::new(false);
        let desk =
            Desk { deputy: self, snapshot: &snapshot, client: &client, now, refused: &refused };
        Ok(match request.as_ref().map_err(|error| Failure::Unreadable(error.clone()))? {
            Request::One(asked) => desk.answer(asked).await?.text,
            Request::Batch(batch) => desk.batch(batch).await?,
        })
    }
}

impl Desk<'_> {
    async fn batch(self, batch: &Batch) -> Result<String, Failure> {
        let told = match batch.semantic {
            // Several at once, so that what must be committed first shares commits; never so many
            // that others' changes find no room.
            Semantic::ExecuteAll => {
                let mut told = Vec::with_capacity(batch.items.len());
                for some in batch.items.chunks(AT_ONCE) {
                    let answers = at_once(some.iter().map(|item| self.item(item))).await;
                    told.extend(answers.into_iter().collect::<Result<Vec<_>, _>>()?);
                }
                told
            }
            // One by one: what comes after the last answer must not have been decided.
            Semantic::DenyOnFirstDeny | Semantic::PermitOnFirstPermit => self.until(batch).await?,
        };
        let texts: Vec<String> = told.into_iter().map(|told| told.text).collect();
        Ok(authzen::batch(&texts))
    }

    async fn until(self, batch: &Batch) -> Result<Vec<Told>, Failure> {
        let mut answers = Vec::with_capacity(batch.items.len());
        for item in &batch.items {
            let told = self.item(item).await?;
            let is_last = batch.semantic.ends_with(told.decision);
            answers.push(told);
            if is_last {
                break;
            }
        }
        Ok(answers)
    }

    /// Judges a question without a token, and journals it.
    fn without_token(self, evaluation: &Evaluation) -> Result<Told, Failure> {
        let Evaluation { subject, resource, call, action, context, .. } = evaluation;
        let question = Question {
            subject: named(subject),
            action: &call.tool,
            properties: action,
            resource: named(resource),
            context,
        };
        let about = (self.deputy.decision_id(self.now)?, self.now);
        let (judged, event) = access::judge(self.snapshot, self.client, &question, about);
        let may_ask = self.client.client().asks_without_token;
        let recorded = may_ask || !self.refused.swap(true, Ordering::Relaxed);
        if recorded {
            self.deputy.store().writer().journal(event);
        }
        let id = recorded.then_some(judged.id);
        let text = authzen::without_token(judged.allow, judged.reason, id);
        Ok(Told { decision: judged.allow, text })
    }

    async fn item(self, item: &Result<Evaluation, AuthzenError>) -> Result<Told, Failure> {
        match item {
            Ok(asked) => self.answer(asked).await,
            Err(error) => Ok(Told { decision: false, text: authzen::malformed(error) }),
        }
    }

    async fn answer(self, evaluation: &Evaluation) -> Result<Told, Failure> {
        let Some(token) = &evaluation.token else { return self.without_token(evaluation) };
        let config = &self.snapshot.config;
        let token = self.deputy.0.memo.ours(config, token.expose(), self.now).ok();
        let asked = Asked {
            caller: self.client,
            token: token.as_deref(),
            resource: Some(&evaluation.resource.id),
            subject: Some(&evaluation.subject.id),
            call: Some(&evaluation.call),
            id: self.deputy.decision_id(self.now)?,
        };
        Ok(match self.deputy.decide(self.snapshot, &asked, self.now).await? {
            Settled::Decided(decided) => {
                let (claims, decision) = (decided.held().claims, decided.decision());
                let hint = denial::hint(config, &decided);
                let text = authzen::decided(claims, decision, hint.as_ref());
                Told { decision: decision.allow, text }
            }
            // A call was named, so nothing is ever merely live here.
            Settled::Inactive | Settled::Live(_) => {
                let challenge = denial::invalid(config, self.client, &evaluation.resource.id);
                Told { decision: false, text: authzen::inactive(&challenge) }
            }
        })
    }
}

fn named(entity: &authzen::Entity) -> Named<'_> {
    Named { kind: &entity.kind, id: &entity.id, properties: &entity.properties }
}

/// Begins every future in its turn, waits for all, and gives what they gave in the same order.
async fn at_once<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut ready = true;
        for (future, answer) in waiting.iter_mut().filter(|(_, answer)| answer.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(given) => *answer = Some(given),
                Poll::Pending => ready = false,
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, answer)| answer).collect()
}
