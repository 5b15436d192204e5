//! Why the token endpoint says no: one enum, with a precise reason for operators and a constant
//! sentence for callers.

use std::sync::Arc;

use crate::{
    model::{
        authority::ToolName,
        constraint::ClaimFault,
        effect::{Conflict, OnceKind},
        scope::ScopeToken,
        uri::Uri,
    },
    oauth::{code::Code, token_request::RequestError},
};

use super::{authenticate::ClientRefusal, dpop::ProofFault, snapshot::Dead, verify::TokenFault};

/// A refused token request. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not one.
    Request(RequestError),
    /// The client is not who it says, or may not ask.
    Client(ClientRefusal),
    /// The client may not use this grant.
    GrantNotAllowed,
    /// The subject token proves nothing.
    SubjectToken(TokenFault),
    /// The subject token was good once.
    SubjectDead(Dead),
    /// The actor token proves nothing, or not this client.
    ActorToken(TokenFault),
    /// This client may not present this token.
    Presenter(&'static str),
    /// The source was revoked for this actor.
    Barred(&'static str),
    /// The chain would be too long.
    TooDeep,
    /// No, several, or an unknown target.
    Target(TargetFault),
    /// There is no edge for this hand-over.
    NoEdge,
    /// The chain is longer than this edge lets through.
    TooDeepForEdge,
    /// The actor already acts in this chain.
    Cycle,
    /// The agent is not allowed at this target.
    NotAllowedHere,
    /// Scopes are missing, unknown or beyond a ceiling.
    Scope(ScopeFault),
    /// Details are malformed or beyond a ceiling.
    Details(DetailsFault),
    /// The token would be too large for proxies.
    TooLarge,
    /// Asked for a token type that does not fit the target.
    RequestedType,
    /// What may happen once has happened, or a budget is used up.
    UsedUp(Conflict),
    /// The request's DPoP proof proves nothing, or is missing.
    Proof(ProofFault),
    /// A policy says no.
    Policy(PolicyFault),
}

/// Why policies do not let a token be made, with the ids of those that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// They forbid it.
    Forbidden(Vec<Arc<str>>),
    /// They could not be evaluated.
    Failed(Vec<Arc<str>>),
    /// They want the token to be bound to a key.
    NeedsProof(Vec<Arc<str>>),
    /// They want the person to be authenticated like this.
    NeedsAuthentication(Arc<str>, Vec<Arc<str>>),
    /// One concerns calls of this tool, and its server does not ask about calls.
    NeverAsked(ToolName),
}

/// What is wrong with the target. RFC 8693 section 2.2.2 `invalid_target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// None named.
    Missing,
    /// More than one (TX-4).
    Several,
    /// Not registered, or disabled.
    Unknown,
    /// The subject token carries nothing for it.
    NotCovered,
    /// It looks at no key, so no bound token is made for it.
    Bearer,
}

/// What is wrong with the scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeFault {
    /// Neither scope nor details.
    Missing,
    /// Nothing would be left.
    Empty,
    /// The resource has no such scope.
    Unknown(ScopeToken),
    /// Beyond a ceiling.
    Beyond(ScopeToken, Ceiling),
    /// A hand-over carries no scope.
    OnHandOver,
    /// A ceiling names tools, so the request must.
    NameTools(Ceiling),
    /// A named tool needs a scope that was not asked for.
    ToolNeeds(ToolName),
}

/// What is wrong with the details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DetailsFault {
    /// No tool of that name there.
    UnknownTool(ToolName),
    /// No resource there.
    UnknownLocation(Uri),
    /// Beyond a ceiling.
    Beyond(ToolName, Ceiling),
    /// A location that the subject token does not carry.
    LocationBeyond(Uri),
    /// A claim of the subject that the request, or a ceiling, speaks of is not known.
    Claim(ClaimFault),
    /// More calls than the subject token has.
    MaxCallsBeyond(Uri),
    /// The tool changed since the authority was given.
    ToolChanged(ToolName),
    /// The resource enforces scopes only.
    ScopeResource(Uri),
    /// Missing where a hand-over needs them.
    Missing,
}

/// Which ceiling was in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// The subject token's own authority.
    Source,
    /// The grant rules of the subject's issuer.
    GrantRules,
    /// The agent's allowance.
    Allowance,
    /// The edge to the receiver.
    Edge,
}

