//! The question about one call, and the closed set of answers.

use std::{borrow::Cow, sync::Arc};

use crate::base::{id::DecisionId, secret::Fingerprint};

use super::{authority::ToolName, resource::Effect};

/// What a server is about to do, in its own words: nothing is parsed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The tool, exactly as named in the call.
    pub tool: Cow<'a, str>,
    /// The arguments that the tool will receive: a JSON object as text. Absent means none.
    pub arguments: Option<Cow<'a, str>>,
    /// Made by the server for this execution, so that a question may be asked twice.
    pub call_id: Option<Cow<'a, str>>,
    /// The DPoP proof that came with the request.
    pub proof: Option<ShownProof>,
}

/// A DPoP proof that a server was shown, and the request that it came with, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownProof {
    /// The proof.
    pub jwt: String,
    /// The method of the request.
    pub method: String,
    /// The URI of the request.
    pub uri: String,
    /// The access token that came with it.
    pub token: Fingerprint,
}

impl Call<'_> {
    /// The longest `call_id`, in bytes: room for any UUID with a prefix.
    pub const MAX_CALL_ID_BYTES: usize = 128;
}

/// Why a call was allowed or denied: closed, documented, safe to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Everything held.
    Permitted,
    /// The caller named another subject than the token's.
    SubjectMismatch,
    /// No such tool is registered at this resource.
    ToolUnknown,
    /// An administrator disabled the tool.
    ToolDisabled,
    /// The tool is not the one it was when the authority was given.
    ToolChanged,
    /// Authority over the tool was revoked after this delegation was made.
    ToolRevoked,
    /// The token lacks a scope that the tool needs.
    ScopeMissing,
    /// The delegation does not cover this tool.
    ToolNotDelegated,
    /// An argument's value is not what the delegation permits.
    ArgumentNotPermitted,
    /// An argument that the delegation constrains is absent.
    ArgumentMissing,
    /// An argument that the delegation does not name.
    ArgumentUnexpected,
    /// The arguments are not an object in strict JSON.
    ArgumentsMalformed,
    /// The delegation, or one above it, has made as many calls as it may.
    CallsExhausted,
    /// The `call_id` named another call before.
    CallIdReused,
    /// A policy forbids the call.
    PolicyForbids,
    /// A policy could not be evaluated.
    PolicyFailed,
    /// A policy looks at an argument whose value it cannot be told.
    ArgumentsNotRepresentable,
    /// A policy wants the token to be bound to a key.
    DpopRequired,
    /// A policy wants the person to be authenticated otherwise (SU-1).
    AuthenticationInsufficient,
    /// The token is bound to a key, and no proof was sent along.
    DpopProofMissing,
    /// The proof is not one of the token's key for this request.
    DpopProofInvalid,
    /// The proof was used before.
    DpopProofUsed,
}

impl Reason {
    /// Every reason, for the documentation and its test.
    pub const ALL: [Reason; 22] = [
        Reason::Permitted,
        Reason::SubjectMismatch,
        Reason::ToolUnknown,
        Reason::ToolDisabled,
        Reason::ToolChanged,
        Reason::ToolRevoked,
        Reason::ScopeMissing,
        Reason::ToolNotDelegated,
        Reason::ArgumentNotPermitted,
        Reason::ArgumentMissing,
        Reason::ArgumentUnexpected,
        Reason::ArgumentsMalformed,
        Reason::CallsExhausted,
        Reason::CallIdReused,
        Reason::PolicyForbids,
        Reason::PolicyFailed,
        Reason::ArgumentsNotRepresentable,
        Reason::DpopRequired,
        Reason::AuthenticationInsufficient,
        Reason::DpopProofMissing,
        Reason::DpopProofInvalid,
        Reason::DpopProofUsed,
    ];

