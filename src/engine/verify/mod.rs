//! Proving tokens: one verifier per kind, mutually exclusive, and types that cannot be built
//! otherwise. Nothing here says that a token of ours is live: that is the snapshot's to say.

pub mod actor;
pub mod checkpoint;
pub mod foreign;
pub mod ours;
pub mod profiles;

use crate::{base::claims::ClaimError, jose::JwtError};

/// Something whose signature and claims have been verified. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// What was verified.
    pub const fn get(&self) -> &T {
        &self.0
    }
}

/// Why a token proves nothing. For operators: callers see one constant sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// Not a JWT that we read, or a bad signature.
    Jwt(JwtError),
    /// A claim is missing or of the wrong type.
    Claim(ClaimError),
    /// Not of the declared kind.
    Kind,
    /// Its issuer is not trusted, or disabled.
    Issuer,
    /// Its issuer's tokens of this kind are not accepted.
    KindNotAccepted,
    /// No key of its issuer fits.
    Key,
    /// Not meant for Deputy.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come, or it was issued in the future.
    NotYet,
    /// Older than its issuer's tokens may be.
    TooOld,
    /// A claim that this issuer's tokens must carry is not there, or has another value.
    RequiredClaim(String),
    /// A subject that could be mistaken for another.
    Subject,
    /// It says who acts, and its issuer is not registered to.
    ForeignActor,
    /// It is bound to a key that nobody proved.
    Bound,
    /// It carries `act`: two chains are never merged (ACT-15).
    ActorHasActor,
    /// It is another client's.
    OtherClient,
}

impl TokenFault {
    /// The machine code for the audit log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            TokenFault::Jwt(_) => "not_verifiable",
            TokenFault::Claim(_) => "claims_malformed",
            TokenFault::Kind => "wrong_kind",
            TokenFault::Issuer => "issuer_unknown",
            TokenFault::KindNotAccepted => "kind_not_accepted",
            TokenFault::Key => "key_unknown",
            TokenFault::Audience => "wrong_audience",
            TokenFault::Expired => "expired",
            TokenFault::NotYet => "not_yet_valid",
            TokenFault::TooOld => "too_old",
            TokenFault::RequiredClaim(_) => "required_claim",
            TokenFault::Subject => "subject_ambiguous",
            TokenFault::ForeignActor => "foreign_actor",
            TokenFault::Bound => "bound_to_a_key",
            TokenFault::ActorHasActor => "has_act",
            TokenFault::OtherClient => "other_client",
        }
    }
}

impl From<JwtError> for TokenFault {
    fn from(error: JwtError) -> Self {
        TokenFault::Jwt(error)
    }
}

impl From<ClaimError> for TokenFault {
    fn from(error: ClaimError) -> Self {
        TokenFault::Claim(error)
    }
}
