//! Whether a call would be allowed, asked by an operator without a token. Nothing is issued, spent
//! or changed; that it was asked is on record, because it is asked about a person.

use std::sync::Arc;

use super::{Refused, problem};
use crate::{
    base::id::{ClientId, DelegationId},
    engine::{
        admin,
        simulate::{self, Hypothesis, Simulated},
        snapshot::Config,
    },
    model::{
        client::Client,
        event::{Event, Kind, Outcome},
        resource::Resource,
        subject::Subject,
    },
    oauth::details::{self, RequestedEntry},
    policy::Policies,
    registry::{
        operator::Operator,
        question::{self, Question},
    },
    service::{Deputy, Fault},
};

/// What would happen, and at which revision.
#[derive(Debug)]
pub struct Simulation {
    /// What would happen.
    pub simulated: Simulated,
    /// The policies it was judged by.
    pub policies: Arc<Policies>,
    /// The revision it was judged at.
    pub revision: u64,
}

impl Deputy {
    /// Judges a call that nobody makes.
    pub async fn simulate(&self, operator: &Operator, body: &[u8]) -> Result<Simulation, Refused> {
        let snapshot = self.newest().await?;
        let question = question::parse(&super::documents::read(body)?.to_json())?;
        let config = &snapshot.config;
        let agents = agents(config, &question)?;
        let resource = resource(config, &question)?;
        let issuer = config.issuers().find(|issuer| issuer.alias == question.issuer);
        let unknown = || problem("/subject/issuer", "is the alias of no trusted issuer");
        let issuer = issuer.filter(|issuer| issuer.enabled).ok_or_else(unknown)?;
        let ids = agents.iter().map(|_| Ok(DelegationId::at(self.now(), self.random().bytes()?)));
        let supposed = Hypothesis {
            issuer,
            sub: &question.sub,
            kind: question.kind,
            claims: question.claims.clone(),
            agents: &agents,
            resource: &resource,
            tool: &question.tool,
            arguments: &question.arguments,
            details: wanted(&question)?,
            scope: question.scope.clone(),
            ids: ids.collect::<Result<_, Fault>>()?,
        };
        let now = self.now();
        let simulated = simulate::simulate(&snapshot, &supposed, now);
        let subject =
            Subject { issuer: Arc::clone(&issuer.url), sub: question.sub.as_str().into() };
        let event = admin::event(&snapshot, operator, "call.simulated", now);
        let outcome = if simulated.allows() { Outcome::Granted } else { Outcome::Refused };
        let event = Event { outcome, ..event };
        self.store().writer().journal(asked(event, &question, subject));
        let policies = Arc::clone(&snapshot.policies);
        Ok(Simulation { simulated, policies, revision: snapshot.revision })
    }
}

fn agents(config: &Config, question: &Question) -> Result<Vec<Arc<Client>>, Refused> {
    let named = question.agents.iter().enumerate().map(|(n, id)| {
        let known = config.client(id).filter(|client| client.agent.is_some());
        known
            .cloned()
            .ok_or_else(|| problem(&format!("/agents/{n}"), format!("`{id}` is no agent")))
    });
    let agents: Result<Vec<_>, Vec<_>> = named.collect();
    Ok(agents?)
}

fn resource(config: &Config, question: &Question) -> Result<Arc<Resource>, Refused> {
    let known = config.resource(&question.resource).cloned();
    let message = || format!("`{}` is no resource: write its id, not its URI", question.resource);
    Ok(known.ok_or_else(|| problem("/resource", message()))?)
}

fn wanted(question: &Question) -> Result<Option<Vec<RequestedEntry>>, Refused> {
    let read = question.details.as_ref().map(details::read).transpose();
    let at = |place: &str| format!("/authorization_details{place}");
    Ok(read.map_err(|fault| problem(&at(&fault.pointer), fault.message))?)
}

/// The event that it was asked, and about whom.
fn asked(event: Event, question: &Question, subject: Subject) -> Event {
    let agents: Vec<&str> = question.agents.iter().map(ClientId::as_str).collect();
    let mut event = Event {
        kind: Kind::Inquiry,
        subject: Some(subject),
        resource: Some(question.resource.clone()),
        tool: Some(question.tool.as_str().into()),
        ..event
    };
    event.detail.push(("agents".into(), agents.join(" ")));
    event
}