    /// The machine code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Permitted => "permitted",
            Reason::SubjectMismatch => "subject_mismatch",
            Reason::ToolUnknown => "tool_unknown",
            Reason::ToolDisabled => "tool_disabled",
            Reason::ToolChanged => "tool_changed",
            Reason::ToolRevoked => "tool_revoked",
            Reason::ScopeMissing => "scope_missing",
            Reason::ToolNotDelegated => "tool_not_delegated",
            Reason::ArgumentNotPermitted => "argument_not_permitted",
            Reason::ArgumentMissing => "argument_missing",
            Reason::ArgumentUnexpected => "argument_unexpected",
            Reason::ArgumentsMalformed => "arguments_malformed",
            Reason::CallsExhausted => "calls_exhausted",
            Reason::CallIdReused => "call_id_reused",
            Reason::PolicyForbids => "policy_forbids",
            Reason::PolicyFailed => "policy_failed",
            Reason::ArgumentsNotRepresentable => "arguments_not_representable",
            Reason::DpopRequired => "dpop_required",
            Reason::AuthenticationInsufficient => "insufficient_user_authentication",
            Reason::DpopProofMissing => "dpop_proof_missing",
            Reason::DpopProofInvalid => "dpop_proof_invalid",
            Reason::DpopProofUsed => "dpop_proof_used",
        }
    }
}

impl Reason {
    /// The reason with this machine code.
    pub fn of(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|known| known.as_str() == code)
    }

    /// Whether only the store could say so: everything held, and what the call uses up was gone.
    pub const fn is_of_the_store(self) -> bool {
        matches!(self, Reason::CallsExhausted | Reason::CallIdReused | Reason::DpopProofUsed)
    }

    /// Whether the grant is what is missing: another one would have allowed the call.
    pub const fn is_of_the_grant(self) -> bool {
        match self {
            Reason::ScopeMissing
            | Reason::ToolNotDelegated
            | Reason::ArgumentNotPermitted
            | Reason::ArgumentMissing
            | Reason::ArgumentUnexpected => true,
            Reason::Permitted
            | Reason::SubjectMismatch
            | Reason::ToolUnknown
            | Reason::ToolDisabled
            | Reason::ToolChanged
            | Reason::ToolRevoked
            | Reason::ArgumentsMalformed
            | Reason::CallsExhausted
            | Reason::CallIdReused
            | Reason::PolicyForbids
            | Reason::PolicyFailed
            | Reason::ArgumentsNotRepresentable
            | Reason::DpopRequired
            | Reason::AuthenticationInsufficient
            | Reason::DpopProofMissing
            | Reason::DpopProofInvalid
            | Reason::DpopProofUsed => false,
        }
    }

    /// What an administrator can do about a denial.
    pub const fn remedy(self) -> Option<&'static str> {
        match self {
            Reason::Permitted => None,
            Reason::SubjectMismatch => {
                Some("the server that asks must name the subject of the token, or none")
            }
            Reason::ToolUnknown => Some("import the tools of the resource, or mend the name"),
            Reason::ToolDisabled => Some("enable the tool"),
            Reason::ToolChanged => Some(
                "once an administrator has accepted the change (`deputy tool changes`), the agent must \
                 start again from the user's token",
            ),
            Reason::ToolRevoked => {
                Some("a delegation from a user token that is newer than the revocation may call it")
            }
            Reason::ScopeMissing
            | Reason::ToolNotDelegated
            | Reason::ArgumentNotPermitted
            | Reason::ArgumentMissing
            | Reason::ArgumentUnexpected => Some(
                "if the agent should make this call, it must ask for the grant; `deputy simulate` \
                 tells whether every ceiling would let it",
            ),
            Reason::ArgumentsMalformed => {
                Some("the server must send the arguments as one JSON object, no name twice")
            }
            Reason::CallsExhausted => {
                Some("a new delegation from the user's token has calls of its own")
            }
            Reason::CallIdReused => Some("the server must draw a new `call_id` for each execution"),
            Reason::PolicyForbids => Some(
                "if the call is meant to be made, change the policy: `deputy policy replay` tells \
                 what else that would let pass",
            ),
            Reason::PolicyFailed => Some(
                "the policy could not be evaluated, an overflow perhaps: mend it; until then it denies",
            ),
            Reason::ArgumentsNotRepresentable => Some(
                "the value is not of the type in the tool's input schema, or has none: the server \
                 must send it as published, or its tools be imported again",
            ),
            Reason::DpopRequired => {
                Some("the agent must send a DPoP proof when it exchanges the user's token")
            }
            Reason::AuthenticationInsufficient => {
                Some("the user must be authenticated again, as the policy demands (RFC 9470)")
            }
            Reason::DpopProofMissing | Reason::DpopProofInvalid | Reason::DpopProofUsed => Some(
                "the agent must make a new proof, with the key of its token, for each request, and \
                 the server must send it along",
            ),
        }
    }
}

