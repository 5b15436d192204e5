//! What would happen: may this call be made for this user, through these agents? The exchanges and
//! the decision are judged by the functions that judge the real ones, under every ceiling; nothing
//! is proved, signed, committed or spent, and no token comes out.

use std::sync::Arc;

use super::{
    authenticate::ClientRefusal,
    dpop::Holder,
    exchange::{self, Grown, authority, presenter},
    explain::{self, Case, Explanation, Known},
    refusal::Refusal,
    snapshot::Snapshot,
    verify::{TokenFault, foreign},
};
use crate::{
    base::{
        id::{DecisionId, DelegationId},
        json::Object,
        time::{Seconds, Timestamp},
    },
    model::{
        actor::ActorChain,
        authority::ToolName,
        client::Client,
        constraint::Arguments,
        issuer::{ForeignKind, TrustedIssuer},
        resource::Resource,
        scope::Scope,
        subject::Subject,
        token::{ForeignClaims, OurClaims},
    },
    oauth::{
        details::{self, RequestedEntry},
        token_request::Wanted,
    },
};

/// What is supposed.
#[derive(Debug)]
pub struct Hypothesis<'a> {
    /// Who vouches for the user.
    pub issuer: &'a TrustedIssuer,
    /// The user.
    pub sub: &'a str,
    /// What kind of token the first agent would present.
    pub kind: ForeignKind,
    /// What it would say besides `iss` and `sub`.
    pub claims: Object,
    /// Through whom: the first exchanges the user's token, each hands over to the next.
    pub agents: &'a [Arc<Client>],
    /// At which resource.
    pub resource: &'a Resource,
    /// Which tool.
    pub tool: &'a ToolName,
    /// With which arguments.
    pub arguments: &'a Object,
    /// What every agent asks for; `None`: exactly this call, unless scopes are asked for.
    pub details: Option<Vec<RequestedEntry>>,
    /// The scopes that the last agent asks for.
    pub scope: Option<Scope>,
    /// A fresh id for each agent's delegation; its length is that of `agents`.
    pub ids: Vec<DelegationId>,
}

/// What would happen.
#[derive(Debug)]
pub struct Simulated {
    /// Which of the issuer's grant rules the user's claims fulfil, in their order.
    pub rules: Vec<bool>,
    /// Each exchange, up to the one that is refused.
    pub exchanges: Vec<Exchanged>,
    /// The decision; `None` where there would be no token to decide about.
    pub decided: Option<Explanation>,
}

/// One exchange.
#[derive(Debug)]
pub struct Exchanged {
    /// Who would make it.
    pub client: Arc<Client>,
    /// For which target.
    pub target: String,
    /// What would come out.
    pub outcome: Result<Granted, Refusal>,
}

/// What a token would carry.
#[derive(Debug)]
pub struct Granted {
    /// Its scope at its own audience.
    pub scope: Scope,
    /// Its details.
    pub details: String,
    /// How long it would live.
    pub ttl: Seconds,
}

impl Simulated {
    /// Whether the call would be allowed.
    pub fn allows(&self) -> bool {
        let verdict = self.decided.as_ref().and_then(|decided| decided.verdict.as_ref());
        verdict.is_some_and(explain::Verdict::allows)
    }
}

/// Judges what is supposed.
pub fn simulate(snapshot: &Snapshot, supposed: &Hypothesis<'_>, now: Timestamp) -> Simulated {
    let token = user_token(supposed, now);
    let rules = &supposed.issuer.grant_rules;
    let met = |claims: &ForeignClaims| rules.iter().map(|r| authority::is_met(r, claims)).collect();
    let mut simulated = Simulated {
        rules: token.as_ref().map(met).unwrap_or_default(),
        exchanges: Vec::with_capacity(supposed.agents.len()),
        decided: None,
    };
    let mut held: Option<OurClaims> = None;
    for place in 0..supposed.agents.len() {
        let Some((client, target)) = step(supposed, place) else { return simulated };
        let source = match (&held, &token) {
            (Some(claims), _) => Ok(Source::Ours(claims)),
            (None, Ok(claims)) => Ok(Source::Foreign(claims)),
            (None, Err(fault)) => Err(Refusal::SubjectToken(fault.clone())),
        };
        let grown = source.and_then(|source| grow(snapshot, supposed, place, source, now));
        let outcome = grown.as_ref().map(|claims| granted(claims, now)).map_err(Refusal::clone);
        simulated.exchanges.push(Exchanged { client: Arc::clone(client), target, outcome });
        match grown {
            Ok(claims) => held = Some(claims),
            Err(_) => return simulated,
        }
    }
    simulated.decided = held.map(|claims| decided(snapshot, supposed, &claims, now));
    simulated
}

