//! The chain of actors in `act` (RFC 8693 section 4.1): newest first, and it only grows.

use std::sync::Arc;

use super::client::AuthMethod;
use crate::base::json;

/// How we know that an actor acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// The actor authenticated to us when it exchanged.
    Verified,
    /// Another issuer, registered to assert actors, said so in a token.
    Asserted,
}

impl Provenance {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Provenance::Verified => "verified",
            Provenance::Asserted => "asserted",
        }
    }

    /// How an actor is known that proved itself to us by a method, or by none.
    pub const fn by(proof: Option<AuthMethod>) -> Provenance {
        if proof.is_some() { Provenance::Verified } else { Provenance::Asserted }
    }
}

/// One actor: the pair (`iss`, `sub`); a bare `sub` names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The namespace of `sub`.
    pub issuer: Arc<str>,
    /// The actor within that namespace; for our agents the client id.
    pub sub: Arc<str>,
}

/// The actors of one token, current one first. May be empty: nobody acts for the subject yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActorChain {
    hops: Vec<Actor>,
    /// The exact JSON text of `act`, so that inherited hops stay byte for byte (ACT-6).
    text: Option<Arc<str>>,
}

/// A chain cannot take this actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// ACT-5: a local maximum, never truncated silently.
    #[error("the chain would be longer than the maximum")]
    TooDeep,
    /// The actor already acts in this chain.
    #[error("the actor is already in the chain")]
    Cycle,
    /// The text is not a legal `act` object.
    #[error("`act` is not a chain of objects with `iss` and `sub`")]
    Malformed,
}

impl ActorChain {
    /// The deepest chain; every hop costs about 90 bytes of every token.
    pub const MAX_DEPTH: usize = 8;

    /// Reads the `act` member of a token whose signature has been verified.
    ///
    /// ACT-1, ACT-25: each hop has string `iss` and `sub`; a hop without `iss` is never repaired.
    pub fn from_act(text: &str) -> Result<ActorChain, ChainError> {
        let value = json::parse(text.as_bytes(), &json::Limits::DEFAULT)
            .map_err(|_| ChainError::Malformed)?;
        let mut hops = Vec::new();
        let mut next = Some(&value);
        while let Some(hop) = next {
            let hop = hop.as_object().ok_or(ChainError::Malformed)?;
            let text = |name| {
                hop.get(name)
                    .and_then(json::Value::as_str)
                    .filter(|t| crate::base::text::is_printable_ascii(t, 512))
                    .ok_or(ChainError::Malformed)
            };
            let actor = Actor { issuer: text("iss")?.into(), sub: text("sub")?.into() };
            if hops.contains(&actor) {
                return Err(ChainError::Cycle);
            }
            hops.push(actor);
            if hops.len() > Self::MAX_DEPTH {
                return Err(ChainError::TooDeep);
            }
            next = hop.get("act");
        }
        Ok(ActorChain { hops, text: Some(text.into()) })
    }

    /// The chain with `actor` as the current one and everything inherited nested unchanged.
    ///
    /// RFC 8693 section 4.1: the outermost actor is the current one. ACT-6: inherited objects are
    /// not rewritten in any byte.
    pub fn extended(&self, actor: Actor) -> Result<ActorChain, ChainError> {
        if self.hops.len() >= Self::MAX_DEPTH {
            return Err(ChainError::TooDeep);
        }
        if self.hops.contains(&actor) {
            return Err(ChainError::Cycle);
        }
        let mut text = format!(
            r#"{{"iss":{},"sub":{},"sub_profile":"ai_agent""#,
            json::quote(&actor.issuer),
            json::quote(&actor.sub)
        );
        if let Some(inherited) = &self.text {
            text.push_str(r#","act":"#);
            text.push_str(inherited);
        }
        text.push('}');
        let mut hops = Vec::with_capacity(self.hops.len().saturating_add(1));
        hops.push(actor);
        hops.extend(self.hops.iter().cloned());
        Ok(ActorChain { hops, text: Some(text.into()) })
    }

    /// The current actor: the only one that policy may permit by (RFC 8693 section 4.1).
    pub fn current(&self) -> Option<&Actor> {
        self.hops.first()
    }

    /// All actors, current one first.
    pub fn hops(&self) -> &[Actor] {
        &self.hops
    }

    /// All actors, current one first: the first ones proved themselves to us by `via`, and the rest
    /// stood in a token of somebody else.
    pub fn known<'a>(
        &'a self,
        via: &'a [AuthMethod],
    ) -> impl ExactSizeIterator<Item = (&'a Actor, Option<AuthMethod>)> {
        let hops = self.hops.iter().enumerate();
        hops.map(|(n, actor)| (actor, via.get(n).copied()))
    }

    /// The exact JSON text of `act`; `None` when nobody acts.
    pub fn act(&self) -> Option<&str> {
        self.text.as_deref()
    }
}
