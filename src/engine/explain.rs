//! Why a call was decided as it was: the decision function again, watched step by step, over the
//! snapshot of then. Nothing here decides: every outcome comes from the function that decided.
//!
//! Where argument values were not kept, the steps that need them are undecidable and say so. What
//! is told here (limits, what would have been enough) is for administrators and for nobody else.

use std::collections::BTreeMap;

use super::{
    decide::{self, Denial, Question, Trace, Unproved},
    kept,
    snapshot::Snapshot,
};
use crate::{
    base::{
        id::{ClientId, DecisionId},
        json::{Object, Value},
        text::pointer as below,
        time::Timestamp,
    },
    model::{
        authority::{Authority, Entry, ToolName, Tools},
        call::{Policed, Reason, Step},
        constraint::{Argument, Arguments, Constraint, Shape},
        details,
        max_calls::MaxCalls,
        resource::{Resource, Tool},
        token::{KeyThumbprint, OurClaims, OurKind},
    },
    oauth,
};

/// One call, with everything it was decided by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// A name for the decision.
    pub id: DecisionId,
    /// What the token says.
    pub claims: &'a OurClaims,
    /// Who asked, or would ask: the server that was called.
    pub caller: Option<&'a ClientId>,
    /// Whom the caller named, where that was not the token's subject.
    pub subject: Option<&'a str>,
    /// The tool, as it was named.
    pub tool: &'a str,
    /// What is known of the arguments.
    pub arguments: Known<'a>,
    /// The reason on record. It is believed only for what rests on something that is kept nowhere:
    /// the proof of a key, and what was used up.
    pub recorded: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// What is known of a call's arguments.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// All of them.
    Whole(&'a Object),
    /// They were an object; these values of it were kept.
    Partly(&'a Object),
    /// Nothing, not even whether they could be read.
    Nothing,
}

/// How a step came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not hold, and so decides: with this machine code.
    Failed(&'static str),
    /// It cannot be told, because argument values were not kept.
    Undecidable,
    /// An earlier step decided.
    NotReached,
}

impl Outcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::Undecidable => "undecidable",
            Outcome::NotReached => "not_reached",
        }
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why, as a machine code: a [`Reason`], or what the token died of.
    pub reason: &'static str,
    /// The argument it failed on, where the values show it.
    pub argument: Option<String>,
}

impl Verdict {
    /// Whether the call may run.
    pub fn allows(&self) -> bool {
        self.reason == Reason::Permitted.as_str()
    }
}

/// One limit on one argument, beside the value that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The argument, as a JSON Pointer.
    pub argument: String,
    /// The constraint, as the token writes it.
    pub constraint: Value,
    /// The value, where it is known.
    pub value: Option<Value>,
    /// Whether the constraint permits the value, or its absence; `None` where neither is known, nor
    /// on record that this limit decided.
    pub permits: Option<bool>,
}

/// Why a call was decided as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Every step in order.
    pub steps: Vec<(Step, Outcome)>,
    /// What came of it; `None` where that cannot be told.
    pub verdict: Option<Verdict>,
    /// Every limit that the token has on the arguments of this tool.
    pub limits: Vec<Limit>,
    /// What the policies said.
    pub policed: Policed,
    /// The smallest grant that would have allowed the call, as `authorization_details`.
    pub smallest_grant: Option<String>,
}

impl Explanation {
    /// Marks the limit that decided, by the argument that is on record; its value may be unknown.
    pub fn decided_by(&mut self, argument: Option<&str>) {
        let open = self.limits.iter_mut().filter(|limit| limit.permits.is_none());
        for limit in open.filter(|limit| Some(limit.argument.as_str()) == argument) {
            limit.permits = Some(false);
        }
    }
}

/// Decides the call again and says how it went.
pub fn explain(snapshot: &Snapshot, case: &Case<'_>) -> Explanation {
    let mut seen = Seen::default();
    let mut policed = Policed::default();
    let resource = before(snapshot, case, &mut seen);
    let verdict = match (resource, seen.failed()) {
        (Some(resource), None) => again(snapshot, case, resource, (&mut seen, &mut policed)),
        (_, Some(reason)) => Some(Verdict { reason, argument: None }),
        // Without a resource the step before has failed.
        (None, None) => None,
    };
    let permitted = resource.and_then(|resource| permitted(case, resource));
    let cure = verdict.as_ref().filter(|verdict| is_curable(verdict.reason));
    Explanation {
        steps: seen.all(),
        limits: limits(permitted, case.arguments),
        policed,
        smallest_grant: cure.and(resource).and_then(|r| smallest_grant(case, r)),
        verdict,
    }
}