impl Ceiling {
    const fn as_str(self) -> &'static str {
        match self {
            Ceiling::Source => "subject_token",
            Ceiling::GrantRules => "grant_rules",
            Ceiling::Allowance => "allowance",
            Ceiling::Edge => "edge",
        }
    }
}

/// The one sentence for every subject or actor token that will not do: which check failed is
/// nobody's business but the operator's. RFC 8693 section 2.2.2.
const TOKEN_UNACCEPTABLE: &str =
    "the subject token or actor token is not valid here, or not for this client to present";

impl Refusal {
    /// The code. TX-8: a bad subject or actor token is `invalid_request`.
    pub const fn code(&self) -> Code {
        match self {
            Refusal::Request(RequestError::GrantType) => Code::UnsupportedGrantType,
            Refusal::Request(RequestError::Scope(_))
            | Refusal::Scope(_)
            | Refusal::Policy(PolicyFault::NeverAsked(_)) => Code::InvalidScope,
            Refusal::Request(RequestError::Details(_))
            | Refusal::Details(_)
            | Refusal::TooLarge => Code::InvalidAuthorizationDetails,
            Refusal::Request(RequestError::Param(_))
            | Refusal::SubjectToken(_)
            | Refusal::SubjectDead(_)
            | Refusal::ActorToken(_)
            | Refusal::Presenter(_)
            | Refusal::Barred(_)
            | Refusal::TooDeep
            | Refusal::RequestedType
            | Refusal::Client(ClientRefusal::TwoMethods | ClientRefusal::Contradiction) => {
                Code::InvalidRequest
            }
            // Nothing was looked at: a client that is right need only ask again.
            Refusal::Client(ClientRefusal::Throttled) => Code::SlowDown,
            // RFC 7521 section 4.2.1: an assertion that is no good is `invalid_client`.
            Refusal::Client(_) | Refusal::UsedUp(Conflict::Replayed(OnceKind::Assertion)) => {
                Code::InvalidClient
            }
            Refusal::Proof(ProofFault::Nonce { .. }) => Code::UseDpopNonce,
            // RFC 9449 section 5; a proof that was used before is none.
            Refusal::Proof(_) | Refusal::UsedUp(Conflict::Replayed(OnceKind::Proof)) => {
                Code::InvalidDpopProof
            }
            Refusal::UsedUp(_) => Code::InvalidRequest,
            Refusal::GrantNotAllowed => Code::UnauthorizedClient,
            Refusal::Target(_) => Code::InvalidTarget,
            Refusal::Policy(PolicyFault::NeedsProof(_)) => Code::InvalidDpopProof,
            Refusal::Policy(PolicyFault::NeedsAuthentication(..)) => {
                Code::InsufficientUserAuthentication
            }
            Refusal::NoEdge
            | Refusal::TooDeepForEdge
            | Refusal::Cycle
            | Refusal::NotAllowedHere
            | Refusal::Policy(PolicyFault::Forbidden(_) | PolicyFault::Failed(_)) => {
                Code::ActorUnauthorized
            }
        }
    }

    /// What the caller may read. Never says what would have been enough.
    pub fn description(&self) -> String {
        match self {
            Refusal::Request(error) => error.to_string(),
            Refusal::Client(refusal) => refusal.description().to_owned(),
            Refusal::GrantNotAllowed => {
                "this client is not registered as an agent and may not use this grant".to_owned()
            }
            Refusal::SubjectToken(_)
            | Refusal::SubjectDead(_)
            | Refusal::ActorToken(_)
            | Refusal::Presenter(_)
            | Refusal::Barred(_) => TOKEN_UNACCEPTABLE.to_owned(),
            Refusal::Proof(fault) => fault.description().to_owned(),
            Refusal::TooDeep => {
                "the actor chain would be longer than this server allows".to_owned()
            }
            Refusal::Target(fault) => fault.description().to_owned(),
            Refusal::NoEdge => {
                "no administrator has allowed this client to hand authority to that one".to_owned()
            }
            Refusal::TooDeepForEdge => {
                "too many actors stand in the chain to hand this authority on".to_owned()
            }
            Refusal::Cycle => "this actor already acts in the chain".to_owned(),
            Refusal::NotAllowedHere => "this agent has no allowance at the target".to_owned(),
            Refusal::Scope(fault) => fault.description(),
            Refusal::Details(fault) => fault.description(),
            Refusal::TooLarge => {
                "the token would be too large; ask for fewer tools or shorter values".to_owned()
            }
            Refusal::RequestedType => {
                "requested_token_type does not fit the target: access_token for a resource, \
                 jwt for an agent"
                    .to_owned()
            }
            Refusal::UsedUp(conflict) => used_up(*conflict).to_owned(),
            Refusal::Policy(fault) => fault.description(),
        }
    }

