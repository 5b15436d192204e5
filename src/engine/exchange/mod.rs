//! The exchange: from a proved subject token to a delegation that is ready to be committed.
//!
//! The path, in this order; each step's result is what the next one needs:
//! 1. the request was parsed (`oauth::token_request`) and the client authenticated;
//! 2. subject and actor tokens were verified (`verify`);
//! 3. presenter: why may *this* client present *this* token? (`presenter`);
//! 4. target: exactly one resource or agent (`target`);
//! 5. authority: under every ceiling, error beyond any of them (`authority`);
//! 6. how many calls: never more than what was presented (`max_calls`);
//! 7. the key that the token is bound to (`binding`), chain and claims (`mint`);
//! 8. what the policies say about such a token (`policy`);
//! 9. lifetime (`mint`).

pub mod authority;
pub mod binding;
pub mod max_calls;
pub mod mint;
pub mod policy;
pub mod presenter;
pub mod subject;
pub mod target;

use std::sync::Arc;

use self::presenter::Standing;
use super::{
    authenticate::Authenticated,
    dpop::Holder,
    kept,
    refusal::Refusal,
    snapshot::Snapshot,
    verify::{self, Verified},
};
use crate::{
    base::{
        id::{DelegationId, TransactionId},
        time::Timestamp,
    },
    model::{
        client::{AuthMethod, Client},
        delegation::{Delegation, Receipt},
        effect::Effects,
        event::{Event, Kind, Outcome},
        signing::SigningAlgorithm,
        token::{ForeignClaims, OurClaims},
    },
    oauth::{details, token_request::Wanted, token_type::TokenType},
};

/// A subject token that was verified.
#[derive(Clone, Debug)]
pub enum SubjectToken {
    /// Of a trusted issuer.
    Foreign(Arc<Verified<ForeignClaims>>),
    /// One of ours.
    Ours(Arc<Verified<OurClaims>>),
}

/// Everything that an exchange is judged by.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Who asks.
    pub client: &'a Authenticated,
    /// On whose behalf.
    pub subject: &'a SubjectToken,
    /// What confirms the client, if it sent it.
    pub actor: Option<&'a Verified<OurClaims>>,
    /// Who sent the request, proved by a key.
    pub holder: Option<&'a Holder>,
    /// What should come out.
    pub wanted: &'a Wanted,
    /// A fresh id.
    pub id: DelegationId,
}

/// An exchange whose proofs were looked at: who, on what ground, for what.
#[derive(Debug)]
pub(super) struct Grown<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// What proved it.
    pub via: AuthMethod,
    /// Why it may present what it presents.
    pub standing: Standing<'a>,
    /// What should come out.
    pub wanted: &'a Wanted,
    /// What confirms the client, if it sent it.
    pub actor: Option<&'a OurClaims>,
    /// Who sent the request, proved by a key.
    pub holder: Option<&'a Holder>,
    /// A fresh id.
    pub id: DelegationId,
}

/// An agent's request for itself.
#[derive(Debug)]
pub struct OwnRequest<'a> {
    /// Who asks.
    pub client: &'a Authenticated,
    /// Who sent the request, proved by a key.
    pub holder: Option<&'a Holder>,
    /// What should come out.
    pub wanted: &'a Wanted,
    /// A fresh id.
    pub id: DelegationId,
    /// A fresh id.
    pub txn: TransactionId,
}

/// A token that was judged and is not yet good for anything: it must be signed and committed.
#[derive(Debug)]
pub struct Tentative {
    delegation: Delegation,
    event: Event,
    effects: Effects,
    typ: &'static str,
    issued: TokenType,
    signing: SigningAlgorithm,
    now: Timestamp,
}

/// A token that was committed: the only thing that may be handed out.
#[derive(Debug)]
pub struct Minted {
    /// The compact JWS.
    pub token: String,
    /// What it is.
    pub issued: TokenType,
    /// Whether it can be used at a server; if not, `token_type` is `N_A`.
    pub is_access_token: bool,
    /// Whether its holder must prove a key: then `token_type` is `DPoP`.
    pub is_bound: bool,
    /// Seconds left.
    pub expires_in: i64,
    /// Its scope.
    pub scope: String,
    /// Its details, as JSON; `[]` when it names no tools.
    pub details: String,
}

