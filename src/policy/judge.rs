//! Asking the policies: what do they say about this call, or about this delegation?

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, Entity, EntityUid, Request,
    RestrictedExpression as Expression,
};

use super::{
    Demand, Policies, local, shape,
    slice::{Layer, Slice},
    words,
};
use crate::{
    base::{
        json::Object,
        time::{Seconds, Timestamp},
    },
    model::{
        actor::Actor,
        client::Client,
        resource::{Resource, Tool},
        scope::ScopeToken,
        token::OurClaims,
    },
};

/// Who acts for whom: what both questions are about.
#[derive(Clone, Copy, Debug)]
pub struct Acting<'a> {
    /// What the token says, or would say.
    pub claims: &'a OurClaims,
    /// Our own issuer.
    pub issuer: &'a str,
    /// The short name of the subject's issuer; empty for an agent that acts for itself.
    pub alias: &'a str,
    /// When.
    pub now: Timestamp,
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who acts for whom.
    pub acting: Acting<'a>,
    /// Where.
    pub resource: &'a Resource,
    /// Which tool.
    pub tool: &'a Tool,
    /// Its arguments.
    pub arguments: &'a Object,
}

/// A token that is about to be made.
#[derive(Clone, Debug)]
pub struct Delegate<'a> {
    /// Who acts for whom.
    pub acting: Acting<'a>,
    /// Whom it is for.
    pub target: For<'a>,
    /// Every tool it covers, with where it is.
    pub tools: Vec<(&'a Resource, &'a Tool)>,
}

/// Whom a token is for.
#[derive(Clone, Copy, Debug)]
pub enum For<'a> {
    /// A server.
    Resource(&'a Resource),
    /// An agent: a hand-over.
    Agent(&'a Client),
}

/// What the policies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is enforced.
    pub outcome: Outcome,
    /// The policies that say so, by id.
    pub decided: Vec<Arc<str>>,
    /// The policies that are only watched and would have said no.
    pub shadow: Vec<Arc<str>>,
    /// The longest life that they leave a token.
    pub max_ttl: Option<Seconds>,
}

/// How it comes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// No policy forbids it.
    #[default]
    Passes,
    /// A policy forbids it.
    Forbidden,
    /// A policy could not be evaluated.
    Failed,
    /// A policy looks at an argument that Cedar has no value for.
    NotRepresentable,
    /// A policy lets it pass only like this.
    Demands(Demand),
}

impl Policies {
    /// What is said about a call.
    pub fn call(&self, call: &Call<'_>) -> Verdict {
        match self.of(call.resource, call.tool) {
            None => Verdict::default(),
            Some(slice) => slice.call(call).unwrap_or_else(|| slice.fails()),
        }
    }

    /// What is said about a token that is about to be made.
    pub fn delegate(&self, delegate: &Delegate<'_>) -> Verdict {
        match &self.delegate {
            None => Verdict::default(),
            Some(slice) => slice.delegate(delegate).unwrap_or_else(|| slice.fails()),
        }
    }
}

impl Slice {
    /// What cannot even be asked is denied, unless all of it is only watched.
    fn fails(&self) -> Verdict {
        let ids = |layer: &Layer| layer.reads.iter().map(|(id, _)| Arc::clone(id)).collect();
        let decided: Vec<Arc<str>> = ids(&self.enforced);
        let outcome = if decided.is_empty() { Outcome::Passes } else { Outcome::Failed };
        Verdict { outcome, decided, shadow: ids(&self.shadow), max_ttl: None }
    }

    fn call(&self, call: &Call<'_>) -> Option<Verdict> {
        let Call { acting, resource, tool, arguments } = call;
        let mut unfit = Vec::new();
        let wanted = |name: &str| self.reads.unrepresentable || self.reads.argument(name);
        let values = shape::values(&self.members, arguments, "", wanted, &mut unfit)?;
        let unrepresentable = unfit.iter().cloned().map(Expression::new_string);
        let context = self.context(
            acting,
            [
                ("tool", text(tool.name.as_str())),
                ("effect", text(tool.effect.as_str())),
                ("arguments", values),
                ("unrepresentable", Expression::new_set(unrepresentable)),
            ],
        )?;
        self.ask(acting, words::resource(&resource.id)?, context, &unfit)
    }