    /// The precise reason, for the audit log.
    pub fn reason(&self) -> String {
        match self {
            Refusal::Request(_) => "malformed_request".to_owned(),
            Refusal::Client(refusal) => refusal.reason().to_owned(),
            Refusal::GrantNotAllowed => "grant_not_allowed".to_owned(),
            Refusal::SubjectToken(fault) => format!("subject_token_{}", fault.as_str()),
            Refusal::SubjectDead(dead) => format!("subject_{}", dead.as_str()),
            Refusal::ActorToken(fault) => format!("actor_token_{}", fault.as_str()),
            Refusal::Presenter(why) | Refusal::Barred(why) => (*why).to_owned(),
            Refusal::Proof(fault) => fault.reason().to_owned(),
            Refusal::TooDeep => "chain_too_deep".to_owned(),
            Refusal::Target(fault) => format!("target_{}", fault.as_str()),
            Refusal::NoEdge => "no_edge".to_owned(),
            Refusal::TooDeepForEdge => "chain_too_deep_for_edge".to_owned(),
            Refusal::Cycle => "cycle".to_owned(),
            Refusal::NotAllowedHere => "no_allowance_at_target".to_owned(),
            Refusal::Scope(fault) => fault.reason(),
            Refusal::Details(fault) => fault.reason(),
            Refusal::TooLarge => "token_too_large".to_owned(),
            Refusal::RequestedType => "requested_token_type".to_owned(),
            Refusal::UsedUp(Conflict::Replayed(kind)) => format!("replayed_{}", kind.as_str()),
            Refusal::UsedUp(Conflict::Exhausted(_)) => "calls_exhausted".to_owned(),
            Refusal::Policy(fault) => fault.reason().to_owned(),
        }
    }

    /// The policies that say no, by id.
    pub fn policies(&self) -> &[Arc<str>] {
        match self {
            Refusal::Policy(
                PolicyFault::Forbidden(ids)
                | PolicyFault::Failed(ids)
                | PolicyFault::NeedsProof(ids)
                | PolicyFault::NeedsAuthentication(_, ids),
            ) => ids,
            _ => &[],
        }
    }

    /// How the person must be authenticated, for `acr_values` beside the error (RFC 9470 section 3).
    pub fn acr_values(&self) -> Option<&str> {
        match self {
            Refusal::Policy(PolicyFault::NeedsAuthentication(class, _)) => Some(class),
            _ => None,
        }
    }
}

impl PolicyFault {
    fn description(&self) -> String {
        match self {
            PolicyFault::Forbidden(_) | PolicyFault::Failed(_) => {
                "a policy does not let this client have such a token".to_owned()
            }
            PolicyFault::NeedsProof(_) => {
                "a policy wants such a token to be bound to a key: send a DPoP proof".to_owned()
            }
            PolicyFault::NeedsAuthentication(..) => {
                "a policy wants the user to be authenticated otherwise: start again from a token \
                 with one of acr_values"
                    .to_owned()
            }
            PolicyFault::NeverAsked(tool) => format!(
                "a policy concerns calls of `{tool}`, and its server does not ask about calls"
            ),
        }
    }

    const fn reason(&self) -> &'static str {
        match self {
            PolicyFault::Forbidden(_) => "policy_forbids",
            PolicyFault::Failed(_) => "policy_failed",
            PolicyFault::NeedsProof(_) => "policy_wants_dpop",
            PolicyFault::NeedsAuthentication(..) => "policy_wants_acr",
            PolicyFault::NeverAsked(_) => "policy_never_asked",
        }
    }
}

const fn used_up(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Replayed(OnceKind::Assertion) => {
            "this client assertion was used before: make a new one, with a new jti, for each request"
        }
        Conflict::Replayed(OnceKind::Proof) => {
            "this DPoP proof was used before: make a new one, with a new jti, for each request"
        }
        Conflict::Replayed(OnceKind::Call) => "this call was made before",
        Conflict::Exhausted(_) => "no call is left of what this authority allows",
    }
}

