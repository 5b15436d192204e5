//! Proving a client, by whichever method it is registered for. What proved it may be good for one
//! request only: then it is used up with the request's own commit, or before anything is answered.

use std::{collections::BTreeSet, sync::LazyLock};

use super::{Deputy, Failure, Fault, token::Caller};
use crate::{
    base::time::Timestamp,
    engine::{
        assertion::{self, Claimed},
        authenticate::{Authenticated, ClientRefusal, PresentedAssertion, PresentedClient},
        refusal::Refusal,
        snapshot::Snapshot,
    },
    jose::{Algorithm, KeySet},
    model::{
        effect::{Effects, Once},
        issuer::KeySource,
    },
    registry::issuer::ALGORITHMS,
    service::remote::keys::Source,
    store::Decided,
};

/// Wrong assertions of one source in one window (1 s), beyond which it is refused unchecked: as many
/// signature checks as a core does in a few milliseconds. A guess cannot succeed; this only bounds
/// what guessing costs, and a client that shares its source with a flood waits for the next second.
pub const WRONG_ASSERTIONS: u8 = 50;

/// Every algorithm that a client's keys may have.
static ANY: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| ALGORITHMS.into_iter().map(str::to_owned).collect());

/// A client that proved who it is, and what it used for that. Nothing may be answered before that
/// is used up: [`Deputy::authenticate`] does it at once, [`Proved::effects`] with a commit.
#[must_use]
#[derive(Debug)]
pub(super) struct Proved {
    client: Authenticated,
    once: Vec<Once>,
}

impl Proved {
    /// The client.
    pub const fn client(&self) -> &Authenticated {
        &self.client
    }

    /// The same, to be put in the place of itself as it stands later.
    pub(super) const fn client_mut(&mut self) -> &mut Authenticated {
        &mut self.client
    }

    /// What is used up besides `effects`, in the same commit.
    pub fn effects(&self, mut effects: Effects) -> Effects {
        effects.once.extend(self.once.iter().cloned());
        effects
    }

    /// The client, which also proved a key. That is used up likewise.
    pub fn and(mut self, once: Once) -> Proved {
        self.once.push(once);
        self
    }

    /// The client as it stands in a newer snapshot: the same proof, not yet used up.
    pub fn again(&self, snapshot: &Snapshot, now: Timestamp) -> Result<Proved, ClientRefusal> {
        let client = self.client.again(snapshot, now)?;
        Ok(Proved { client, once: self.once.clone() })
    }
}

