//! From texts to slices: read, validated strictly, and cut for each tool. Off every request's path.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{
    EntityUid, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;

use super::{
    Family, Policies, access,
    action::{Action, Call, NotCut},
    local::Zone,
    reads::Reads,
    shape,
    slice::{Known, Slice},
    text::{self, Written},
    words,
};
use crate::model::{
    authority::ToolName,
    policy::{Access, Fault, Source, Sources},
    resource::{Resource, ResourceId},
};

/// Room for the deepest policy that may be written, several times over. Only what is used is taken.
const STACK_BYTES: usize = 256 * 1024 * 1024;

impl Policies {
    /// Compiles a set, version `version`, against all registered resources with their tools.
    ///
    /// # Errors
    /// Everything that is wrong, each with its file, line and column.
    pub fn compile<'a>(
        version: u64,
        sources: &Sources,
        resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Result<Policies, Vec<Fault>> {
        let resources: Vec<&Resource> = resources.into_iter().collect();
        // Cedar reads and validates a policy level by level, each on top of the other: for as many
        // levels as one may have there must be room, on whatever thread this was called.
        std::thread::scope(|scope| {
            let roomy = std::thread::Builder::new().stack_size(STACK_BYTES);
            let compiled = roomy
                .spawn_scoped(scope, || Policies::compiled(version, sources, &resources))
                .map(std::thread::ScopedJoinHandle::join);
            match compiled {
                Ok(Ok(compiled)) => compiled,
                Ok(Err(_)) | Err(_) => {
                    Err(nowhere(&sources.delegation, "could not be compiled".to_owned()))
                }
            }
        })
    }

