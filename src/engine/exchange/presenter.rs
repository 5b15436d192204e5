//! Why may this client present this token? No standing, no exchange.
//!
//! A stolen token is worth nothing to another client: a foreign token must have been issued to a
//! client that is registered for this agent, a call token is its current actor's (or the owner's of
//! its audience), a hand-over is its receiver's. An edge lets nobody present anything.

use super::{Exchange, SubjectToken, authority::covers, target::Target};
use crate::{
    base::{id::TransactionId, time::Timestamp},
    engine::{
        refusal::Refusal,
        snapshot::{Config, Snapshot},
        verify::TokenFault,
    },
    model::{
        actor::Actor,
        authority::{Authority, Tools},
        client::Client,
        issuer::{ForeignKind, TrustedIssuer},
        resource::Tool,
        revocation::CutOff,
        token::{ForeignClaims, OurClaims, OurKind},
    },
};

/// The ground on which a client presents a token.
#[derive(Clone, Copy, Debug)]
pub enum Standing<'a> {
    /// A foreign token, issued to this agent: a new root.
    Root {
        /// What it says.
        claims: &'a ForeignClaims,
        /// Who issued it.
        issuer: &'a TrustedIssuer,
        /// Its transaction, for this agent.
        txn: TransactionId,
    },
    /// A call token of the client's own, to be narrowed: the chain is kept.
    Holder(&'a OurClaims),
    /// A call token that was sent to this server: good only for its onward entries.
    Owner(&'a OurClaims),
    /// A hand-over to this agent.
    Receiver(&'a OurClaims),
    /// The agent itself, by `client_credentials`.
    Own,
}

/// Finds the client's standing, or refuses.
pub fn judge<'a>(
    snapshot: &'a Snapshot,
    exchange: &Exchange<'a>,
    now: Timestamp,
) -> Result<Standing<'a>, Refusal> {
    let client = exchange.client.client();
    match exchange.subject {
        SubjectToken::Foreign(verified) => foreign(snapshot, client, verified.get(), now),
        SubjectToken::Ours(verified) => ours(snapshot, client, verified.get(), now),
    }
}

/// The standing of a client that presents a foreign token which says this.
pub fn foreign<'a>(
    snapshot: &'a Snapshot,
    client: &Client,
    claims: &'a ForeignClaims,
    now: Timestamp,
) -> Result<Standing<'a>, Refusal> {
    let config = &snapshot.config;
    // Verified perhaps at an earlier snapshot: what counts is what is registered now.
    let issuer = config.issuer(&claims.subject.issuer).filter(|i| i.enabled);
    let issuer = issuer.ok_or(Refusal::SubjectToken(TokenFault::Issuer))?;
    if now >= claims.expires_at.plus(crate::engine::verify::foreign::LEEWAY) {
        return Err(Refusal::SubjectToken(TokenFault::Expired));
    }
    if claims.issued_at.plus(issuer.max_age) <= now {
        return Err(Refusal::SubjectToken(TokenFault::TooOld));
    }
    if issuer.primary && is_taken(config, &claims.subject.sub) {
        return Err(Refusal::SubjectToken(TokenFault::Subject));
    }
    if claims.asserted.hops().iter().any(|hop| hop.issuer == config.issuer) {
        // Others may assert their own actors, never ours.
        return Err(Refusal::SubjectToken(TokenFault::ForeignActor));
    }
    if !was_issued_to(issuer, client, claims) {
        return Err(Refusal::Presenter("issued_to_another_client"));
    }
    may_act(config, issuer, client, claims)?;
    let txn = transaction(config, client, claims);
    if snapshot.revocations.bars_root(txn) {
        return Err(Refusal::Barred("source_barred"));
    }
    let authenticated_at = claims.authentication.auth_time.unwrap_or(claims.issued_at);
    refuse_older(authenticated_at, snapshot.revocations.subject_cut(&claims.subject))?;
    refuse_older(claims.issued_at, snapshot.revocations.agent_cut(&client.id))?;
    Ok(Standing::Root { claims, issuer, txn })
}

/// Whether a `sub` that is written as it stands reads like a subject of another issuer.
fn is_taken(config: &Config, sub: &str) -> bool {
    sub.split_once('|')
        .is_some_and(|(alias, _)| config.issuers().any(|issuer| issuer.alias.as_str() == alias))
}

/// A cut-off refuses foreign tokens that are not newer than it.
fn refuse_older(at: Timestamp, cut: Option<CutOff>) -> Result<(), Refusal> {
    match cut {
        Some(cut) if at <= cut.at => Err(Refusal::Barred("source_older_than_cut_off")),
        Some(_) | None => Ok(()),
    }
}

/// An access token: its client is registered for this agent at the issuer, unless any agent may.
/// An ID token: it was issued *to* this agent (OpenID Connect Core section 3.1.3.7).
fn was_issued_to(issuer: &TrustedIssuer, client: &Client, claims: &ForeignClaims) -> bool {
    let registered = issuer.agents.get(&client.id);
    let is_ours = |id: &str| registered.is_some_and(|ids| ids.contains(id));
    match claims.kind {
        ForeignKind::AccessToken => {
            issuer.any_agent || claims.presenter.as_deref().is_some_and(is_ours)
        }
        ForeignKind::IdToken => match claims.audience.as_slice() {
            [only] => is_ours(only) && claims.presenter.as_deref().is_none_or(is_ours),
            many => {
                many.iter().any(|a| is_ours(a)) && claims.presenter.as_deref().is_some_and(is_ours)
            }
        },
    }
}

