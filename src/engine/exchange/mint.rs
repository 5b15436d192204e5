//! Lifetime, chain and claims of the new token. Nothing here can widen: life only shrinks, the
//! chain only grows, the subject never changes.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Grown, OwnRequest, Tentative,
    authority::Granted,
    binding::{self, Binding},
    policy::{self, Passed},
    presenter::Standing,
    target::Target,
};
use crate::{
    base::{
        claims::ClaimError,
        id::{ClientId, TransactionId},
        time::{Seconds, Timestamp},
    },
    engine::{
        authenticate::Authenticated,
        kept,
        refusal::{Refusal, TargetFault},
        snapshot::Snapshot,
        spend,
        verify::TokenFault,
    },
    model::{
        actor::{Actor, ActorChain, ChainError},
        authority::Authority,
        client::{AuthMethod, Edge},
        delegation::{Delegation, Source},
        event::{Event, Hop, Kind, Outcome},
        issuer::TrustedIssuer,
        resource::Resource,
        scope::Scope,
        subject::Subject,
        token::{Authentication, ForeignClaims, KeyThumbprint, OurClaims, OurKind},
    },
    oauth::{claims, token_type::TokenType},
};

/// How long a hand-over lives: time for the receiver to start, not to linger.
pub const HAND_OVER_TTL: Seconds = Seconds::new(600);
/// How long an agent's own credential lives.
pub const AGENT_TOKEN_TTL: Seconds = Seconds::new(300);
/// The largest call token: proxies refuse header lines over 8 KiB.
pub const MAX_CALL_TOKEN_BYTES: usize = 4_096;
/// The largest hand-over: it travels in bodies only.
pub const MAX_HAND_OVER_BYTES: usize = 16_384;
/// What a JWS adds to its payload: header and signature, with room for RS256.
const JWS_OVERHEAD_BYTES: usize = 560;

/// The token that an exchange yields.
pub(super) fn child(
    snapshot: &Snapshot,
    grown: &Grown<'_>,
    target: &Target<'_>,
    granted: Granted,
    now: Timestamp,
) -> Result<Tentative, Refusal> {
    let Grown { client, standing, holder, actor, .. } = grown;
    let asked = Binding { client, holder: *holder, actor: *actor };
    let bound = binding::judge(asked, standing, Some(target))?;
    let base = match standing {
        Standing::Root { claims, issuer, txn } => {
            root_claims(claims, issuer, *txn, (&client.id, snapshot.revision))?
        }
        Standing::Holder(claims) | Standing::Owner(claims) | Standing::Receiver(claims) => {
            (*claims).clone()
        }
        Standing::Own => return Err(Refusal::Target(TargetFault::NotCovered)),
    };
    let parent = base.id();
    let keeps_chain = matches!(standing, Standing::Holder(_));
    let us = Actor { issuer: Arc::clone(&snapshot.config.issuer), sub: client.id.as_str().into() };
    let chain = chain(&base, us, keeps_chain, target)?;
    let via = via(&base, &chain, grown.via, keeps_chain);
    let mut path = base.path.clone();
    path.push(grown.id);
    if path.len() > OurClaims::MAX_PATH {
        return Err(Refusal::TooDeep);
    }
    let (kind, audience, ttl) = addressed(target);
    let edge = target.crossed(&snapshot.config, client, &granted.authority);
    let ttl = over_edge(edge, &chain, ttl)?;
    let mut expires_at = now.plus(ttl).min(base.expires_at);
    if let Some(actor) = actor {
        expires_at = expires_at.min(actor.expires_at);
    }
    let claims = OurClaims {
        kind,
        path,
        audience,
        client: client.id.clone(),
        chain,
        via,
        scope: granted.scope,
        authority: granted.authority,
        issued_at: now,
        expires_at,
        revision: snapshot.revision,
        bound,
        ..base
    };
    let passed = policy::judge(snapshot, &claims, target, now)?;
    let claims = shortened(claims, &passed, now);
    if claims.expires_at <= now {
        // Within the leeway for its issuer's clock, but nothing can be made of it any more.
        return Err(Refusal::SubjectToken(TokenFault::Expired));
    }
    let source = parent.map_or(Source::Foreign, Source::Delegation);
    let tentative = tentative(snapshot, claims, source, now)?;
    Ok(watched(tentative, &passed))
}

/// A policy may leave a token less time, never more.
fn shortened(claims: OurClaims, passed: &Passed, now: Timestamp) -> OurClaims {
    let most = passed.max_ttl.map_or(claims.expires_at, |ttl| now.plus(ttl));
    OurClaims { expires_at: claims.expires_at.min(most), ..claims }
}

/// Policies that are only watched go on record.
fn watched(mut tentative: Tentative, passed: &Passed) -> Tentative {
    tentative.event.detail.extend(kept::named(kept::SHADOW_POLICY, &passed.shadow));
    tentative
}

