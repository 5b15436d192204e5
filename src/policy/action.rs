//! What delegation policies are about, calling each tool and making a token, and which of it a
//! policy concerns by its scope.

use cedar_policy::{ActionConstraint, EntityUid, Policy, ResourceConstraint};

use super::{
    shape::{self, Members},
    words,
};
use crate::model::resource::{Resource, Tool};

/// A set cannot be cut for an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotCut;

/// An action that can be asked about.
pub(super) struct Action<'a> {
    /// Its id.
    pub id: EntityUid,
    /// The groups it is in.
    pub groups: Vec<EntityUid>,
    /// What is called; `None` where a token is made.
    pub call: Option<Call<'a>>,
}

/// A call of a tool.
pub(super) struct Call<'a> {
    /// Of which server.
    pub resource: &'a Resource,
    /// Which tool.
    pub tool: &'a Tool,
    /// The types of its arguments.
    pub members: Members,
    at: EntityUid,
}

impl<'a> Action<'a> {
    /// Making a token.
    pub fn delegate() -> Result<Action<'a>, NotCut> {
        let id = words::action(words::DELEGATE).ok_or(NotCut)?;
        Ok(Action { id, groups: Vec::new(), call: None })
    }

    /// Calling each tool of these resources.
    pub fn calls(resources: &[&'a Resource]) -> Result<Vec<Action<'a>>, NotCut> {
        let all = resources.iter().flat_map(|at| at.tools.values().map(move |tool| (*at, tool)));
        all.map(|(at, tool)| Action::call(at, tool).ok_or(NotCut)).collect()
    }

    fn call(resource: &'a Resource, tool: &'a Tool) -> Option<Action<'a>> {
        let groups = words::groups(&resource.id, tool.effect);
        Some(Action {
            id: words::action(&words::tool(&resource.id, &tool.name))?,
            groups: groups.iter().map(|id| words::action(id)).collect::<Option<_>>()?,
            call: Some(Call {
                resource,
                tool,
                members: shape::arguments(&tool.input_schema),
                at: words::resource(&resource.id)?,
            }),
        })
    }
}

/// The scope of a policy, read once: it is compared with every tool.
pub(super) struct Scope {
    action: ActionConstraint,
    resource: ResourceConstraint,
}

impl Scope {
    /// A policy's.
    pub fn of(policy: &Policy) -> Scope {
        Scope { action: policy.action_constraint(), resource: policy.resource_constraint() }
    }

    /// Whether the policy concerns an action.
    pub fn concerns(&self, action: &Action<'_>) -> bool {
        let is = |one: &EntityUid| *one == action.id;
        let of_action = match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(one) => is(one),
            ActionConstraint::In(all) => {
                all.iter().any(|one| is(one) || action.groups.contains(one))
            }
        };
        of_action && action.call.as_ref().is_none_or(|call| self.is_at(&call.at))
    }

    fn is_at(&self, resource: &EntityUid) -> bool {
        match &self.resource {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(one) | ResourceConstraint::In(one) => one == resource,
            ResourceConstraint::Is(kind) => kind == resource.type_name(),
            ResourceConstraint::IsIn(kind, one) => kind == resource.type_name() && one == resource,
        }
    }
}