    fn delegate(&self, delegate: &Delegate<'_>) -> Option<Verdict> {
        let Delegate { acting, target, tools } = delegate;
        let resource = match target {
            For::Resource(resource) => words::resource(&resource.id)?,
            For::Agent(client) => words::agent(client.id.as_str())?,
        };
        let names = tools.iter().map(|(at, tool)| text(&words::tool(&at.id, &tool.name)));
        let effects: HashSet<&str> = tools.iter().map(|(_, tool)| tool.effect.as_str()).collect();
        let scope: HashSet<&str> = acting
            .claims
            .authority
            .iter()
            .flat_map(|(_, entry)| entry.scope.iter().map(ScopeToken::as_str))
            .collect();
        let context = self.context(
            acting,
            [
                ("tools", Expression::new_set(names)),
                ("effects", Expression::new_set(effects.into_iter().map(text))),
                ("scope", Expression::new_set(scope.into_iter().map(text))),
            ],
        )?;
        self.ask(acting, resource, context, &[])
    }

    fn ask(
        &self,
        acting: &Acting<'_>,
        resource: EntityUid,
        context: Context,
        unfit: &[String],
    ) -> Option<Verdict> {
        let principal = words::subject(&acting.claims.sub)?;
        let subject = subject(acting, principal.clone())?;
        let entities = self.hierarchy.clone().add_entities([subject], None).ok()?;
        let request = Request::new(principal, self.action.clone(), resource, context, None).ok()?;
        let enforced = self.enforced.ask(acting, &request, &entities, unfit);
        let shadow = self.shadow.would_refuse(acting, &request, &entities, unfit);
        Some(Verdict { shadow, ..enforced })
    }

    fn context<const N: usize>(
        &self,
        acting: &Acting<'_>,
        more: [(&str, Expression); N],
    ) -> Option<Context> {
        let Acting { claims, issuer, now, .. } = acting;
        let hops = claims.chain.hops();
        let named = |actor: &Actor| agent(actor, issuer).map(Expression::new_entity_uid);
        let mut agents: Vec<Expression> = hops.iter().map(named).collect::<Option<_>>()?;
        if agents.is_empty() {
            // An agent that acts for itself is the one that acts.
            agents.push(Expression::new_entity_uid(words::agent(claims.client.as_str())?));
        }
        let clocks = self.zones.iter().map(|zone| Some((zone.name.clone(), zone.at(*now)?)));
        let authentication = &claims.authentication;
        let acr = authentication.acr.as_deref().map(|acr| ("acr", text(acr)));
        let age = authentication.auth_time.map(|at| {
            let age = at.until(*now).get().max(0);
            ("auth_age", Expression::new_long(age))
        });
        let methods = authentication.amr.iter().map(|method| text(method));
        let common = [
            ("actor", agents.first()?.clone()),
            ("depth", Expression::new_long(depth(claims))),
            ("chain", Expression::new_set(agents)),
            ("verified", Expression::new_bool(hops.iter().all(|hop| *hop.issuer == **issuer))),
            ("bound", Expression::new_bool(claims.bound.is_some())),
            ("amr", Expression::new_set(methods)),
            ("now", local::moment(*now)?),
            ("local", Expression::new_record(clocks.collect::<Option<Vec<_>>>()?).ok()?),
        ];
        let members = common.into_iter().chain(acr).chain(age).chain(more);
        Context::from_pairs(members.map(|(name, value)| (name.to_owned(), value))).ok()
    }
}

impl Layer {
    fn ask(
        &self,
        acting: &Acting<'_>,
        request: &Request,
        entities: &Entities,
        unfit: &[String],
    ) -> Verdict {
        if self.reads.is_empty() {
            return Verdict::default();
        }
        let blind = self.blind_to(unfit);
        if !blind.is_empty() {
            return Verdict::no(Outcome::NotRepresentable, blind);
        }
        let answer = Authorizer::new().is_authorized(request, &self.set, entities);
        let failed: Vec<Arc<str>> = answer.diagnostics().errors().map(failed).collect();
        if !failed.is_empty() {
            return Verdict::no(Outcome::Failed, failed);
        }
        let mut satisfied: Vec<Arc<str>> = answer.diagnostics().reason().map(id).collect();
        satisfied.sort();
        self.weighed(acting, satisfied)
    }