impl Deputy {
    /// Proves the client, and uses up what proved it. For every door that does not commit each
    /// request anyway.
    pub(super) async fn authenticate(
        &self,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Authenticated, Failure> {
        let proved = self.prove(caller, now).await?;
        if proved.once.is_empty() {
            return Ok(proved.client);
        }
        self.use_up(&proved, now).await?;
        Box::pin(self.still(&proved.client, now)).await
    }

    /// Proves the client. Failures before this point belong to nobody: they are counted by source
    /// and reason, and never fill the audit log.
    ///
    /// Every answer to a client begins here, so here it is made sure that this instance may answer
    /// at all; whatever is judged takes its snapshot afterwards.
    pub(super) async fn prove(&self, caller: &Caller, now: Timestamp) -> Result<Proved, Failure> {
        self.coherent().await?;
        match self.proved(caller, now).await? {
            Ok(proved) => Ok(proved),
            Err(refusal) => {
                self.count_refused(caller.source, refusal);
                Err(Failure::client(refusal, self.error_id()?))
            }
        }
    }

    /// Waits until there is room to write down what the client asks. For every door whose answers
    /// are journalled, before it takes its snapshot.
    pub(super) async fn room_for(
        &self,
        client: &mut Authenticated,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let writer = self.store().writer();
        if writer.is_crowded_for(&client.client().id) {
            Box::pin(writer.room(&client.client().id)).await;
            *client = Box::pin(self.still(client, now)).await?;
        }
        Ok(())
    }

    /// The client after something was waited for: meanwhile it may have been disabled, and this
    /// instance have lost its lease.
    async fn still(
        &self,
        client: &Authenticated,
        now: Timestamp,
    ) -> Result<Authenticated, Failure> {
        self.coherent().await?;
        match client.again(&self.snapshot(), now) {
            Ok(client) => Ok(client),
            Err(refusal) => Err(Failure::client(refusal, self.error_id()?)),
        }
    }

    /// Uses up what proved the client. A second time, it proves nothing.
    pub(super) async fn use_up(&self, proved: &Proved, now: Timestamp) -> Result<(), Failure> {
        let effects = proved.effects(Effects::default());
        if effects.is_empty() {
            return Ok(());
        }
        match Box::pin(self.store().writer().use_up(effects)).await? {
            Decided::Recorded(_) => Ok(()),
            Decided::Refused(conflict) => {
                Err(self.refused(&proved.client, Refusal::UsedUp(conflict), None, now))
            }
        }
    }

    async fn proved(
        &self,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Result<Proved, ClientRefusal>, Fault> {
        match &caller.presented {
            Ok(PresentedClient::Secret(presented)) => {
                let client = self.by_secret(presented, caller.source, now).await?;
                Ok(client.map(|client| Proved { client, once: Vec::new() }))
            }
            Ok(PresentedClient::Assertion(presented)) => {
                Box::pin(self.by_assertion(presented, caller, now)).await
            }
            Err(refusal) => Ok(Err(*refusal)),
        }
    }

    async fn by_assertion(
        &self,
        presented: &PresentedAssertion,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Result<Proved, ClientRefusal>, Fault> {
        // Before anything is known of the client, and whatever is wrong counts: or the answer would
        // tell which clients there are.
        if self.0.wrong_assertions.is_throttled(caller.source, now) {
            return Ok(Err(ClientRefusal::Throttled));
        }
        let config = &self.snapshot().config;
        let named = presented.id.as_deref();
        let claimed = match assertion::present(config, presented.jwt.expose(), named) {
            Ok(claimed) => claimed,
            Err(refusal) => {
                self.note_wrong_assertion(refusal, caller, now);
                return Ok(Err(refusal));
            }
        };
        let keys = self.client_keys(&claimed, now).await?;
        let fetched = !matches!(claimed.rules().keys, KeySource::Inline(_));
        let judged = claimed.judge(config, &keys, now);
        if let Err(refusal) = &judged {
            self.note_wrong_assertion(*refusal, caller, now);
        }
        let proved = judged.map(|(client, once)| Proved { client, once: vec![once] });
        if !fetched {
            return Ok(proved);
        }
        // Its keys may have been waited for: what holds now is asked of what is known now.
        self.coherent().await?;
        Ok(proved.and_then(|proved| proved.again(&self.snapshot(), now)))
    }

    fn note_wrong_assertion(&self, refusal: ClientRefusal, caller: &Caller, now: Timestamp) {
        if refusal == ClientRefusal::Wrong {
            self.0.wrong_assertions.note(caller.source, now);
        }
    }

    /// The keys that a client registered: its own words, or fetched from where it publishes them.
    async fn client_keys(&self, claimed: &Claimed<'_>, now: Timestamp) -> Result<KeySet, Fault> {
        let rules = claimed.rules();
        if let KeySource::Inline(text) = &rules.keys {
            let unusable = |error| Fault::Internal("a client's keys", Some(Box::new(error)));
            return KeySet::parse_jwks(text.as_bytes(), &Algorithm::ALL).map_err(unusable);
        }
        let source =
            Source { issuer: claimed.client().as_str(), keys: &rules.keys, algorithms: &ANY };
        let unavailable = |error| Fault::Unavailable("the client's keys", Some(Box::new(error)));
        let fetched = self.0.client_keys.keys(source, claimed.kid(), now).await;
        Ok(fetched.map_err(unavailable)?.keys.clone())
    }
}
