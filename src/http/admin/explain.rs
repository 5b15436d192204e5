//! Why a call was decided as it was, as JSON: the record, every step, the limits, and what would
//! have been enough.

use std::sync::Arc;

use super::{
    Answered, Asked, Reply,
    lookups::{event_json, hop_json},
};
use crate::{
    base::{compose::ObjectWriter, id::DecisionId, json::Value},
    engine::explain::{Explanation, Limit, Outcome},
    model::call::{Policed, Reason, Step},
    policy::Policies,
    service::{
        Deputy,
        admin::{Again, Explained},
    },
};

/// One recorded decision, explained.
pub async fn decision(deputy: Deputy, asked: Asked) -> Answered {
    let id = asked.id("decision", DecisionId::parse)?;
    Ok(Reply::ok(explained_json(&deputy.explain(id).await?)))
}

fn explained_json(explained: &Explained) -> String {
    let chain: Vec<String> = explained.found.event.chain.iter().map(hop_json).collect();
    let kept = explained.found.event.arguments.map_or("nothing", |kept| kept.as_str());
    let writer = ObjectWriter::new()
        .raw("recorded", &event_json(&explained.found))
        .raw("arguments", &explained.arguments.to_json())
        .text("arguments_kept", kept)
        .raw("chain", &format!("[{}]", chain.join(",")))
        .maybe_text("remedy", remedy(&explained.found.event.reason));
    match &explained.again {
        Ok(again) => again_json(writer, again).finish(),
        Err(gone) => {
            let access = explained.access.as_ref();
            let policies = access.and_then(|(policed, policies)| policed_json(policed, policies));
            let writer = writer.text("not_judged_again", gone.as_str());
            writer.maybe_raw("policies", policies.as_deref()).finish()
        }
    }
}

fn again_json(writer: ObjectWriter, again: &Again) -> ObjectWriter {
    let versions = again.versions.iter().map(|(kind, id, version)| {
        ObjectWriter::new().text("kind", kind).text("id", id).count("version", *version).finish()
    });
    let versions: Vec<String> = versions.collect();
    let writer = match again.agrees {
        Some(agrees) => writer.flag("agrees", agrees),
        None => writer,
    };
    explanation_json(writer, &again.explanation, &again.policies)
        .raw("versions", &format!("[{}]", versions.join(",")))
}

/// The steps, the limits, what policies said, and the smallest grant.
pub(super) fn explanation_json(
    writer: ObjectWriter,
    explanation: &Explanation,
    policies: &Policies,
) -> ObjectWriter {
    let steps: Vec<String> = explanation.steps.iter().map(step_json).collect();
    let limits: Vec<String> = explanation.limits.iter().map(limit_json).collect();
    writer
        .raw("steps", &format!("[{}]", steps.join(",")))
        .raw("limits", &format!("[{}]", limits.join(",")))
        .maybe_raw("policies", policed_json(&explanation.policed, policies).as_deref())
        .maybe_raw("smallest_grant", explanation.smallest_grant.as_deref())
}

/// Which policies decided, and which would have; `None` where none did.
fn policed_json(policed: &Policed, policies: &Policies) -> Option<String> {
    if policed.decided.is_empty() && policed.shadow.is_empty() {
        return None;
    }
    let writer = ObjectWriter::new()
        .count("version", policies.version())
        .raw("decided", &named_json(&policed.decided, policies))
        .raw("shadow", &named_json(&policed.shadow, policies));
    Some(writer.finish())
}

/// Policies by their ids, each with where it stands and what it says.
pub(super) fn named_json(ids: &[Arc<str>], policies: &Policies) -> String {
    let one = |id: &Arc<str>| {
        let rule = policies.rule(id);
        let writer = ObjectWriter::new().text("id", id);
        let writer = match rule {
            None => writer,
            Some(rule) => writer
                .text("file", &rule.file)
                .count("line", rule.line.into())
                .text("text", &rule.text),
        };
        writer.finish()
    };
    format!("[{}]", ids.iter().map(one).collect::<Vec<_>>().join(","))
}

fn step_json((step, outcome): &(Step, Outcome)) -> String {
    let because = match outcome {
        Outcome::Failed(reason) => Some(*reason),
        Outcome::Passed | Outcome::Undecidable | Outcome::NotReached => None,
    };
    ObjectWriter::new()
        .text("step", step.as_str())
        .text("outcome", outcome.as_str())
        .maybe_text("because", because)
        .finish()
}

fn limit_json(limit: &Limit) -> String {
    let writer = ObjectWriter::new()
        .text("argument", &limit.argument)
        .raw("constraint", &limit.constraint.to_json())
        .maybe_raw("value", limit.value.as_ref().map(Value::to_json).as_deref());
    match limit.permits {
        Some(permits) => writer.flag("permits", permits).finish(),
        None => writer.finish(),
    }
}

/// What an administrator can do about a denial.
pub(super) fn remedy(reason: &str) -> Option<&'static str> {
    Reason::ALL.into_iter().find(|known| known.as_str() == reason)?.remedy()
}