/// The steps by which a call is decided, in their order. The first that fails decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The token is live: not expired, not revoked, nobody in its chain disabled.
    TokenLive,
    /// The token is for a resource of the client that asks.
    MeantForCaller,
    /// The subject that the asking client names, if it names one, is the token's.
    SubjectMatches,
    /// The resource has a tool of this name.
    ToolRegistered,
    /// The tool is enabled.
    ToolEnabled,
    /// The tool is the one it was when the authority was given.
    ToolUnchanged,
    /// Authority over the tool was not revoked since.
    ToolNotRevoked,
    /// The delegation has an entry for this resource.
    ResourceDelegated,
    /// The entry names the tool, or names none.
    ToolNamed,
    /// The entry holds every scope that the tool needs.
    ScopesHeld,
    /// The tool is named, or its effect is one that scopes alone cover.
    EffectCovered,
    /// The arguments are an object in strict JSON.
    ArgumentsReadable,
    /// The arguments are what the entry permits.
    Constraints,
    /// No policy forbids the call, and what they demand of the token is there.
    Policies,
    /// Who called the server holds the key of the token, where it is bound and we are to look.
    HolderProved,
    /// What the call uses up was not used up: its `call_id`, and the calls that were left.
    NotUsedUp,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Step; 16] = [
        Step::TokenLive,
        Step::MeantForCaller,
        Step::SubjectMatches,
        Step::ToolRegistered,
        Step::ToolEnabled,
        Step::ToolUnchanged,
        Step::ToolNotRevoked,
        Step::ResourceDelegated,
        Step::ToolNamed,
        Step::ScopesHeld,
        Step::EffectCovered,
        Step::ArgumentsReadable,
        Step::Constraints,
        Step::Policies,
        Step::HolderProved,
        Step::NotUsedUp,
    ];

    /// The machine code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::TokenLive => "token_live",
            Step::MeantForCaller => "meant_for_caller",
            Step::SubjectMatches => "subject_matches",
            Step::ToolRegistered => "tool_registered",
            Step::ToolEnabled => "tool_enabled",
            Step::ToolUnchanged => "tool_unchanged",
            Step::ToolNotRevoked => "tool_not_revoked",
            Step::ResourceDelegated => "resource_delegated",
            Step::ToolNamed => "tool_named",
            Step::ScopesHeld => "scopes_held",
            Step::EffectCovered => "effect_covered",
            Step::ArgumentsReadable => "arguments_readable",
            Step::Constraints => "constraints",
            Step::Policies => "policies",
            Step::HolderProved => "holder_proved",
            Step::NotUsedUp => "not_used_up",
        }
    }
}

/// The answer about one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Names this answer in the audit log.
    pub id: DecisionId,
    /// Whether the call may run. True only with [`Reason::Permitted`].
    pub allow: bool,
    /// Why.
    pub reason: Reason,
    /// The argument it failed on, as a JSON Pointer.
    pub argument: Option<String>,
    /// The registered tool; `None` when there is none of that name.
    pub tool: Option<ToolName>,
    /// The tool's effect, where it is registered.
    pub effect: Option<Effect>,
    /// What the policies said.
    pub policed: Policed,
}

/// What the policies said about a call. Only administrators are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policed {
    /// Those that say no, by id.
    pub decided: Vec<Arc<str>>,
    /// Those that are only watched and would have said no.
    pub shadow: Vec<Arc<str>>,
    /// How they want the person to be authenticated; this the caller is told.
    pub acr: Option<Arc<str>>,
}
