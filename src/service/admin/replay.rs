//! A draft of the policies, tried on what was decided: each recorded decision again, by the registry
//! of then and the policies of the draft. Nothing is changed.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{Refused, policies::not_compiled, records};
use crate::{
    base::{
        id::{DecisionId, DelegationId, ResourceId},
        secret::Fingerprint,
        time::Timestamp,
    },
    engine::{
        replay::{self, Came, Replayed},
        snapshot::Snapshot,
    },
    model::{event::Kind, policy::Sources, token::OurClaims},
    policy::Policies,
    registry::policy_set,
    service::{
        Deputy,
        policies::{self, Drafts, NotCompiled},
    },
    store::{Document, EventFilter, Page, StoredEvent},
};

/// States of the registry that are built for one replay. The draft is compiled for each in which the
/// tools are others.
const STATES_MAX: usize = 64;

/// What a draft would have changed.
#[derive(Debug, Default)]
pub struct Replay {
    /// All decisions that were looked at.
    pub total: Counts,
    /// The same by agent and tool.
    pub groups: BTreeMap<(String, String, String), Group>,
    /// Why decisions were undecidable, and how many.
    pub undecidable: BTreeMap<&'static str, u64>,
    /// The time of the oldest decision that was looked at.
    pub oldest: Option<Timestamp>,
    /// Whether every decision was looked at that was asked for and is on record.
    pub complete: bool,
}

/// How decisions would have come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As they did.
    pub unchanged: u64,
    /// Allowed, and they were denied.
    pub newly_allowed: u64,
    /// Denied, and they were allowed.
    pub newly_denied: u64,
    /// That cannot be told.
    pub undecidable: u64,
}

/// Decisions about one agent and one tool.
#[derive(Debug, Default)]
pub struct Group {
    /// How they would have come out.
    pub counts: Counts,
    /// The newest of those that would have come out differently.
    pub examples: Vec<Example>,
}

impl Group {
    /// The most examples that are told.
    pub const EXAMPLES_MAX: usize = 3;
}

/// One decision that would have come out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Which.
    pub decision: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// Why it was made as it was.
    pub before: Cow<'static, str>,
    /// Why it would have been made otherwise.
    pub after: &'static str,
    /// The policies of the draft that say no.
    pub policies: Vec<Arc<str>>,
}

/// Why a decision cannot be replayed.
const NOT_KEPT: &str = "argument_values_not_kept";
const NO_TOKEN: &str = "asked_without_a_token";
const HISTORY_GONE: &str = "history_not_kept";
const DELEGATION_GONE: &str = "delegation_not_kept";
const OTHER_TOOLS: &str = "draft_does_not_validate_against_the_tools_of_then";

impl Deputy {
    /// Tries a draft on recorded decisions, the newest first.
    pub async fn replay_policies(&self, body: &str) -> Result<Replay, Refused> {
        let order = policy_set::parse_replay(body)?;
        let drafts = self.0.policies.drafts().await;
        let now = self.newest().await?;
        let resources = now.config.resources().cloned().collect();
        // What does not validate now could not be activated anyway.
        let valid = drafts.compile(order.sources.clone(), resources).await;
        valid.map_err(|error| below(not_compiled(&order.sources, error)))?;
        self.store().writer().flush().await?;
        let mut run = Run::new(self, &drafts, &order.sources);
        let filter = EventFilter {
            kind: Some(Kind::Decision),
            since: order.since,
            ..EventFilter::default()
        };
        let mut page = Page { after: None, limit: order.limit.min(Page::LIMIT_MAX) };
        let mut left = order.limit;
        loop {
            let found = self.store().events(&filter, &page).await?;
            for event in found.items.iter().take(left.into()) {
                if !run.take(event).await? {
                    return Ok(run.replay);
                }
            }
            left = left.saturating_sub(u16::try_from(found.items.len()).unwrap_or(u16::MAX));
            let Some(next) = found.next else {
                run.replay.complete = true;
                return Ok(run.replay);
            };
            if left == 0 {
                return Ok(run.replay);
            }
            page.after = Some(next);
        }
    }
}

/// A fault of the draft stands below the member that holds it.
fn below(refused: Refused) -> Refused {
    match refused {
        Refused::Faulty(mut faults) => {
            for placed in &mut faults {
                placed.field = format!("/{}{}", policy_set::DRAFT, placed.field);
            }
            Refused::Faulty(faults)
        }
        other => other,
    }
}

/// One replay under way.
struct Run<'a> {
    deputy: &'a Deputy,
    drafts: &'a Drafts<'a>,
    sources: &'a Sources,
    state: Option<State>,
    states: usize,
    compiled: HashMap<Fingerprint, Option<Arc<Policies>>>,
    claims: HashMap<DelegationId, Option<OurClaims>>,
    replay: Replay,
}

/// The registry between two of its changes, with the policies of the draft.
struct State {
    from: u64,
    to: u64,
    snapshot: Result<Snapshot, &'static str>,
}