/// Remembers how each step came out.
#[derive(Debug, Default)]
struct Seen(BTreeMap<Step, Outcome>);

impl Trace for Seen {
    fn sees<V>(&mut self, step: Step, outcome: Result<V, Denial>) -> Result<V, Denial> {
        let came = match &outcome {
            Ok(_) => Outcome::Passed,
            Err(denial) => Outcome::Failed(denial.reason.as_str()),
        };
        self.0.insert(step, came);
        outcome
    }
}

impl Seen {
    fn failed(&self) -> Option<&'static str> {
        self.0.values().find_map(|outcome| match outcome {
            Outcome::Failed(reason) => Some(*reason),
            Outcome::Passed | Outcome::Undecidable | Outcome::NotReached => None,
        })
    }

    /// What stands behind a step that cannot be told cannot be told either.
    fn leave_open(&mut self, from: Step) {
        for step in Step::ALL.into_iter().filter(|step| *step >= from) {
            self.0.insert(step, Outcome::Undecidable);
        }
    }

    fn all(&self) -> Vec<(Step, Outcome)> {
        let came = |step: Step| self.0.get(&step).copied().unwrap_or(Outcome::NotReached);
        Step::ALL.into_iter().map(|step| (step, came(step))).collect()
    }
}

/// What the doors ask before anything is decided.
fn before<'a>(snapshot: &'a Snapshot, case: &Case<'_>, seen: &mut Seen) -> Option<&'a Resource> {
    let live = snapshot.is_live(case.claims, case.at);
    let live = live.map_or_else(|dead| Outcome::Failed(dead.as_str()), |()| Outcome::Passed);
    seen.0.insert(Step::TokenLive, live);
    if live != Outcome::Passed {
        return None;
    }
    let resource = snapshot.resource_of(case.claims);
    let resource =
        resource.filter(|r| case.claims.kind == OurKind::Call && Some(&r.owner) == case.caller);
    let meant = if resource.is_some() { Outcome::Passed } else { Outcome::Failed(NOT_MEANT) };
    seen.0.insert(Step::MeantForCaller, meant);
    resource.map(AsRef::as_ref)
}

/// The token is another server's matter.
const NOT_MEANT: &str = "not_meant_for_caller";

/// The decision function; with as much of the arguments as is known.
fn again(
    snapshot: &Snapshot,
    case: &Case<'_>,
    resource: &Resource,
    (seen, policed): (&mut Seen, &mut Policed),
) -> Option<Verdict> {
    let text = match case.arguments {
        Known::Whole(arguments) | Known::Partly(arguments) => Some(arguments.to_json()),
        Known::Nothing => None,
    };
    let whole = matches!(case.arguments, Known::Whole(_));
    let question = Question {
        id: case.id,
        subject: case.subject,
        tool: case.tool,
        arguments: text.as_deref(),
        holder: holder(case),
        now: case.at,
    };
    let decision = decide::decide(snapshot, case.claims, resource, &question, seen);
    let reason = if decision.allow { used_up(case, seen) } else { decision.reason };
    let verdict = Verdict { reason: reason.as_str(), argument: decision.argument };
    *policed = decision.policed;
    if whole || !seen.0.contains_key(&Step::ArgumentsReadable) {
        return Some(verdict);
    }
    let verdict = without_values(snapshot, case, resource, (verdict, seen));
    if seen.0.get(&Step::Policies) == Some(&Outcome::Undecidable) {
        *policed = Policed::default();
    }
    verdict
}

/// Whose key was proved, as the record has it; the proof itself is not kept.
fn holder<'a>(case: &Case<'a>) -> Result<Option<&'a KeyThumbprint>, Unproved> {
    match case.recorded.and_then(Reason::of) {
        Some(Reason::DpopProofMissing) => Ok(None),
        Some(Reason::DpopProofInvalid) => Err(Unproved),
        Some(_) | None => Ok(case.claims.bound.as_ref()),
    }
}

/// Whether what the call uses up was there, as the record has it: only the store can say.
fn used_up(case: &Case<'_>, seen: &mut Seen) -> Reason {
    let reason = case.recorded.and_then(Reason::of).filter(|reason| reason.is_of_the_store());
    let outcome = reason.map_or(Outcome::Passed, |reason| Outcome::Failed(reason.as_str()));
    seen.0.insert(Step::NotUsedUp, outcome);
    reason.unwrap_or(Reason::Permitted)
}