/// Judges an exchange.
pub fn judge(
    snapshot: &Snapshot,
    exchange: &Exchange<'_>,
    now: Timestamp,
) -> Result<Tentative, Refusal> {
    if exchange.client.client().agent.is_none() {
        return Err(Refusal::GrantNotAllowed);
    }
    if let Some(actor) = exchange.actor {
        verify::actor::judge(snapshot, exchange.client, actor, now).map_err(Refusal::ActorToken)?;
    }
    let grown = Grown {
        client: exchange.client.client(),
        via: exchange.client.via(),
        standing: presenter::judge(snapshot, exchange, now)?,
        wanted: exchange.wanted,
        actor: exchange.actor.map(Verified::get),
        holder: exchange.holder,
        id: exchange.id,
    };
    grow(snapshot, &grown, now)
}

/// The rest of the path, once it is known on what ground who presents what. Proves nothing: what
/// comes out is good for nothing until it was signed and committed.
pub(super) fn grow(
    snapshot: &Snapshot,
    grown: &Grown<'_>,
    now: Timestamp,
) -> Result<Tentative, Refusal> {
    let Grown { client, standing, wanted, .. } = grown;
    let target = target::judge(snapshot, wanted, client, standing)?;
    presenter::not_barred_at(snapshot, standing, &target)?;
    let granted = authority::judge(snapshot, client, standing, &target, wanted)?;
    presenter::not_barred_within(snapshot, standing, &granted.authority)?;
    let granted = max_calls::judge(granted, standing, wanted, grown.id)?;
    mint::child(snapshot, grown, &target, granted, now)
}

/// Judges `client_credentials`: `sub` is the client itself, and nobody acts for it.
pub fn judge_own(
    snapshot: &Snapshot,
    own: &OwnRequest<'_>,
    now: Timestamp,
) -> Result<Tentative, Refusal> {
    if own.client.client().agent.is_none() {
        return Err(Refusal::GrantNotAllowed);
    }
    if own.wanted.targets.is_empty() {
        return mint::agent_token(snapshot, own, now);
    }
    let standing = Standing::Own;
    let target = target::judge(snapshot, own.wanted, own.client.client(), &standing)?;
    let granted = authority::judge(snapshot, own.client.client(), &standing, &target, own.wanted)?;
    let granted = max_calls::judge(granted, &standing, own.wanted, own.id)?;
    mint::own_root(snapshot, own, &target, granted, now)
}

/// The event of an exchange that was refused: for whom and through whom, as far as it was proved.
pub fn refused(
    snapshot: &Snapshot,
    client: &Authenticated,
    refusal: &Refusal,
    subject: Option<&SubjectToken>,
    now: Timestamp,
) -> Event {
    let event = Event {
        outcome: Outcome::Refused,
        client: Some(client.client().id.clone()),
        detail: kept::named(kept::POLICY, refusal.policies()).into_iter().collect(),
        ..Event::new(Kind::Exchange, refusal.reason(), now, snapshot.revision)
    };
    match subject {
        None => event,
        Some(SubjectToken::Foreign(token)) => Event {
            subject: Some(token.get().subject.clone()),
            chain: {
                let claims = token.get();
                mint::hops_through(snapshot, client, &claims.asserted, &[], &claims.subject.issuer)
            },
            txn: Some(presenter::transaction(&snapshot.config, client.client(), token.get())),
            ..event
        },
        Some(SubjectToken::Ours(token)) => {
            let claims = token.get();
            Event {
                subject: Some(claims.subject.clone()),
                chain: {
                    let asserter = &claims.subject.issuer;
                    mint::hops_through(snapshot, client, &claims.chain, &claims.via, asserter)
                },
                txn: Some(claims.txn),
                parent: claims.id(),
                ..event
            }
        }
    }
}

impl Tentative {
    /// The delegation to commit.
    pub const fn delegation(&self) -> &Delegation {
        &self.delegation
    }

    /// The event to commit with it.
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// What to use up with it, all or none: there is no token without it.
    pub const fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The `typ` to sign under.
    pub const fn typ(&self) -> &'static str {
        self.typ
    }

    /// What to sign with.
    pub const fn signing(&self) -> SigningAlgorithm {
        self.signing
    }

    /// The payload to sign.
    pub fn payload(&self) -> &str {
        &self.delegation.record
    }

    /// Hands the token out, now that the store says it was committed. `None` if the receipt is for
    /// another delegation.
    pub fn settle(self, signed: String, receipt: &Receipt) -> Option<Minted> {
        let claims = &self.delegation.claims;
        (Some(receipt.delegation()) == claims.id()).then(|| Minted {
            token: signed,
            issued: self.issued,
            is_access_token: self.issued == TokenType::AccessToken,
            is_bound: claims.bound.is_some(),
            expires_in: self.now.until(claims.expires_at).get(),
            scope: claims.scope.to_string(),
            details: details::write(&claims.authority),
        })
    }
}