impl<'a> Run<'a> {
    fn new(deputy: &'a Deputy, drafts: &'a Drafts<'a>, sources: &'a Sources) -> Run<'a> {
        Run {
            deputy,
            drafts,
            sources,
            state: None,
            states: 0,
            compiled: HashMap::new(),
            claims: HashMap::new(),
            replay: Replay::default(),
        }
    }

    /// Takes one decision in; `false` when it would be too much.
    async fn take(&mut self, found: &StoredEvent) -> Result<bool, Refused> {
        if !self.knows_state(found.event.revision).await? {
            return Ok(false);
        }
        let came = self.again(found).await?;
        self.replay.count(found, came);
        Ok(true)
    }

    /// The decision again, or why it cannot be made again.
    async fn again(
        &mut self,
        found: &StoredEvent,
    ) -> Result<Result<Replayed, &'static str>, Refused> {
        let event = &found.event;
        let Some(delegation) = event.delegation else { return Ok(Err(NO_TOKEN)) };
        let snapshot = match self.state.as_ref().map(|state| &state.snapshot) {
            Some(Ok(snapshot)) => snapshot,
            Some(Err(why)) => return Ok(Err(why)),
            None => return Ok(Err(HISTORY_GONE)),
        };
        let claims = if let Some(known) = self.claims.get(&delegation) {
            known
        } else {
            let stored = self.deputy.store().delegation(delegation).await?;
            let claims = stored.and_then(|stored| records::claims_of(snapshot, &stored));
            self.claims.entry(delegation).or_insert(claims)
        };
        let Some(claims) = claims else { return Ok(Err(DELEGATION_GONE)) };
        let replayed = replay::replay(snapshot, claims, event, found.erased);
        Ok(if replayed.came == Came::Undecidable { Err(NOT_KEPT) } else { Ok(replayed) })
    }

    /// Makes sure that the registry as it stood at a revision is at hand. Between two changes of it
    /// revocations only count on, and no policy looks at those.
    async fn knows_state(&mut self, revision: u64) -> Result<bool, Refused> {
        let is_at_hand = |state: &State| (state.from..=state.to).contains(&revision);
        if self.state.as_ref().is_some_and(is_at_hand) {
            return Ok(true);
        }
        if self.states >= STATES_MAX {
            return Ok(false);
        }
        self.states = self.states.saturating_add(1);
        let then = self.deputy.then(revision).await?;
        self.state = Some(match then {
            None => State { from: revision, to: revision, snapshot: Err(HISTORY_GONE) },
            Some(then) => {
                let from = then.documents.iter().map(|d| d.revision).max().unwrap_or_default();
                let policies = self.policies(&then.snapshot, &then.documents).await?;
                let snapshot = policies
                    .map(|policies| Snapshot { policies, ..Snapshot::clone(&then.snapshot) });
                State { from, to: revision, snapshot: snapshot.ok_or(OTHER_TOOLS) }
            }
        });
        Ok(true)
    }

    /// The draft against the tools of then; `None` if it does not validate against those.
    async fn policies(
        &mut self,
        then: &Snapshot,
        documents: &[Document],
    ) -> Result<Option<Arc<Policies>>, Refused> {
        let tools = policies::tools(documents);
        if let Some(known) = self.compiled.get(&tools) {
            return Ok(known.clone());
        }
        let resources = then.config.resources().cloned().collect();
        let compiled = match self.drafts.compile(self.sources.clone(), resources).await {
            Ok(policies) => Some(policies),
            Err(NotCompiled::Faults(_)) => None,
            Err(NotCompiled::Fault(fault)) => return Err(fault.into()),
        };
        self.compiled.insert(tools, compiled.clone());
        Ok(compiled)
    }
}

impl Replay {
    fn count(&mut self, found: &StoredEvent, came: Result<Replayed, &'static str>) {
        let event = &found.event;
        self.oldest = Some(event.at);
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let agent = text(event.chain.first().map(|hop| &*hop.sub));
        let resource = text(event.resource.as_ref().map(ResourceId::as_str));
        let group = self.groups.entry((agent, resource, text(event.tool.as_deref()))).or_default();
        let came = match came {
            Ok(replayed) => {
                group.note(found, &replayed);
                replayed.came
            }
            Err(why) => {
                let count = self.undecidable.entry(why).or_default();
                *count = count.saturating_add(1);
                Came::Undecidable
            }
        };
        self.total.add(came);
        group.counts.add(came);
    }
}

impl Group {
    fn note(&mut self, found: &StoredEvent, replayed: &Replayed) {
        let differs = matches!(replayed.came, Came::NewlyAllowed | Came::NewlyDenied);
        if let (true, true, Some(decision), Some(after)) = (
            differs,
            self.examples.len() < Group::EXAMPLES_MAX,
            found.event.decision,
            replayed.reason,
        ) {
            self.examples.push(Example {
                decision,
                at: found.event.at,
                before: found.event.reason.clone(),
                after: after.as_str(),
                policies: replayed.policies.clone(),
            });
        }
    }
}

impl Counts {
    fn add(&mut self, came: Came) {
        let count = match came {
            Came::Unchanged => &mut self.unchanged,
            Came::NewlyAllowed => &mut self.newly_allowed,
            Came::NewlyDenied => &mut self.newly_denied,
            Came::Undecidable => &mut self.undecidable,
        };
        *count = count.saturating_add(1);
    }

    /// How many there are.
    pub const fn all(&self) -> u64 {
        self.unchanged
            .saturating_add(self.newly_allowed)
            .saturating_add(self.newly_denied)
            .saturating_add(self.undecidable)
    }
}
