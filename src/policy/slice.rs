//! The policies that concern one action, ready to be evaluated. A decision costs what its own
//! policies cost, however many there are for other tools.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cedar_policy::{
    ActionConstraint, Entities, Entity, EntityUid, Policy, PolicySet, ResourceConstraint,
};

use super::{
    Demand,
    local::Zone,
    reads::Reads,
    shape::{self, Members},
    text::Written,
    words,
};
use crate::base::json::Value;

/// The policies that concern one action.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// The action.
    pub action: EntityUid,
    /// The action in its groups.
    pub hierarchy: Entities,
    /// The types of the arguments.
    pub members: Members,
    /// What is enforced.
    pub enforced: Layer,
    /// What is only watched.
    pub shadow: Layer,
    /// What both look at.
    pub reads: Reads,
    /// The zones whose clocks they look at.
    pub zones: Arc<[Zone]>,
}

/// Policies that are evaluated together.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    /// The policies.
    pub set: PolicySet,
    /// What each demands instead of forbidding, by its id.
    pub demands: BTreeMap<Arc<str>, Demand>,
    /// Whether what is asked about is a token that is only being made: its life can be shortened.
    pub shortens: bool,
    /// What each looks at, by its id.
    pub reads: Vec<(Arc<str>, Reads)>,
}

/// One policy with what it looks at.
pub(super) type Known<'a> = (&'a Written, &'a Reads);

/// A set cannot be cut for an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotCut;

/// An action as it is sliced for: its id, its groups, and whom it can be about.
pub(super) struct Action<'a> {
    /// Its id.
    pub id: String,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// The one resource it is at; `None` for `delegate`.
    pub resource: Option<EntityUid>,
    /// The input schema of the tool.
    pub schema: Option<&'a Value>,
}

impl Slice {
    /// The slice for an action; `None` if no policy concerns it.
    ///
    /// # Errors
    /// Where it cannot be made: then there is no set at all, because a call that met less than its
    /// policies would pass.
    pub fn of(
        action: &Action<'_>,
        all: &[Known<'_>],
        zones: &Arc<[Zone]>,
    ) -> Result<Option<Slice>, NotCut> {
        let named = |id: &str| words::action(id).ok_or(NotCut);
        let id = named(&action.id)?;
        let groups: Vec<EntityUid> =
            action.groups.iter().map(|id| named(id)).collect::<Result<_, _>>()?;
        let here = |written: &Written| {
            is_of_action(&written.policy, &id, &groups)
                && is_of_resource(&written.policy, action.resource.as_ref())
        };
        let concerned: Vec<Known<'_>> =
            all.iter().filter(|(written, _)| here(written)).copied().collect();
        if concerned.is_empty() {
            return Ok(None);
        }
        let mut reads = Reads::default();
        for (_, more) in &concerned {
            reads.and(more);
        }
        let node = Entity::new_no_attrs(id.clone(), groups.iter().cloned().collect());
        let groups = groups.into_iter().map(|id| Entity::new_no_attrs(id, [].into()));
        let shortens = action.resource.is_none();
        let watched = |shadow: bool| {
            concerned.iter().filter(move |(written, _)| written.rule.shadow == shadow)
        };
        let hierarchy = Entities::from_entities(groups.chain([node]), None).map_err(|_| NotCut)?;
        Ok(Some(Slice {
            hierarchy,
            members: action.schema.map(shape::arguments).unwrap_or_default(),
            enforced: Layer::of(shortens, watched(false))?,
            shadow: Layer::of(shortens, watched(true))?,
            zones: zones.iter().filter(|z| reads.zones.contains(&z.name)).cloned().collect(),
            action: id,
            reads,
        }))
    }

    /// Whether anything of it is more than watched.
    pub fn is_enforced(&self) -> bool {
        !self.enforced.reads.is_empty()
    }

    /// Whether the arguments matter to what is enforced.
    pub fn reads_arguments(&self) -> bool {
        let looks = |(_, reads): &(_, Reads)| reads.any_argument() || reads.unrepresentable;
        self.enforced.reads.iter().any(looks)
    }

    /// Which arguments matter to what is enforced; `None` where it may be any.
    pub fn arguments_read(&self) -> Option<BTreeSet<String>> {
        let all = self.enforced.reads.iter().map(|(_, reads)| reads);
        all.clone()
            .all(|reads| !reads.all_arguments && !reads.unrepresentable)
            .then(|| all.flat_map(|reads| reads.arguments.iter().cloned()).collect())
    }
}

impl Layer {
    fn of<'a>(
        shortens: bool,
        policies: impl Iterator<Item = &'a Known<'a>>,
    ) -> Result<Layer, NotCut> {
        let mut layer = Layer { shortens, ..Layer::default() };
        for (written, reads) in policies {
            let id = &written.rule.id;
            layer.set.add(written.policy.clone()).map_err(|_| NotCut)?;
            if let Some(demand) = &written.rule.demand {
                layer.demands.insert(Arc::clone(id), demand.clone());
            }
            layer.reads.push((Arc::clone(id), (*reads).clone()));
        }
        Ok(layer)
    }
}

/// Whether a policy concerns an action, by its scope.
pub(super) fn concerns(policy: &Policy, action: &Action<'_>) -> bool {
    let groups: Vec<EntityUid> = action.groups.iter().filter_map(|id| words::action(id)).collect();
    words::action(&action.id).is_some_and(|id| is_of_action(policy, &id, &groups))
        && is_of_resource(policy, action.resource.as_ref())
}

fn is_of_action(policy: &Policy, id: &EntityUid, groups: &[EntityUid]) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(one) => one == *id,
        ActionConstraint::In(all) => all.iter().any(|one| one == id || groups.contains(one)),
    }
}

fn is_of_resource(policy: &Policy, resource: Option<&EntityUid>) -> bool {
    let Some(resource) = resource else { return true };
    match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Eq(one) | ResourceConstraint::In(one) => one == *resource,
        ResourceConstraint::Is(kind) => kind == *resource.type_name(),
        ResourceConstraint::IsIn(kind, one) => kind == *resource.type_name() && one == *resource,
    }
}
