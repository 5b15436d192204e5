//! The token endpoint: judge → sign → one commit → answer.

use std::{net::IpAddr, sync::Arc};

use super::{Deputy, Failure, Fault, authenticate::Proved, keys, memo::Basis};
use crate::{
    base::{
        id::{DelegationId, TransactionId},
        secret::Fingerprint,
        time::Timestamp,
    },
    engine::{
        authenticate::{Authenticated, ClientRefusal, PresentedClient},
        dpop::{self, Holder, ProofFault, Shown},
        exchange::{self, Exchange, Minted, OwnRequest, SubjectToken, Tentative},
        refusal::Refusal,
        snapshot::Snapshot,
        verify::{self, TokenFault, Verified, foreign::Claimed},
    },
    model::{
        event::Event,
        issuer::ForeignKind,
        token::{ForeignClaims, OurClaims, OurKind},
    },
    oauth::{
        token_request::{ExchangeRequest, PresentedToken, RequestError, TokenRequest, Wanted},
        token_type::TokenType,
    },
    store::Delegated,
};

/// How often an exchange is judged again because the configuration moved under it.
const ATTEMPTS: usize = 4;

/// Credentials as HTTP found them, and where the request came from.
#[derive(Debug)]
pub struct Caller {
    /// What was presented, or why it is not acceptable.
    pub presented: Result<PresentedClient, ClientRefusal>,
    /// The source address, for throttling.
    pub source: IpAddr,
}

/// What an exchange found out before it was judged.
struct Evidence {
    subject: SubjectToken,
    actor: Option<Arc<Verified<OurClaims>>>,
}

impl Deputy {
    /// The nonce that the next DPoP proof must be made with.
    pub fn nonce(&self) -> String {
        dpop::nonce(&self.snapshot().config.macs.nonce, self.now())
    }

    /// Answers a token request; `proof` is its DPoP proof.
    pub async fn token(
        &self,
        caller: Caller,
        proof: Option<&str>,
        request: Result<TokenRequest, RequestError>,
    ) -> Result<Minted, Failure> {
        let now = self.now();
        let mut proved = self.prove(&caller, now).await?;
        self.room_for(proved.client_mut(), now).await?;
        let holder = match self.holder(proof, now) {
            Ok(holder) => holder,
            Err(fault) => {
                let stopped = Stopped::Refused(Refusal::Proof(fault));
                return Err(self.stopped(&proved, stopped, now).await);
            }
        };
        if let Some(holder) = &holder {
            proved = proved.and(holder.once().clone());
        }
        let holder = holder.as_ref();
        let result = match request {
            Err(error) => Err(Stopped::Refused(Refusal::Request(error))),
            Ok(TokenRequest::Exchange(request)) => {
                self.exchange((&proved, holder), &request, now).await
            }
            Ok(TokenRequest::ClientCredentials(wanted)) => {
                self.own((&proved, holder), &wanted, now).await
            }
        };
        match result {
            Ok(minted) => Ok(minted),
            Err(stopped) => Err(self.stopped(&proved, stopped, now).await),
        }
    }

    /// Who sent the request, by the key that its proof was made with. DP-5: always with our nonce,
    /// so that none can be left out.
    fn holder(&self, proof: Option<&str>, now: Timestamp) -> Result<Option<Holder>, ProofFault> {
        let Some(proof) = proof else { return Ok(None) };
        let config = &self.snapshot().config;
        // The URL that we publish: never what `Host` says.
        let uri = format!("{}/token", config.issuer);
        let shown = Shown { method: "POST", uri: &uri, token: None };
        dpop::verify(proof, shown, now)?.made_with(&config.macs.nonce, now).map(Some)
    }

    /// A refusal uses up what proved the client, as a token does. What was used before proves
    /// nobody, and then that is the refusal.
    async fn stopped(&self, proved: &Proved, stopped: Stopped, now: Timestamp) -> Failure {
        let (refusal, subject) = match stopped {
            Stopped::Fault(fault) => return Failure::Fault(fault),
            Stopped::Refused(refusal) => (refusal, None),
            Stopped::Judged(refusal, subject) => (refusal, Some(subject)),
        };
        match self.use_up(proved, now).await {
            Ok(()) => self.refused(proved.client(), refusal, subject.as_ref(), now),
            Err(failure) => failure,
        }
    }

