//! The one decision function: may this token's holder make this call, now?
//!
//! Order (design section 6): token live and meant for the caller (checked before, in `call`) →
//! subject, if one is named → tool registered, enabled, the one it was at mint → scopes → constraints → allow. Any doubt is a
//! deny.

use super::{exchange::authority::covers, snapshot::Snapshot};
use crate::{
    base::{
        id::DecisionId,
        json::{self, Object, Value},
    },
    model::{
        authority::{Entry, Tools},
        call::{Decision, Reason},
        constraint::{Arguments, ViolationKind},
        resource::{Resource, Tool},
        token::OurClaims,
    },
};

/// Decides one call at `resource`, which is the audience of `claims`. Total: every input has an
/// answer, and only [`Reason::Permitted`] allows.
pub fn decide(
    snapshot: &Snapshot,
    claims: &OurClaims,
    resource: &Resource,
    call: &Question<'_>,
) -> Decision {
    let tool = resource.tools.get(call.tool);
    let verdict = match tool {
        _ if !is_about(call, claims) => Err(denial(Reason::SubjectMismatch)),
        None => Err(denial(Reason::ToolUnknown)),
        Some(tool) => permits(snapshot, claims, resource, tool, call.arguments),
    };
    let (reason, argument) = match verdict {
        Ok(()) => (Reason::Permitted, None),
        Err(Denial { reason, argument }) => (reason, argument),
    };
    Decision {
        id: call.id,
        allow: reason == Reason::Permitted,
        reason,
        argument,
        tool: tool.map(|t| t.name.clone()),
        effect: tool.map(|t| t.effect),
    }
}

/// The call, as it was told.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// A fresh id.
    pub id: DecisionId,
    /// Whom the caller takes the token to be for, where it says so.
    pub subject: Option<&'a str>,
    /// The tool, exactly as named in the call.
    pub tool: &'a str,
    /// The arguments as JSON text; `None` when there are none.
    pub arguments: Option<&'a str>,
}

struct Denial {
    reason: Reason,
    argument: Option<String>,
}

const fn denial(reason: Reason) -> Denial {
    Denial { reason, argument: None }
}

/// CZ-3: a door that names a subject names the token's.
fn is_about(call: &Question<'_>, claims: &OurClaims) -> bool {
    call.subject.is_none_or(|subject| *subject == *claims.sub)
}

fn permits(
    snapshot: &Snapshot,
    claims: &OurClaims,
    resource: &Resource,
    tool: &Tool,
    arguments: Option<&str>,
) -> Result<(), Denial> {
    if !tool.enabled {
        return Err(denial(Reason::ToolDisabled));
    }
    if !tool.is_what_it_was(claims.root_revision) {
        return Err(denial(Reason::ToolChanged));
    }
    let cut = snapshot.revocations.tool_cut(&resource.id, &tool.name);
    // By the root: an older hand-over that is exchanged after the cut does not bring it back.
    if cut.is_some_and(|cut| claims.root_revision < cut.revision) {
        return Err(denial(Reason::ToolRevoked));
    }
    let entry = claims.authority.at(&resource.uri).ok_or(denial(Reason::ToolNotDelegated))?;
    let permitted = delegated(entry, tool)?;
    let arguments = object(arguments)?;
    permitted.check(&arguments).map_err(|violation| Denial {
        reason: match violation.kind {
            ViolationKind::NotPermitted => Reason::ArgumentNotPermitted,
            ViolationKind::Missing => Reason::ArgumentMissing,
            ViolationKind::Unexpected => Reason::ArgumentUnexpected,
        },
        argument: Some(violation.pointer),
    })
}

/// What may be passed to the tool, if the entry covers it at all.
fn delegated<'a>(entry: &'a Entry, tool: &Tool) -> Result<&'a Arguments, Denial> {
    let named = match &entry.tools {
        Tools::Named(tools) => Some(tools.get(&tool.name).ok_or(denial(Reason::ToolNotDelegated))?),
        Tools::Undetailed => None,
    };
    if !tool.scopes.is_subset(&entry.scope) {
        return Err(denial(Reason::ScopeMissing));
    }
    match named {
        Some(arguments) => Ok(arguments),
        None if covers(&entry.scope, tool) => Ok(&Arguments::Any),
        None => Err(denial(Reason::ToolNotDelegated)),
    }
}

/// The arguments, read strictly: what another parser might read differently is refused.
fn object(text: Option<&str>) -> Result<Object, Denial> {
    let Some(text) = text else { return Ok(Object::default()) };
    match json::parse(text.as_bytes(), &json::Limits::DEFAULT) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(denial(Reason::ArgumentsMalformed)),
    }
}