    fn compiled(
        version: u64,
        sources: &Sources,
        resources: &[&Resource],
    ) -> Result<Policies, Vec<Fault>> {
        let mut faults = Vec::new();
        let written = text::read(Family::Delegation, &sources.delegation, &mut faults);
        let reads: Vec<Reads> = written.iter().map(reads_of).collect();
        let zones = zones(&sources.delegation, &written, &reads, &mut faults);
        let access = access::compile(&sources.access, &mut faults);
        let (access, rules, odd) = access
            .map_or_else(Default::default, |(access, written, odd)| {
                (Some(Arc::new(access)), written, odd)
            });
        one_name_each(&written, &rules, &sources.access, &mut faults);
        let uncut =
            |_: NotCut| nowhere(&sources.delegation, "cannot be cut for every tool".to_owned());
        let actions = Action::calls(resources).map_err(uncut)?;
        misspelt(&sources.delegation, &written, &reads, (resources, &actions), &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let among = (resources, actions.as_slice());
        let mut warnings = validate(&sources.delegation, &written, among, &zones)?;
        warnings.extend(odd);
        let known: Vec<Known<'_>> =
            written.iter().zip(&reads).map(|(written, reads)| Known::new(written, reads)).collect();
        let zones: Arc<[Zone]> = zones.into();
        let calls = calls(&actions, &known, &zones).map_err(uncut)?;
        let delegate = Action::delegate().and_then(|action| Slice::of(&action, &known, &zones));
        let delegate = delegate.map_err(uncut)?;
        Ok(Policies {
            version,
            calls,
            delegate: delegate.map(Arc::new),
            access,
            rules: written.iter().chain(&rules).map(|written| written.rule.clone()).collect(),
            warnings,
        })
    }
}

/// A policy whose JSON form cannot be had is taken to look at everything.
fn reads_of(written: &Written) -> Reads {
    written.policy.to_json().map_or_else(|_| Reads::everything(), |json| Reads::of(&json))
}

fn calls(
    actions: &[Action<'_>],
    known: &[Known<'_>],
    zones: &Arc<[Zone]>,
) -> Result<HashMap<ResourceId, HashMap<ToolName, Arc<Slice>>>, NotCut> {
    let mut calls: HashMap<ResourceId, HashMap<ToolName, Arc<Slice>>> = HashMap::new();
    for action in actions {
        let Some(call) = &action.call else { continue };
        if let Some(slice) = Slice::of(action, known, zones)? {
            let here = calls.entry(call.resource.id.clone()).or_default();
            here.insert(call.tool.name.clone(), Arc::new(slice));
        }
    }
    Ok(calls)
}

/// The time zones that are named, each of which must be one.
fn zones(
    files: &[Source],
    written: &[Written],
    reads: &[Reads],
    faults: &mut Vec<Fault>,
) -> Vec<Zone> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut zones = Vec::new();
    for (written, reads) in written.iter().zip(reads) {
        for name in &reads.zones.named {
            if known.contains(name.as_str()) {
                continue;
            }
            if let Some(zone) = Zone::named(name) {
                known.insert(name);
                zones.push(zone);
            } else if let Some(file) = files.get(written.file) {
                let message = format!(
                    "`{name}` is no time zone of the IANA database: write one such as \
                     `Europe/Berlin`, with its own spelling"
                );
                faults.push(text::at_word(file, &written.rule, name, &message));
            }
        }
    }
    zones
}

/// What is wrong with the set as a whole.
fn nowhere(files: &[Source], message: String) -> Vec<Fault> {
    let file = files.first().map(|file| file.name.clone()).unwrap_or_default();
    vec![Fault { file, line: 1, column: 1, message }]
}

/// Names that Cedar takes and that can only be mistakes. To ask whether an argument is there that no
/// tool has is legal, never true, and hides what stands behind it from the validator.
fn misspelt(
    files: &[Source],
    written: &[Written],
    reads: &[Reads],
    (resources, actions): (&[&Resource], &[Action<'_>]),
    faults: &mut Vec<Fault>,
) {
    for (written, reads) in written.iter().zip(reads) {
        let Some(file) = files.get(written.file) else { continue };
        let published: BTreeSet<&str> = concerned(written, actions)
            .flat_map(|call| shape::published(&call.tool.input_schema))
            .collect();
        for name in reads.arguments.named.iter().filter(|name| !published.contains(name.as_str())) {
            let message = format!(
                "no tool that this policy concerns has an argument `{name}`: mend the name, or the \
                 action in the policy's scope"
            );
            faults.push(text::at_word(file, &written.rule, name, &message));
        }
        let known = |id: &str| resources.iter().any(|resource| *resource.id.as_str() == *id);
        for literal in written.policy.entity_literals() {
            let id: &str = literal.id().unescaped();
            if literal.type_name().basename() == "Resource" && !known(id) {
                let message = format!("no resource `{id}` is registered");
                faults.push(text::at_word(file, &written.rule, id, &message));
            }
        }
    }
}

/// The calls that a policy concerns, by its scope.
fn concerned<'a>(
    written: &'a Written,
    actions: &'a [Action<'a>],
) -> impl Iterator<Item = &'a Call<'a>> {
    actions.iter().filter(|action| written.scope.concerns(action)).filter_map(|a| a.call.as_ref())
}

/// The calls that a validator must see: of those that no policy can tell apart, one. Policies know a
/// call by its name, where they name it, by its groups, and by the types of its arguments.
fn told_apart<'a>(actions: &'a [Action<'a>], written: &[Written]) -> Vec<&'a Call<'a>> {
    let literals = written.iter().flat_map(|written| written.policy.entity_literals());
    let named: HashSet<EntityUid> = literals.collect();
    let mut seen = HashSet::new();
    let calls = actions.iter().filter_map(|action| Some((action, action.call.as_ref()?)));
    calls
        .filter(|(action, call)| {
            named.contains(&action.id) || seen.insert((&action.groups, &call.members))
        })
        .map(|(_, call)| call)
        .collect()
}

/// Validates all policies strictly against the schema of the tools. Warnings come back.
fn validate(
    files: &[Source],
    written: &[Written],
    (resources, actions): (&[&Resource], &[Action<'_>]),
    zones: &[Zone],
) -> Result<Vec<Fault>, Vec<Fault>> {
    if written.is_empty() {
        return Ok(Vec::new());
    }
    let names: BTreeSet<String> = zones.iter().map(|zone| zone.name.clone()).collect();
    let calls = told_apart(actions, written);
    let schema = Schema::from_json_value(words::schema(resources, &calls, &names))
        .map_err(|e| nowhere(files, format!("the registered tools make no schema: {e}")))?;
    let set = PolicySet::from_policies(written.iter().map(|written| written.policy.clone()))
        .map_err(|e| nowhere(files, e.to_string()))?;
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let place = |id: &PolicyId, error: &dyn Diagnostic| placed(files, written, id, error);
    let faults: Vec<Fault> =
        result.validation_errors().map(|error| place(error.policy_id(), error)).collect();
    if !faults.is_empty() {
        return Err(one_for_each_place(faults));
    }
    let (mut never, mut odd) = (Vec::new(), Vec::new());
    for warning in result.validation_warnings() {
        let fault = place(warning.policy_id(), warning);
        let known = by_id(written, warning.policy_id());
        let idle = known.is_some_and(|written| concerned(written, actions).next().is_none());
        match warning {
            // Where there is no such tool yet, that is why.
            ValidationWarning::ImpossiblePolicy(_) if !idle => {
                let message = "can never hold for anything that it concerns".to_owned();
                never.push(Fault { message, ..fault });
            }
            _ => odd.push(fault),
        }
    }
    if never.is_empty() { Ok(one_for_each_place(odd)) } else { Err(one_for_each_place(never)) }
}

/// A policy on a group is validated once for every action in it: one fault says it all.
pub(super) fn one_for_each_place(mut faults: Vec<Fault>) -> Vec<Fault> {
    let place = |fault: &Fault| (fault.file.clone(), fault.line, fault.column);
    faults.sort_by_cached_key(|fault| (place(fault), fault.message.clone()));
    faults.dedup();
    let mut told: Vec<(Fault, usize)> = Vec::new();
    for fault in faults {
        match told.last_mut() {
            Some((last, more)) if place(last) == place(&fault) => *more = more.saturating_add(1),
            _ => told.push((fault, 0)),
        }
    }
    let say = |(mut fault, more): (Fault, usize)| {
        if more > 0 {
            fault.message = format!("{}; and the like for {more} more", fault.message);
        }
        fault
    };
    told.into_iter().map(say).collect()
}

/// A fault of the policy with this id, where it stands.
pub(super) fn placed(
    files: &[Source],
    written: &[Written],
    id: &PolicyId,
    error: &dyn Diagnostic,
) -> Fault {
    let message = told(error);
    let written = by_id(written, id);
    match written.and_then(|written| Some((written, files.get(written.file)?))) {
        // What is wrong with the policy as a whole is told where it begins.
        Some((written, file)) if error.labels().into_iter().flatten().next().is_none() => {
            text::at_word(file, &written.rule, "", &message)
        }
        Some((_, file)) => text::fault(file, error, &message),
        None => Fault { file: String::new(), line: 1, column: 1, message },
    }
}

fn by_id<'a>(written: &'a [Written], id: &PolicyId) -> Option<&'a Written> {
    let id: &str = id.as_ref();
    written.iter().find(|written| *written.rule.id == *id)
}

/// Records name a policy by its id alone, whichever family it is of.
fn one_name_each(
    delegation: &[Written],
    access: &[Written],
    sources: &Access,
    faults: &mut Vec<Fault>,
) {
    let known: BTreeSet<&str> = delegation.iter().map(|written| &*written.rule.id).collect();
    for written in access.iter().filter(|written| known.contains(&*written.rule.id)) {
        if let Some(file) = sources.policies.get(written.file) {
            let begin = file.text.find(&*written.rule.text).unwrap_or(0);
            let message = format!("`{}` is the id of a delegation policy", written.rule.id);
            faults.push(text::at_offset(file, begin, &message));
        }
    }
}

/// Cedar's sentence without the id, which the place says better.
fn told(error: &dyn Diagnostic) -> String {
    let text = error.to_string();
    match text.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, sentence)) => sentence.to_owned(),
        None => text,
    }
}
