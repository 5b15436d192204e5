//! The policies that concern one action, ready to be evaluated. A decision costs what its own
//! policies cost, however many there are for other tools.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cedar_policy::{Entities, Entity, EntityUid, Policy, PolicySet};
use serde_json::json;

use super::{
    Demand,
    action::{Action, NotCut},
    local::Zone,
    reads::Reads,
    shape::Members,
    text::Written,
};

/// The policies that concern one action.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// The action.
    pub action: EntityUid,
    /// The action in its groups, where a policy asks what is in what.
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
pub(super) struct Known<'a> {
    written: &'a Written,
    reads: &'a Reads,
    /// Without the scope that every slice of calls has looked at, and that of `delegate`; `None`
    /// where it is asked as it is written.
    bare: Option<[Policy; 2]>,
}

impl<'a> Known<'a> {
    /// A policy that looks at this.
    pub fn new(written: &'a Written, reads: &'a Reads) -> Known<'a> {
        let of_calls = without(&written.policy, &["action", "resource"]);
        let of_delegate = without(&written.policy, &["action"]);
        let bare = of_calls.zip(of_delegate).map(|(calls, delegate)| [calls, delegate]);
        Known { written, reads, bare }
    }

    /// The policy as it is asked about an action that it concerns.
    fn asked(&self, action: &Action<'_>) -> &Policy {
        match &self.bare {
            None => &self.written.policy,
            Some([of_calls, _]) if action.call.is_some() => of_calls,
            Some([_, of_delegate]) => of_delegate,
        }
    }

    /// Whether it asks in what the action is, in a condition or in its scope.
    fn asks_hierarchy(&self) -> bool {
        self.reads.hierarchy || self.bare.is_none()
    }
}

/// The same policy for every action, or resource: what a slice has looked at once need not be looked
/// at by every call. Nor does it carry its places in the text along, which Cedar copies with every
/// value. As it only forbids, it never says less than before. `None` where it must be asked as it is.
fn without(policy: &Policy, scope: &[&str]) -> Option<Policy> {
    let mut json = policy.to_json().ok().filter(|json| is_shallow(json, MAX_LEVELS))?;
    let members = json.as_object_mut()?;
    members.extend(scope.iter().map(|part| ((*part).to_owned(), json!({ "op": "All" }))));
    Policy::from_json(Some(policy.id().clone()), json).ok()
}

/// The deepest JSON form of a policy that is read again: Cedar copies what is below a level for each
/// level, and a policy may have thousands. One that is deeper is asked as it is written.
const MAX_LEVELS: usize = 100;

fn is_shallow(json: &serde_json::Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return false };
    match json {
        serde_json::Value::Array(values) => values.iter().all(|value| is_shallow(value, levels)),
        serde_json::Value::Object(members) => members.values().all(|v| is_shallow(v, levels)),
        _ => true,
    }
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
        let concerned: Vec<&Known<'_>> =
            all.iter().filter(|known| known.written.scope.concerns(action)).collect();
        if concerned.is_empty() {
            return Ok(None);
        }
        let mut reads = Reads::default();
        for known in &concerned {
            reads.and(known.reads);
        }
        let layer = |shadow: bool| {
            Layer::of(action, concerned.iter().filter(|known| known.written.rule.shadow == shadow))
        };
        // Without it no action is in any group, and a policy about a group would hold for none.
        let asks = concerned.iter().any(|known| known.asks_hierarchy());
        Ok(Some(Slice {
            hierarchy: if asks {
                hierarchy(&action.id, action.groups.clone())?
            } else {
                Entities::empty()
            },
            members: action.call.as_ref().map(|call| call.members.clone()).unwrap_or_default(),
            enforced: layer(false)?,
            shadow: layer(true)?,
            zones: zones.iter().filter(|zone| reads.zones.has(&zone.name)).cloned().collect(),
            action: action.id.clone(),
            reads,
        }))
    }

    /// Whether anything of it is more than watched.
    pub fn is_enforced(&self) -> bool {
        !self.enforced.reads.is_empty()
    }

    /// Whether the arguments matter to what is enforced.
    pub fn reads_arguments(&self) -> bool {
        let looks = |(_, reads): &(_, Reads)| !reads.arguments.is_empty() || reads.unrepresentable;
        self.enforced.reads.iter().any(looks)
    }

    /// Which arguments matter to what is enforced; `None` where it may be any.
    pub fn arguments_read(&self) -> Option<BTreeSet<String>> {
        let all = self.enforced.reads.iter().map(|(_, reads)| reads);
        all.clone()
            .all(|reads| !reads.arguments.all && !reads.unrepresentable)
            .then(|| all.flat_map(|reads| reads.arguments.named.iter().cloned()).collect())
    }
}

impl Layer {
    fn of<'a>(
        action: &Action<'_>,
        policies: impl Iterator<Item = &'a &'a Known<'a>>,
    ) -> Result<Layer, NotCut> {
        let mut layer = Layer { shortens: action.call.is_none(), ..Layer::default() };
        for known in policies {
            let rule = &known.written.rule;
            layer.set.add(known.asked(action).clone()).map_err(|_| NotCut)?;
            if let Some(demand) = &rule.demand {
                layer.demands.insert(Arc::clone(&rule.id), demand.clone());
            }
            layer.reads.push((Arc::clone(&rule.id), known.reads.clone()));
        }
        Ok(layer)
    }
}

/// An action in its groups.
pub(super) fn hierarchy(id: &EntityUid, groups: Vec<EntityUid>) -> Result<Entities, NotCut> {
    let node = Entity::new_no_attrs(id.clone(), groups.iter().cloned().collect());
    let groups = groups.into_iter().map(|id| Entity::new_no_attrs(id, [].into()));
    Entities::from_entities(groups.chain([node]), None).map_err(|_| NotCut)
}