/// ACT-20: `may_act` names the one who may; exact match of the pair, and never copied.
fn may_act(
    config: &Config,
    issuer: &TrustedIssuer,
    client: &Client,
    claims: &ForeignClaims,
) -> Result<(), Refusal> {
    let Some((named_issuer, sub)) = &claims.may_act else { return Ok(()) };
    let named_issuer = named_issuer.as_deref().unwrap_or(&issuer.url);
    let id = &client.id;
    let here = named_issuer == &*config.issuer && *sub == *id.as_str();
    let there =
        named_issuer == &*issuer.url && issuer.agents.get(id).is_some_and(|ids| ids.contains(sub));
    if here || there { Ok(()) } else { Err(Refusal::Presenter("may_act_names_another")) }
}

/// Every exchange of one foreign token by one agent is one transaction: the moment the token was
/// issued and a keyed hash, so that the name says nothing else about the token.
pub fn transaction(config: &Config, client: &Client, claims: &ForeignClaims) -> TransactionId {
    let rest = config.macs.transaction.short_tag(&[
        claims.subject.issuer.as_bytes(),
        claims.token_id.as_bytes(),
        client.id.as_str().as_bytes(),
    ]);
    TransactionId::at(claims.issued_at, rest)
}

/// The standing of a client that presents a token of ours which says this.
pub fn ours<'a>(
    snapshot: &'a Snapshot,
    client: &Client,
    claims: &'a OurClaims,
    now: Timestamp,
) -> Result<Standing<'a>, Refusal> {
    snapshot.is_live(claims, now).map_err(Refusal::SubjectDead)?;
    let id = &client.id;
    let standing = match claims.kind {
        OurKind::Agent => Err(Refusal::SubjectToken(TokenFault::Kind)),
        OurKind::HandOver => receiver(client, claims),
        OurKind::Call => holder_or_owner(snapshot, client, claims),
    }?;
    let barred = claims.id().is_none_or(|parent| snapshot.revocations.bars_child(parent, id));
    let cut = snapshot.revocations.agent_cut(id).is_some_and(|c| claims.revision < c.revision);
    if barred || cut { Err(Refusal::Barred("source_barred")) } else { Ok(standing) }
}

/// A hand-over is for the agent in its `aud` and nobody else, edge or no edge.
fn receiver<'a>(client: &Client, claims: &'a OurClaims) -> Result<Standing<'a>, Refusal> {
    let uri = client.agent.as_ref().map(|agent| agent.uri.as_str());
    if uri == Some(&claims.audience) {
        Ok(Standing::Receiver(claims))
    } else {
        Err(Refusal::Presenter("hand_over_to_another"))
    }
}

fn holder_or_owner<'a>(
    snapshot: &Snapshot,
    client: &Client,
    claims: &'a OurClaims,
) -> Result<Standing<'a>, Refusal> {
    let id = &client.id;
    let us = || Actor { issuer: snapshot.config.issuer.clone(), sub: id.as_str().into() };
    let holds = match claims.chain.current() {
        Some(current) => *current == us(),
        // An agent's token for itself: nobody acts, so its subject is its holder.
        None => claims.own && claims.client == *id,
    };
    if holds {
        return Ok(Standing::Holder(claims));
    }
    if snapshot.resource_of(claims).is_some_and(|r| r.owner == *id) {
        return Ok(Standing::Owner(claims));
    }
    Err(Refusal::Presenter("token_of_another"))
}

/// A resource's cut-off also bars older sources from being exchanged for that resource again.
pub fn not_barred_at(
    snapshot: &Snapshot,
    standing: &Standing<'_>,
    target: &Target<'_>,
) -> Result<(), Refusal> {
    let Target::Resource(resource) = target else { return Ok(()) };
    let Some(cut) = snapshot.revocations.resource_cut(&resource.id) else { return Ok(()) };
    let older = match standing {
        Standing::Root { claims, .. } => claims.issued_at <= cut.at,
        Standing::Holder(claims) | Standing::Owner(claims) | Standing::Receiver(claims) => {
            // By the root, or a hand-over made after the cut would carry it around.
            claims.root_revision < cut.revision
        }
        Standing::Own => false,
    };
    if older { Err(Refusal::Barred("source_older_than_cut_off")) } else { Ok(()) }
}

/// A user token that is not newer than the cut-off of a resource or tool yields nothing there: not
/// for the audience, not onward, and not in a hand-over, whose receiver could not tell its age.
pub fn not_barred_within(
    snapshot: &Snapshot,
    standing: &Standing<'_>,
    granted: &Authority,
) -> Result<(), Refusal> {
    let Standing::Root { claims, .. } = standing else { return Ok(()) };
    for (location, entry) in granted.iter() {
        let Some(resource) = snapshot.config.resource_at(location) else { continue };
        refuse_older(claims.issued_at, snapshot.revocations.resource_cut(&resource.id))?;
        let reaches = |tool: &Tool| match &entry.tools {
            Tools::Named(tools) => tools.contains_key(&tool.name),
            Tools::Undetailed => covers(&entry.scope, tool),
        };
        for tool in resource.tools.values().filter(|tool| reaches(tool)) {
            let cut = snapshot.revocations.tool_cut(&resource.id, &tool.name);
            refuse_older(claims.issued_at, cut)?;
        }
    }
    Ok(())
}