/// A root delegation under the agent's own allowance.
pub fn own_root(
    snapshot: &Snapshot,
    own: &OwnRequest<'_>,
    target: &Target<'_>,
    granted: Granted,
    now: Timestamp,
) -> Result<Tentative, Refusal> {
    let (kind, audience, ttl) = addressed(target);
    let edge = target.crossed(&snapshot.config, own.client.client(), &granted.authority);
    let ttl = over_edge(edge, &ActorChain::default(), ttl)?;
    let claims = OurClaims {
        kind,
        audience,
        scope: granted.scope,
        authority: granted.authority,
        expires_at: now.plus(ttl),
        bound: own_key(own, Some(target))?,
        ..own_claims(snapshot, own, now)
    };
    let passed = policy::judge(snapshot, &claims, target, now)?;
    let claims = shortened(claims, &passed, now);
    let tentative = tentative(snapshot, claims, Source::Own, now)?;
    Ok(watched(tentative, &passed))
}

/// An agent's own credential: `aud` our issuer, no scope, good only as `actor_token`.
pub fn agent_token(
    snapshot: &Snapshot,
    own: &OwnRequest<'_>,
    now: Timestamp,
) -> Result<Tentative, Refusal> {
    if own.wanted.scope.is_some() || own.wanted.details.is_some() {
        return Err(Refusal::Target(TargetFault::Missing));
    }
    if matches!(own.wanted.token_type, Some(TokenType::IdToken | TokenType::Jwt)) {
        return Err(Refusal::RequestedType);
    }
    let bound = own_key(own, None)?;
    let claims = OurClaims { bound, ..own_claims(snapshot, own, now) };
    tentative(snapshot, claims, Source::Own, now)
}

fn own_key(
    own: &OwnRequest<'_>,
    target: Option<&Target<'_>>,
) -> Result<Option<KeyThumbprint>, Refusal> {
    let asked = Binding { client: own.client.client(), holder: own.holder, actor: None };
    binding::judge(asked, &Standing::Own, target)
}

/// AT-5: the subject is an id that the client did not choose.
fn own_claims(snapshot: &Snapshot, own: &OwnRequest<'_>, now: Timestamp) -> OurClaims {
    let id = &own.client.client().id;
    let issuer = &snapshot.config.issuer;
    OurClaims {
        kind: OurKind::Agent,
        path: vec![own.id],
        txn: own.txn,
        subject: Subject { issuer: Arc::clone(issuer), sub: id.as_str().into() },
        sub: id.as_str().into(),
        own: true,
        audience: Arc::clone(issuer),
        client: id.clone(),
        chain: ActorChain::default(),
        via: Vec::new(),
        scope: Scope::default(),
        authority: Authority::default(),
        issued_at: now,
        expires_at: now.plus(AGENT_TOKEN_TTL),
        root_revision: snapshot.revision,
        revision: snapshot.revision,
        authentication: Authentication::default(),
        groups: BTreeSet::new(),
        bound: None,
    }
}

/// What every token of a transaction inherits from its foreign token.
fn root_claims(
    foreign: &ForeignClaims,
    issuer: &TrustedIssuer,
    txn: TransactionId,
    (client, revision): (&ClientId, u64),
) -> Result<OurClaims, Refusal> {
    let mut groups = BTreeSet::new();
    for claim in &issuer.groups {
        let wrong = || Refusal::SubjectToken(TokenFault::Claim(ClaimError::Malformed("groups")));
        groups.extend(claim.of(&foreign.claims).ok_or_else(wrong)?);
    }
    Ok(OurClaims {
        kind: OurKind::Call,
        path: Vec::new(),
        txn,
        subject: foreign.subject.clone(),
        sub: sub_text(foreign, issuer),
        own: false,
        audience: "".into(),
        client: client.clone(),
        chain: foreign.asserted.clone(),
        via: Vec::new(),
        scope: Scope::default(),
        authority: Authority::default(),
        issued_at: foreign.issued_at,
        expires_at: foreign.expires_at,
        root_revision: revision,
        revision,
        authentication: foreign.authentication.clone(),
        groups,
        bound: None,
    })
}

/// ACT-19: `sub` is the issuer's own value when that issuer is primary, otherwise `alias|sub`.
fn sub_text(foreign: &ForeignClaims, issuer: &TrustedIssuer) -> Arc<str> {
    if issuer.primary {
        Arc::clone(&foreign.subject.sub)
    } else {
        format!("{}|{}", issuer.alias, foreign.subject.sub).into()
    }
}

/// ACT-6, ACT-7: extended by the client that authenticated, or preserved by a holder that narrows.
fn chain(
    base: &OurClaims,
    us: Actor,
    keeps: bool,
    target: &Target<'_>,
) -> Result<ActorChain, Refusal> {
    // ACT-4: an actor that is the subject is no delegation.
    if !keeps && base.subject.issuer == us.issuer && base.subject.sub == us.sub {
        return Err(Refusal::Cycle);
    }
    let issuer = Arc::clone(&us.issuer);
    let chain = if keeps {
        base.chain.clone()
    } else {
        base.chain.extended(us).map_err(|error| match error {
            ChainError::Cycle => Refusal::Cycle,
            ChainError::TooDeep | ChainError::Malformed => Refusal::TooDeep,
        })?
    };
    if let Target::Agent(receiver, ..) = target {
        let receiver = Actor { issuer, sub: receiver.id.as_str().into() };
        // The receiver could never use it: refused now, where the reason can be seen.
        if chain.hops().contains(&receiver) {
            return Err(Refusal::Cycle);
        }
    }
    Ok(chain)
}

