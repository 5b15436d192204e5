//! The token endpoint: judge → sign → one commit → answer.

use std::{net::IpAddr, sync::Arc};

use super::{Deputy, Failure, Fault, memo::Basis};
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
        verify::{self, TokenFault, Verified},
    },
    jose::{self, Algorithm},
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
        let no_key = || Fault::Internal("no signing key", None);
        let key = snapshot.config.keys.signer(Algorithm::Es256, now).ok_or_else(no_key)?;
        let signed = jose::sign_compact(tentative.typ(), key, tentative.payload().as_bytes())
            .map_err(|error| Fault::Internal("signing failed", Some(Box::new(error))))?;
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
    /// told apart by `typ` and issuer, both of which are verified afterwards.
    async fn subject(
        &self,
        snapshot: &Snapshot,
        presented: &PresentedToken,
        now: Timestamp,
    ) -> Result<SubjectToken, Stopped> {
        let token = presented.token.expose();
        let ours = |kind| -> Result<SubjectToken, Refusal> {
            let verified = self.0.memo.ours(&snapshot.config, token, now);
            let verified = verified.map_err(Refusal::SubjectToken)?;
            if verified.get().kind == kind {
                Ok(SubjectToken::Ours(verified))
            } else {
                Err(Refusal::SubjectToken(TokenFault::Kind))
            }
        };
        match presented.declared {
            TokenType::Jwt => Ok(ours(OurKind::HandOver)?),
            TokenType::IdToken => self.foreign(snapshot, token, ForeignKind::IdToken, now).await,
            TokenType::AccessToken => {
                if verify::ours::claims_to_be(&snapshot.config, token) {
                    return Ok(ours(OurKind::Call)?);
                }
                self.foreign(snapshot, token, ForeignKind::AccessToken, now).await
            }
        }
    }

    async fn foreign(
        &self,
        snapshot: &Snapshot,
        token: &str,
        kind: ForeignKind,
        now: Timestamp,
    ) -> Result<SubjectToken, Stopped> {
        let needs = verify::foreign::needs(&snapshot.config, token, kind);
        let needs = needs.map_err(Refusal::SubjectToken)?;
        let fetched = self.issuer_keys(&needs, now).await?;
        let basis = Basis { configured: snapshot.config.revision, keys: fetched.generation };
        let mut named = token.as_bytes().to_vec();
        // One token declared as two kinds is two memories.
        named.push(u8::from(kind == ForeignKind::IdToken));
        let name = Fingerprint::of(&named);
        if let Some(known) = self.0.memo.foreign(&name, basis, now) {
            return Ok(SubjectToken::Foreign(known));
        }
        let verified = verify::foreign::judge(&needs.issuer, &fetched.keys, token, kind, now);
        let verified: Arc<Verified<ForeignClaims>> =
            Arc::new(verified.map_err(Refusal::SubjectToken)?);
        self.0.memo.remember(name, basis, &verified);
        Ok(SubjectToken::Foreign(verified))
    }

    async fn issuer_keys(
        &self,
        needs: &verify::foreign::Needs,
        now: Timestamp,
    ) -> Result<Arc<super::remote::keys::Fetched>, Fault> {
        let keys =
            self.0.issuer_keys.keys((&*needs.issuer).into(), needs.kid.as_deref(), now).await;
        keys.map_err(|error| Fault::Unavailable("the trusted issuer", Some(Box::new(error))))
    }
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