impl TargetFault {
    const fn as_str(&self) -> &'static str {
        match self {
            TargetFault::Missing => "missing",
            TargetFault::Several => "several",
            TargetFault::Unknown => "unknown",
            TargetFault::NotCovered => "not_covered",
            TargetFault::Bearer => "bearer_only",
        }
    }

    const fn description(&self) -> &'static str {
        match self {
            TargetFault::Missing => {
                "name the target: send resource with the URI of a registered server or agent"
            }
            TargetFault::Several => "name exactly one target: one token is good for one server",
            TargetFault::Unknown => {
                "the target is not the URI of a registered, enabled server or agent"
            }
            TargetFault::NotCovered => "the subject token carries nothing for this target",
            TargetFault::Bearer => {
                "the target takes bearer tokens only, so no DPoP-bound token is made for it"
            }
        }
    }
}

impl ScopeFault {
    fn description(&self) -> String {
        match self {
            ScopeFault::Missing => "send scope, authorization_details or both".to_owned(),
            ScopeFault::Empty => "no scope would be left".to_owned(),
            ScopeFault::Unknown(token) => {
                format!("the target has no scope `{}`", token.as_str())
            }
            ScopeFault::Beyond(token, _) => {
                format!("the scope `{}` is beyond what may be granted here", token.as_str())
            }
            ScopeFault::OnHandOver => {
                "a hand-over has no scope: name tools in authorization_details".to_owned()
            }
            ScopeFault::NameTools(_) => {
                "scope alone is too broad here: name tools in authorization_details".to_owned()
            }
            ScopeFault::ToolNeeds(tool) => {
                format!("the tool `{tool}` needs a scope that was not asked for")
            }
        }
    }

    fn reason(&self) -> String {
        match self {
            ScopeFault::Missing => "scope_missing".to_owned(),
            ScopeFault::Empty => "scope_empty".to_owned(),
            ScopeFault::Unknown(_) => "scope_unknown".to_owned(),
            ScopeFault::Beyond(_, ceiling) => format!("scope_beyond_{}", ceiling.as_str()),
            ScopeFault::OnHandOver => "scope_on_hand_over".to_owned(),
            ScopeFault::NameTools(ceiling) => format!("undetailed_beyond_{}", ceiling.as_str()),
            ScopeFault::ToolNeeds(_) => "tool_needs_scope".to_owned(),
        }
    }
}

impl DetailsFault {
    fn description(&self) -> String {
        match self {
            DetailsFault::UnknownTool(tool) => {
                format!("no enabled tool `{tool}` is registered at that location")
            }
            DetailsFault::UnknownLocation(uri) => {
                format!("no enabled resource is registered at `{uri}`")
            }
            DetailsFault::Beyond(tool, _) => {
                format!("what is asked for `{tool}` is beyond what may be granted here")
            }
            DetailsFault::LocationBeyond(uri) => {
                format!("the subject token carries nothing for `{uri}`")
            }
            DetailsFault::Claim(
                ClaimFault::NotAuthoritative(claim) | ClaimFault::Absent(claim),
            ) => format!("the claim `{claim}` of the subject is not known here"),
            DetailsFault::MaxCallsBeyond(uri) => {
                format!("max_calls for `{uri}` is beyond what may be granted here")
            }
            DetailsFault::ToolChanged(tool) => format!(
                "the tool `{tool}` was changed: once an administrator has accepted the change (`deputy \
                 tool changes`), start again from the user's token"
            ),
            DetailsFault::ScopeResource(uri) => format!(
                "`{uri}` enforces scopes only, so limits on tools would not be kept: ask by scope"
            ),
            DetailsFault::Missing => {
                "a hand-over names tools: send authorization_details".to_owned()
            }
        }
    }

    fn reason(&self) -> String {
        match self {
            DetailsFault::UnknownTool(_) => "details_unknown_tool".to_owned(),
            DetailsFault::UnknownLocation(_) => "details_unknown_location".to_owned(),
            DetailsFault::Beyond(_, ceiling) => format!("details_beyond_{}", ceiling.as_str()),
            DetailsFault::LocationBeyond(_) => "details_location_beyond_source".to_owned(),
            DetailsFault::Claim(ClaimFault::NotAuthoritative(_)) => {
                "details_claim_not_authoritative".to_owned()
            }
            DetailsFault::Claim(ClaimFault::Absent(_)) => "details_claim_absent".to_owned(),
            DetailsFault::MaxCallsBeyond(_) => "details_max_calls_beyond_source".to_owned(),
            DetailsFault::ToolChanged(_) => "details_tool_changed".to_owned(),
            DetailsFault::ScopeResource(_) => "details_for_scope_resource".to_owned(),
            DetailsFault::Missing => "details_missing".to_owned(),
        }
    }
}
