//! Asking the policies: what do they say about this call, or about this delegation?

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, Entity, EntityUid, Request,
    RestrictedExpression as Expression,
};

use super::{
    Demand, Policies, local,
    reads::{Names, Reads},
    shape,
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
        let wanted = |name: &str| self.reads.unrepresentable || self.reads.arguments.has(name);
        let values = shape::values(&self.members, arguments, wanted, &mut unfit)?;
        let unrepresentable = || unfit.iter().cloned().map(Expression::new_string);
        let mut context = self.context(acting)?;
        context.put("tool", || text(tool.name.as_str()));
        context.put("effect", || text(tool.effect.as_str()));
        context.put("arguments", || values);
        context.put("unrepresentable", || Expression::new_set(unrepresentable()));
        self.ask(acting, words::resource(&resource.id)?, context, &unfit)
    }

    fn delegate(&self, delegate: &Delegate<'_>) -> Option<Verdict> {
        let Delegate { acting, target, tools } = delegate;
        let resource = match target {
            For::Resource(resource) => words::resource(&resource.id)?,
            For::Agent(client) => words::agent(client.id.as_str())?,
        };
        let names = || tools.iter().map(|(at, tool)| text(&words::tool(&at.id, &tool.name)));
        let effects = || tools.iter().map(|(_, tool)| tool.effect.as_str());
        let entries = || acting.claims.authority.iter().map(|(_, entry)| entry);
        let scope = || entries().flat_map(|entry| entry.scope.iter().map(ScopeToken::as_str));
        let mut context = self.context(acting)?;
        context.put("tools", || Expression::new_set(names()));
        context.put("effects", || texts(effects()));
        context.put("scope", || texts(scope()));
        self.ask(acting, resource, context, &[])
    }

    fn ask(
        &self,
        acting: &Acting<'_>,
        resource: EntityUid,
        context: Members<'_>,
        unfit: &[String],
    ) -> Option<Verdict> {
        let principal = words::subject(&acting.claims.sub)?;
        let entities = self.entities(acting, &principal)?;
        let context = Context::from_pairs(context.made).ok()?;
        let request = Request::new(principal, self.action.clone(), resource, context, None).ok()?;
        let enforced = self.enforced.ask(acting, &request, &entities, unfit);
        let shadow = self.shadow.would_refuse(acting, &request, &entities, unfit);
        Some(Verdict { shadow, ..enforced })
    }

    /// The entities that are looked into: the action, and the subject where an attribute of it is
    /// taken. No other has any.
    fn entities(&self, acting: &Acting<'_>, principal: &EntityUid) -> Option<Cow<'_, Entities>> {
        let Acting { claims, alias, .. } = acting;
        let mut attributes = Members::of(&self.reads.attributes);
        attributes.put("issuer", || text(alias));
        attributes.put("groups", || texts(claims.groups.iter().map(AsRef::as_ref)));
        attributes.put("is_agent", || Expression::new_bool(claims.own));
        if attributes.made.is_empty() {
            return Some(Cow::Borrowed(&self.hierarchy));
        }
        let attributes = attributes.made.into_iter().collect();
        let subject = Entity::new(principal.clone(), attributes, HashSet::new()).ok()?;
        Some(Cow::Owned(self.hierarchy.clone().add_entities([subject], None).ok()?))
    }

    /// What both questions tell, as far as it is looked at.
    fn context(&self, acting: &Acting<'_>) -> Option<Members<'_>> {
        let Acting { claims, issuer, now, .. } = acting;
        let hops = claims.chain.hops();
        let mut context = Members::of(&self.reads.context);
        if context.wants("actor") || context.wants("chain") {
            let named = |actor: &Actor| agent(actor, issuer).map(Expression::new_entity_uid);
            let mut agents: Vec<Expression> = hops.iter().map(named).collect::<Option<_>>()?;
            if agents.is_empty() {
                // An agent that acts for itself is the one that acts.
                agents.push(Expression::new_entity_uid(words::agent(claims.client.as_str())?));
            }
            let actor = agents.first()?.clone();
            context.put("actor", || actor);
            context.put("chain", || Expression::new_set(agents));
        }
        context.put("depth", || Expression::new_long(depth(claims)));
        let verified = || hops.iter().all(|hop| *hop.issuer == **issuer);
        context.put("verified", || Expression::new_bool(verified()));
        context.put("bound", || Expression::new_bool(claims.bound.is_some()));
        let authentication = &claims.authentication;
        context.put("amr", || texts(authentication.amr.iter().map(String::as_str)));
        if let Some(acr) = &authentication.acr {
            context.put("acr", || text(acr));
        }
        if let Some(at) = authentication.auth_time {
            let age = at.until(*now).get().max(0);
            context.put("auth_age", || Expression::new_long(age));
        }
        if context.wants("now") {
            let now = local::moment(*now)?;
            context.put("now", || now);
        }
        if context.wants("local") {
            let clocks = self.zones.iter().map(|zone| Some((zone.name.clone(), zone.at(*now)?)));
            let local = Expression::new_record(clocks.collect::<Option<Vec<_>>>()?).ok()?;
            context.put("local", || local);
        }
        Some(context)
    }
}

/// Members of a record that is being made: those that are looked at. The others cost nothing.
struct Members<'a> {
    wanted: &'a Names,
    made: Vec<(String, Expression)>,
}

impl<'a> Members<'a> {
    fn of(wanted: &'a Names) -> Members<'a> {
        Members { wanted, made: Vec::new() }
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.has(name)
    }

    fn put(&mut self, name: &str, value: impl FnOnce() -> Expression) {
        if self.wants(name) {
            self.made.push((name.to_owned(), value()));
        }
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
        let blind = |reads: &Reads| names.iter().any(|name| reads.arguments.has(name));
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

fn texts<'a>(all: impl Iterator<Item = &'a str>) -> Expression {
    Expression::new_set(all.map(text))
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