    /// Every policy that would say no, or could not be asked: none hides another. One that leaves a
    /// token less time is among them, as it would have changed what came out.
    fn would_refuse(
        &self,
        acting: &Acting<'_>,
        request: &Request,
        entities: &Entities,
        unfit: &[String],
    ) -> Vec<Arc<str>> {
        if self.reads.is_empty() {
            return Vec::new();
        }
        let answer = Authorizer::new().is_authorized(request, &self.set, entities);
        let failed = answer.diagnostics().errors().map(failed);
        let demand = |id: &Arc<str>| self.demands.get(id);
        let met = |demand: &Demand| {
            !(self.shortens && matches!(demand, Demand::MaxTtl(_))) && demand.is_met(acting.claims)
        };
        let satisfied = answer.diagnostics().reason().map(id);
        let refusing = satisfied.filter(|id| !demand(id).is_some_and(met));
        let all: BTreeSet<Arc<str>> =
            self.blind_to(unfit).into_iter().chain(failed).chain(refusing).collect();
        all.into_iter().collect()
    }

    /// The policies that look at an argument which has no value in Cedar.
    fn blind_to(&self, unfit: &[String]) -> Vec<Arc<str>> {
        let outermost = |pointer: &String| {
            let name = pointer.strip_prefix('/').unwrap_or(pointer).split('/').next();
            name.unwrap_or_default().replace("~1", "/").replace("~0", "~")
        };
        let names: Vec<String> = unfit.iter().map(outermost).collect();
        let blind = |reads: &super::reads::Reads| names.iter().any(|name| reads.argument(name));
        let ids = self.reads.iter().filter(|(_, reads)| blind(reads));
        ids.map(|(id, _)| Arc::clone(id)).collect()
    }

    /// What the policies whose conditions hold come to: a plain one forbids; one that demands
    /// something forbids only what does not have it.
    fn weighed(&self, acting: &Acting<'_>, satisfied: Vec<Arc<str>>) -> Verdict {
        let plain = |id: &Arc<str>| !self.demands.contains_key(id);
        let forbidding: Vec<Arc<str>> = satisfied.iter().filter(|id| plain(id)).cloned().collect();
        if !forbidding.is_empty() {
            return Verdict::no(Outcome::Forbidden, forbidding);
        }
        let mut verdict = Verdict::default();
        for id in satisfied {
            match self.demands.get(&id) {
                None => {}
                // A token that is only being made is made as short as it must be.
                Some(Demand::MaxTtl(ttl)) if self.shortens => {
                    let least = verdict.max_ttl.map_or(*ttl, |least| least.min(*ttl));
                    verdict.max_ttl = Some(least);
                }
                Some(demand) if demand.is_met(acting.claims) => {}
                Some(demand) if verdict.outcome == Outcome::Passes => {
                    verdict.outcome = Outcome::Demands(demand.clone());
                    verdict.decided = vec![id];
                }
                Some(_) => verdict.decided.push(id),
            }
        }
        verdict
    }
}

impl Verdict {
    fn no(outcome: Outcome, decided: Vec<Arc<str>>) -> Verdict {
        Verdict { outcome, decided, ..Verdict::default() }
    }
}

impl Demand {
    /// Whether a token has what is demanded.
    fn is_met(&self, claims: &OurClaims) -> bool {
        match self {
            Demand::Dpop => claims.bound.is_some(),
            Demand::Acr(class) => claims.authentication.acr.as_deref() == Some(class),
            Demand::MaxDepth(most) => depth(claims) <= *most,
            Demand::MaxTtl(most) => claims.issued_at.until(claims.expires_at) <= *most,
        }
    }
}

fn failed(AuthorizationError::PolicyEvaluationError(error): &AuthorizationError) -> Arc<str> {
    id(error.policy_id())
}

pub(super) fn id(id: &cedar_policy::PolicyId) -> Arc<str> {
    AsRef::<str>::as_ref(id).into()
}

fn text(text: &str) -> Expression {
    Expression::new_string(text.to_owned())
}

/// How many agents act: one at least.
fn depth(claims: &OurClaims) -> i64 {
    i64::try_from(claims.chain.hops().len()).unwrap_or(i64::MAX).max(1)
}

/// One of our agents by its client id; another issuer's by both its names.
fn agent(actor: &Actor, issuer: &str) -> Option<EntityUid> {
    if *actor.issuer == *issuer {
        words::agent(&actor.sub)
    } else {
        words::agent(&format!("{}|{}", actor.issuer, actor.sub))
    }
}

fn subject(acting: &Acting<'_>, principal: EntityUid) -> Option<Entity> {
    let Acting { claims, alias, .. } = acting;
    let groups = claims.groups.iter().map(|group| text(group));
    let attributes = HashMap::from([
        ("issuer".to_owned(), text(alias)),
        ("groups".to_owned(), Expression::new_set(groups)),
        ("is_agent".to_owned(), Expression::new_bool(claims.own)),
    ]);
    Entity::new(principal, attributes, HashSet::new()).ok()
}