/// What an agent presents.
#[derive(Clone, Copy)]
enum Source<'a> {
    Foreign(&'a ForeignClaims),
    Ours(&'a OurClaims),
}

/// The agent at a place of the chain, and whom its token would be for.
fn step<'a>(supposed: &Hypothesis<'a>, place: usize) -> Option<(&'a Arc<Client>, String)> {
    let client = supposed.agents.get(place)?;
    let target = match supposed.agents.get(place.saturating_add(1)) {
        Some(next) => next.agent.as_ref()?.uri.to_string(),
        None => supposed.resource.uri.to_string(),
    };
    Some((client, target))
}

fn grow(
    snapshot: &Snapshot,
    supposed: &Hypothesis<'_>,
    place: usize,
    source: Source<'_>,
    now: Timestamp,
) -> Result<OurClaims, Refusal> {
    let (client, target) = step(supposed, place).ok_or(Refusal::GrantNotAllowed)?;
    let id = supposed.ids.get(place).copied().ok_or(Refusal::GrantNotAllowed)?;
    if !client.enabled {
        return Err(Refusal::Client(ClientRefusal::Disabled));
    }
    if client.agent.is_none() {
        return Err(Refusal::GrantNotAllowed);
    }
    let is_last = place.saturating_add(1) == supposed.agents.len();
    let wanted = Wanted {
        targets: vec![target],
        token_type: None,
        scope: supposed.scope.clone().filter(|_| is_last),
        details: wanted_details(supposed),
    };
    let standing = match source {
        Source::Foreign(claims) => presenter::foreign(snapshot, client, claims, now)?,
        Source::Ours(claims) => presenter::ours(snapshot, client, claims, now)?,
    };
    let via = client.auth_method;
    // Whoever must prove a key is supposed to: what is asked is what may be done with it.
    let holder = must_prove(client, source).then(|| Holder::supposed(now));
    let holder = holder.as_ref();
    let grown = Grown { client, via, standing, wanted: &wanted, actor: None, holder, id };
    let tentative = exchange::grow(snapshot, &grown, now)?;
    Ok(tentative.delegation().claims.clone())
}

/// Whether only a bound token would be made: the client gets no other, or the line is bound already.
fn must_prove(client: &Client, source: Source<'_>) -> bool {
    let is_bound = match source {
        Source::Foreign(claims) => claims.bound.is_some(),
        Source::Ours(claims) => claims.bound.is_some(),
    };
    client.dpop_bound || is_bound
}

/// What was said, or else exactly this call: if a ceiling refuses that, it refuses all that is more.
fn wanted_details(supposed: &Hypothesis<'_>) -> Option<Vec<RequestedEntry>> {
    if supposed.details.is_some() || supposed.scope.is_some() {
        return supposed.details.clone();
    }
    // Where no constraint can name the arguments, any must be asked for.
    let exact = explain::exactly(supposed.arguments).unwrap_or(Arguments::Any);
    let tools = [(supposed.tool.clone(), exact)].into();
    Some(vec![RequestedEntry { location: supposed.resource.uri.clone(), tools, max_calls: None }])
}

fn granted(claims: &OurClaims, now: Timestamp) -> Granted {
    Granted {
        scope: claims.scope.clone(),
        details: details::write(&claims.authority),
        ttl: now.until(claims.expires_at),
    }
}

fn decided(
    snapshot: &Snapshot,
    supposed: &Hypothesis<'_>,
    claims: &OurClaims,
    now: Timestamp,
) -> Explanation {
    let case = Case {
        id: DecisionId::at(now, [0; DecisionId::REST_BYTES]),
        claims,
        caller: Some(&supposed.resource.owner),
        subject: None,
        tool: supposed.tool.as_str(),
        arguments: Known::Whole(supposed.arguments),
        recorded: None,
        at: now,
    };
    explain::explain(snapshot, &case)
}

/// The token that the user would bring: new, and issued to the first agent.
fn user_token(supposed: &Hypothesis<'_>, now: Timestamp) -> Result<ForeignClaims, TokenFault> {
    let Hypothesis { issuer, claims, kind, .. } = supposed;
    foreign::required_claims(issuer, claims)?;
    let accepted = match kind {
        ForeignKind::AccessToken => issuer.access_tokens.is_some(),
        ForeignKind::IdToken => issuer.id_tokens,
    };
    if !accepted {
        return Err(TokenFault::KindNotAccepted);
    }
    let first = supposed.agents.first().and_then(|client| issuer.agents.get(&client.id));
    let presenter = first.and_then(|ids| ids.first()).cloned();
    Ok(ForeignClaims {
        kind: *kind,
        subject: Subject { issuer: Arc::clone(&issuer.url), sub: supposed.sub.into() },
        token_id: "simulated".to_owned(),
        audience: presenter.iter().cloned().collect(),
        presenter,
        scope: foreign::scope(claims)?,
        asserted: ActorChain::default(),
        may_act: None,
        bound: None,
        issued_at: now,
        expires_at: now.plus(LIFE),
        authentication: foreign::authentication(claims)?,
        claims: claims.clone(),
    })
}

/// How long the user's token would live: longer than anything of ours that grows from it.
const LIFE: Seconds = Seconds::new(3_600);
