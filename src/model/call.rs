//! The question about one call, and the closed set of answers.

use crate::base::id::DecisionId;

use super::{authority::ToolName, resource::Effect};

/// What a server is about to do, in its own words: nothing is parsed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The tool, exactly as named in the call.
    pub tool: String,
    /// The arguments that the tool will receive: a JSON object as text. Absent means none.
    pub arguments: Option<String>,
    /// Made by the server for this execution, so that a question may be asked twice.
    pub call_id: Option<String>,
}

impl Call {
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
}

impl Reason {
    /// Every reason, for the documentation and its test.
    pub const ALL: [Reason; 12] = [
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
}