/// What proved the actors of `chain`. A holder that narrows has proved itself anew.
fn via(base: &OurClaims, chain: &ActorChain, now: AuthMethod, keeps: bool) -> Vec<AuthMethod> {
    // An agent's token for itself has no actor.
    let current = chain.current().map(|_| now);
    let earlier = base.via.iter().copied().skip(usize::from(keeps));
    current.into_iter().chain(earlier).collect()
}

/// How long of `ttl` a token may live that passes an edge; refused where its chain is longer than may
/// pass.
fn over_edge(edge: Option<&Edge>, chain: &ActorChain, ttl: Seconds) -> Result<Seconds, Refusal> {
    let Some(edge) = edge else { return Ok(ttl) };
    let with_receiver = chain.hops().len().saturating_add(1);
    if edge.max_depth.is_some_and(|most| most < with_receiver) {
        return Err(Refusal::TooDeepForEdge);
    }
    Ok(edge.max_ttl.map_or(ttl, |most| most.min(ttl)))
}

fn addressed(target: &Target<'_>) -> (OurKind, Arc<str>, Seconds) {
    match target {
        Target::Agent(_, uri, _) => (OurKind::HandOver, uri.as_str().into(), HAND_OVER_TTL),
        Target::Resource(resource) => (OurKind::Call, resource.uri.as_str().into(), ttl(resource)),
    }
}

fn ttl(resource: &Resource) -> Seconds {
    let ttl = resource.ttl.min(Resource::MAX_TTL);
    if resource.verifies_offline { ttl.min(Resource::OFFLINE_TTL) } else { ttl }
}

fn tentative(
    snapshot: &Snapshot,
    claims: OurClaims,
    source: Source,
    now: Timestamp,
) -> Result<Tentative, Refusal> {
    let (typ, issued, max) = match claims.kind {
        OurKind::HandOver => (claims::TYP_HAND_OVER, TokenType::Jwt, MAX_HAND_OVER_BYTES),
        OurKind::Call | OurKind::Agent => {
            (claims::TYP_ACCESS_TOKEN, TokenType::AccessToken, MAX_CALL_TOKEN_BYTES)
        }
    };
    let record: Arc<str> = claims::write(&snapshot.config.issuer, &claims).into();
    // Base64 makes four characters of three bytes.
    let size = record.len().saturating_mul(4).div_ceil(3).saturating_add(JWS_OVERHEAD_BYTES);
    if size > max {
        return Err(Refusal::TooLarge);
    }
    let event = issued_event(snapshot, &claims, &source, now);
    // What only we read is signed as we like it best.
    let signing = snapshot.resource_of(&claims).map(|r| r.token_signing).unwrap_or_default();
    let effects = spend::issuing(&claims);
    let delegation = Delegation { claims, source, record };
    Ok(Tentative { delegation, event, effects, typ, issued, signing, now })
}

fn issued_event(snapshot: &Snapshot, claims: &OurClaims, source: &Source, now: Timestamp) -> Event {
    Event {
        at: now,
        kind: Kind::Exchange,
        outcome: Outcome::Granted,
        reason: claims.kind.as_str().into(),
        client: Some(claims.client.clone()),
        subject: Some(claims.subject.clone()),
        chain: claims.hops(),
        resource: snapshot.resource_of(claims).map(|r| r.id.clone()),
        tool: None,
        effect: None,
        txn: Some(claims.txn),
        delegation: claims.id(),
        parent: match source {
            Source::Foreign | Source::Own => None,
            Source::Delegation(parent) => Some(*parent),
        },
        decision: None,
        error: None,
        revision: claims.revision,
        arguments: None,
        detail: Vec::new(),
    }
}

/// The chain that a refused exchange would have grown: `client` in front of what was there.
pub fn hops_through(
    snapshot: &Snapshot,
    client: &Authenticated,
    chain: &ActorChain,
    via: &[AuthMethod],
    asserter: &str,
) -> Vec<Hop> {
    let issuer = Arc::clone(&snapshot.config.issuer);
    let us = Actor { issuer, sub: client.client().id.as_str().into() };
    match chain.extended(us) {
        Ok(grown) => {
            let via: Vec<AuthMethod> = std::iter::once(client.via()).chain(via.to_vec()).collect();
            Hop::all(&grown, &via, asserter)
        }
        // Too deep, or it stands there already: the chain as it is.
        Err(_) => Hop::all(chain, via, asserter),
    }
}