/// What can be told where the decision came to the arguments and not all of them are known.
fn without_values(
    snapshot: &Snapshot,
    case: &Case<'_>,
    resource: &Resource,
    (verdict, seen): (Verdict, &mut Seen),
) -> Option<Verdict> {
    let Known::Partly(values) = case.arguments else {
        seen.leave_open(Step::ArgumentsReadable);
        return None;
    };
    seen.0.insert(Step::ArgumentsReadable, Outcome::Passed);
    let (outcome, verdict) = match permitted(case, resource)? {
        // No value matters to the constraints; if those that matter to the policies are known, the
        // steps behind were taken as they are.
        Arguments::Any => {
            let tool = resource.tools.get(case.tool);
            if tool.is_some_and(|tool| !knows_what_is_read(snapshot, resource, tool)) {
                seen.0.insert(Step::Constraints, Outcome::Passed);
                seen.leave_open(Step::Policies);
                return None;
            }
            (Outcome::Passed, verdict)
        }
        // One value that is not permitted is enough for a denial, whatever the others are.
        Arguments::Closed(shape) => {
            let reason = Reason::ArgumentNotPermitted.as_str();
            let argument = refused(shape, values);
            if argument.is_none() {
                seen.leave_open(Step::Constraints);
                return None;
            }
            (Outcome::Failed(reason), Verdict { reason, argument })
        }
    };
    seen.0.insert(Step::Constraints, outcome);
    Some(verdict)
}

/// Whether the values that the policies look at are among those that the tool's registration keeps.
fn knows_what_is_read(snapshot: &Snapshot, resource: &Resource, tool: &Tool) -> bool {
    let kept = |name: &String| tool.keep_arguments.contains(&below("", name));
    let read = snapshot.policies.arguments_read(resource, tool);
    read.is_some_and(|names| names.iter().all(kept))
}

fn refused(shape: &Shape, values: &Object) -> Option<String> {
    let refuses = |(pointer, argument): &(String, &Argument)| {
        let value = kept::at_pointer(values, pointer);
        value.is_some() && !argument.permits(value)
    };
    shape.pointers().into_iter().find(refuses).map(|(pointer, _)| pointer)
}

/// What the token permits for the tool.
fn permitted<'a>(case: &Case<'a>, resource: &Resource) -> Option<&'a Arguments> {
    match &case.claims.authority.at(&resource.uri)?.tools {
        Tools::Named(tools) => tools.get(&ToolName::parse(case.tool).ok()?),
        Tools::Undetailed => Some(&Arguments::Any),
    }
}

fn limits(permitted: Option<&Arguments>, arguments: Known<'_>) -> Vec<Limit> {
    let Some(Arguments::Closed(shape)) = permitted else { return Vec::new() };
    let (values, whole) = match arguments {
        Known::Whole(values) => (Some(values), true),
        Known::Partly(values) => (Some(values), false),
        Known::Nothing => (None, false),
    };
    let limit = |(pointer, argument): (String, &Argument)| {
        let value = values.and_then(|values| kept::at_pointer(values, &pointer));
        Limit {
            permits: (whole || value.is_some()).then(|| argument.permits(value)),
            value: value.cloned(),
            constraint: details::argument_to_json(argument).into(),
            argument: pointer,
        }
    };
    shape.pointers().into_iter().map(limit).collect()
}

/// Whether another grant would have allowed the call.
fn is_curable(reason: &str) -> bool {
    Reason::of(reason).is_some_and(Reason::is_of_the_grant)
}

/// Exactly this call and nothing more, as `authorization_details`. `None` where not all of its
/// arguments are known, or no constraint can name them.
fn smallest_grant(case: &Case<'_>, resource: &Resource) -> Option<String> {
    let Known::Whole(arguments) = case.arguments else { return None };
    let tool = resource.tools.get(case.tool)?;
    let tools = Tools::Named([(tool.name.clone(), exactly(arguments)?)].into());
    let entry = Entry { scope: tool.scopes.clone(), tools, max_calls: MaxCalls::default() };
    let authority = Authority::new([(resource.uri.clone(), entry)].into());
    Some(oauth::details::write(&authority))
}

/// What permits exactly these arguments. None at all can only be permitted together with any.
pub fn exactly<C>(arguments: &Object) -> Option<Arguments<C>> {
    if arguments.is_empty() {
        return Some(Arguments::Any);
    }
    let named = arguments.iter().map(|(name, value)| {
        (below("", name), Argument::Required(Constraint::Exact(value.clone())))
    });
    Shape::of(named).ok().map(Arguments::Closed)
}
