//! The token endpoint: judge → sign → one commit → answer.

use std::{net::IpAddr, sync::Arc};

use super::{Deputy, Failure, Fault, keys, memo::Basis};
use crate::{
    base::{
        id::{DelegationId, TransactionId},
        secret::Fingerprint,
        time::Timestamp,
    },
    engine::{
        authenticate::{Authenticated, ClientRefusal, PresentedClient},
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
    /// Answers a token request.
    pub async fn token(
        &self,
        caller: Caller,
        request: Result<TokenRequest, RequestError>,
    ) -> Result<Minted, Failure> {
        let now = self.now();
        let client = self.authenticate(&caller, now).await?;
        let result = match request {
            Err(error) => Err(Stopped::Refused(Refusal::Request(error))),
            Ok(TokenRequest::Exchange(request)) => self.exchange(&client, &request, now).await,
            Ok(TokenRequest::ClientCredentials(wanted)) => self.own(&client, &wanted, now).await,
        };
        result.map_err(|stopped| match stopped {
            Stopped::Fault(fault) => Failure::Fault(fault),
            Stopped::Refused(refusal) => self.refused(&client, refusal, None, now),
            Stopped::Judged(refusal, subject) => {
                self.refused(&client, refusal, Some(&subject), now)
            }
        })
    }

    /// Records a refusal of an authenticated client; with the subject, once that was proved.
    fn refused(
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
        client: &Authenticated,
        request: &ExchangeRequest,
        now: Timestamp,
    ) -> Result<Minted, Stopped> {
        if client.client().agent.is_none() {
            return Err(Stopped::Refused(Refusal::GrantNotAllowed));
        }
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot();
            // What was true of the client when it authenticated may have changed since.
            let client = &client.again(&snapshot, now).map_err(Refusal::Client)?;
            let evidence = self.evidence(&snapshot, request, now).await?;
            let id = DelegationId::from_bytes(self.random().bytes().map_err(Fault::from)?);
            let exchange = Exchange {
                client,
                subject: &evidence.subject,
                actor: evidence.actor.as_deref(),
                wanted: &request.wanted,
                id,
            };
            let tentative = match exchange::judge(&snapshot, &exchange, now) {
                Ok(tentative) => tentative,
                Err(refusal) => return Err(Stopped::Judged(refusal, evidence.subject)),
            };
            if let Some(minted) = self.commit(&snapshot, tentative, now).await? {
                return Ok(minted);
            }
        }
        Err(Stopped::Fault(Fault::Busy))
    }

    async fn own(
        &self,
        client: &Authenticated,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Minted, Stopped> {
        for _ in 0..ATTEMPTS {
            let snapshot = self.snapshot();
            let client = &client.again(&snapshot, now).map_err(Refusal::Client)?;
            let id = DelegationId::from_bytes(self.random().bytes().map_err(Fault::from)?);
            let txn = TransactionId::from_bytes(self.random().bytes().map_err(Fault::from)?);
            let own = OwnRequest { client, wanted, id, txn };
            let tentative = exchange::judge_own(&snapshot, &own, now)?;
            if let Some(minted) = self.commit(&snapshot, tentative, now).await? {
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
        match writer.delegate(delegation, event).await.map_err(Fault::from)? {
            Delegated::Recorded(receipt) => {
                let mismatch = || Fault::Internal("receipt for another delegation", None);
                let minted = tentative.settle(signed, &receipt).ok_or_else(mismatch)?;
                Ok(Some(minted))
            }
            Delegated::Moved { .. } => {
                self.catch_up().await?;
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