    /// Records a refusal of an authenticated client; with the subject, once that was proved.
    pub(super) fn refused(
        &self,
        client: &Authenticated,
        refusal: Refusal,
        subject: Option<&SubjectToken>,
        now: Timestamp,
    ) -> Failure {
        match self.error_id() {
            Ok(id) => {
                let event = Event {
                    error: Some(id),
                    ..exchange::refused(&self.snapshot(), client, &refusal, subject, now)
                };
                self.store().writer().journal(event);
                Failure::Refused(refusal, id)
            }
            Err(fault) => Failure::Fault(fault),
        }
    }

    async fn exchange(
        &self,
        (proved, holder): (&Proved, Option<&Holder>),
        request: &ExchangeRequest,
        now: Timestamp,
    ) -> Result<Minted, Stopped> {
        if proved.client().client().agent.is_none() {
            return Err(Stopped::Refused(Refusal::GrantNotAllowed));
        }
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot();
            // What was true of the client when it authenticated may have changed since.
            let proved = &proved.again(&snapshot, now).map_err(Refusal::Client)?;
            let evidence = self.evidence(&snapshot, request, now).await?;
            let id = DelegationId::at(now, self.random().bytes().map_err(Fault::from)?);
            let exchange = Exchange {
                client: proved.client(),
                subject: &evidence.subject,
                actor: evidence.actor.as_deref(),
                holder,
                wanted: &request.wanted,
                id,
            };
            let tentative = match exchange::judge(&snapshot, &exchange, now) {
                Ok(tentative) => tentative,
                Err(refusal) => return Err(Stopped::Judged(refusal, evidence.subject)),
            };
            if let Some(minted) = self.commit(&snapshot, tentative, proved, now).await? {
                return Ok(minted);
            }
        }
        Err(Stopped::Fault(Fault::Busy))
    }

    async fn own(
        &self,
        (proved, holder): (&Proved, Option<&Holder>),
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Minted, Stopped> {
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot();
            let proved = &proved.again(&snapshot, now).map_err(Refusal::Client)?;
            let client = proved.client();
            let id = DelegationId::at(now, self.random().bytes().map_err(Fault::from)?);
            let txn = TransactionId::at(now, self.random().bytes().map_err(Fault::from)?);
            let own = OwnRequest { client, holder, wanted, id, txn };
            let tentative = exchange::judge_own(&snapshot, &own, now)?;
            if let Some(minted) = self.commit(&snapshot, tentative, proved, now).await? {
                return Ok(minted);
            }
        }
        Err(Stopped::Fault(Fault::Busy))
    }

    /// Signs and commits. `None`: the configuration moved since it was judged, and this instance
    /// has caught up; judge again.
    async fn commit(
        &self,
        snapshot: &Snapshot,
        tentative: Tentative,
        proved: &Proved,
        now: Timestamp,
    ) -> Result<Option<Minted>, Stopped> {
        let signed = keys::signed(
            &snapshot.config.keys,
            (tentative.typ(), tentative.signing()),
            tentative.payload(),
            now,
        )?;
        let writer = self.store().writer();
        let delegation = tentative.delegation().clone();
        let event = tentative.event().clone();
        let effects = proved.effects(tentative.effects().clone());
        match writer.delegate(delegation, event, effects).await.map_err(Fault::from)? {
            Delegated::Recorded(receipt) => {
                let mismatch = || Fault::Internal("receipt for another delegation", None);
                let minted = tentative.settle(signed, &receipt).ok_or_else(mismatch)?;
                Ok(Some(minted))
            }
            Delegated::Refused(conflict) => Err(Stopped::Refused(Refusal::UsedUp(conflict))),
            Delegated::Moved { .. } => {
                self.hear().await?;
                Ok(None)
            }
        }
    }

    async fn evidence(
        &self,
        snapshot: &Snapshot,
        request: &ExchangeRequest,
        now: Timestamp,
    ) -> Result<Evidence, Stopped> {
        let subject = self.subject(snapshot, &request.subject, now).await?;
        let actor = match &request.actor {
            None => None,
            Some(presented) => Some(self.actor(snapshot, presented, now)?),
        };
        Ok(Evidence { subject, actor })
    }

    fn actor(
        &self,
        snapshot: &Snapshot,
        presented: &PresentedToken,
        now: Timestamp,
    ) -> Result<Arc<Verified<OurClaims>>, Refusal> {
        let token = presented.token.expose();
        match presented.declared {
            TokenType::AccessToken => {
                self.0.memo.ours(&snapshot.config, token, now).map_err(Refusal::ActorToken)
            }
            TokenType::IdToken | TokenType::Jwt => Err(Refusal::ActorToken(TokenFault::Kind)),
        }
    }

    /// Verifies the subject token by its declared type (TX-6). Ours and a foreign access token are
    /// told apart by the issuer they name, which is verified afterwards.
    async fn subject(
        &self,
        snapshot: &Snapshot,
        presented: &PresentedToken,
        now: Timestamp,
    ) -> Result<SubjectToken, Stopped> {
        let token = presented.token.expose();
        match presented.declared {
            TokenType::Jwt => Ok(self.ours(snapshot, token, OurKind::HandOver, now)?),
            TokenType::IdToken => self.foreign(snapshot, token, ForeignKind::IdToken, now).await,
            TokenType::AccessToken => {
                self.foreign(snapshot, token, ForeignKind::AccessToken, now).await
            }
        }
    }

    fn ours(
        &self,
        snapshot: &Snapshot,
        token: &str,
        kind: OurKind,
        now: Timestamp,
    ) -> Result<SubjectToken, Refusal> {
        let verified = self.0.memo.ours(&snapshot.config, token, now);
        let verified = verified.map_err(Refusal::SubjectToken)?;
        if verified.get().kind == kind {
            Ok(SubjectToken::Ours(verified))
        } else {
            Err(Refusal::SubjectToken(TokenFault::Kind))
        }
    }

    async fn foreign(
        &self,
        snapshot: &Snapshot,
        token: &str,
        kind: ForeignKind,
        now: Timestamp,
    ) -> Result<SubjectToken, Stopped> {
        let name = memory_of(token, kind);
        if let Some(known) = self.known_foreign(snapshot, &name, now).await {
            return Ok(SubjectToken::Foreign(known));
        }
        let claimed = verify::foreign::present(&snapshot.config, token, kind);
        let presented = match claimed.map_err(Refusal::SubjectToken)? {
            Claimed::Ours => return Ok(self.ours(snapshot, token, OurKind::Call, now)?),
            Claimed::Foreign(presented) => presented,
        };
        let issuer = Arc::clone(presented.issuer());
        let keys = self.0.issuer_keys.keys((&*issuer).into(), presented.kid(), now).await;
        let unavailable = |error| Fault::Unavailable("the trusted issuer", Some(Box::new(error)));
        let fetched = keys.map_err(unavailable)?;
        let basis = Basis { configured: snapshot.config.revision, keys: fetched.generation };
        let verified = presented.judge(&fetched.keys, now).map_err(Refusal::SubjectToken)?;
        let verified: Arc<Verified<ForeignClaims>> = Arc::new(verified);
        self.0.memo.remember(name, basis, &verified);
        Ok(SubjectToken::Foreign(verified))
    }

    /// A foreign token that was verified before, if everything it rested on is still so: agents
    /// exchange one user token for every call.
    async fn known_foreign(
        &self,
        snapshot: &Snapshot,
        name: &Fingerprint,
        now: Timestamp,
    ) -> Option<Arc<Verified<ForeignClaims>>> {
        let (basis, known) = self.0.memo.foreign(name, now)?;
        let issuer = snapshot.config.issuer(&known.get().subject.issuer)?;
        let fetched = self.0.issuer_keys.keys((&**issuer).into(), None, now).await.ok()?;
        let now_known = Basis { configured: snapshot.config.revision, keys: fetched.generation };
        (basis == now_known).then_some(known)
    }
}

/// What a foreign token is remembered under: one token declared as two kinds is two memories.
fn memory_of(token: &str, kind: ForeignKind) -> Fingerprint {
    let mut named = Vec::with_capacity(token.len().saturating_add(1));
    named.extend_from_slice(token.as_bytes());
    named.push(u8::from(kind == ForeignKind::IdToken));
    Fingerprint::of(&named)
}

/// Why an exchange stopped: our answer, or our fault.
enum Stopped {
    Refused(Refusal),
    /// The subject was proved, and the answer is no all the same.
    Judged(Refusal, SubjectToken),
    Fault(Fault),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Stopped::Refused(refusal)
    }
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Stopped::Fault(fault)
    }
}
