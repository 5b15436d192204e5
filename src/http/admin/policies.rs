//! The active policy set, its versions, and drafts of it, as JSON.

use super::{Answered, Asked, Problem, Reply};
use crate::{
    base::{compose::ObjectWriter, json::Object},
    model::policy::Fault,
    policy::{Policies, Rule},
    registry::policy_set::{self, PolicySet},
    service::{
        Deputy,
        admin::{ActivePolicies, PolicyVersion},
    },
};

/// The active set.
pub async fn show(deputy: Deputy, _asked: Asked) -> Answered {
    Ok(active(&deputy.policies().await?))
}

/// Replaces it.
pub async fn replace(deputy: Deputy, asked: Asked) -> Answered {
    let done = deputy.replace_policies(&asked.operator, &asked.body, asked.expected()).await?;
    Ok(active(&done))
}

/// What a draft would be.
pub async fn validate(deputy: Deputy, asked: Asked) -> Answered {
    let policies = deputy.validate_policies(&asked.body).await?;
    Ok(Reply::ok(compiled_json(ObjectWriter::new(), &policies).finish()))
}

/// The versions that are kept, newest first.
pub async fn versions(deputy: Deputy, asked: Asked) -> Answered {
    let before = asked.filter("after", |text| {
        text.parse::<u64>().map_err(|_| "must be the `next` of another page")
    })?;
    let (items, next) = deputy.policy_versions(before, asked.limit()?.into()).await?;
    let texts = |set: &PolicySet| {
        let access = &set.sources.access;
        let policies = set.sources.delegation.len().saturating_add(access.policies.len());
        policies.saturating_add(access.schema.iter().len())
    };
    let item = |found: &PolicyVersion| {
        let texts = u64::try_from(texts(&found.set)).unwrap_or(u64::MAX);
        version_json(ObjectWriter::new(), found).count("texts", texts).finish()
    };
    let items: Vec<String> = items.iter().map(item).collect();
    Ok(Reply::list(&items, next.map(|next| next.to_string()).as_deref()))
}

/// One version.
pub async fn version(deputy: Deputy, asked: Asked) -> Answered {
    let text = asked.name("version");
    let number = text.parse().map_err(|_| Problem::missing(&format!("policy set `{text}`")))?;
    let found = deputy.policy_version(number).await?;
    Ok(Reply::ok(version_json(texts(&found.set), &found).finish()))
}

/// Goes back to an earlier version.
pub async fn roll_back(deputy: Deputy, asked: Asked) -> Answered {
    let body = super::text(&asked)?;
    let done = deputy.roll_back_policies(&asked.operator, body, asked.expected()).await?;
    Ok(active(&done))
}

fn active(active: &ActivePolicies) -> Reply {
    let writer = author(texts(&active.set), &active.set);
    let version = active.policies.version();
    let json = compiled_json(writer, &active.policies).count("version", version).finish();
    Reply::ok(json).tagged(version)
}

fn version_json(writer: ObjectWriter, found: &PolicyVersion) -> ObjectWriter {
    let writer = writer
        .count("version", found.stored.version)
        .count("revision", found.stored.revision)
        .number("at", found.stored.at.epoch_s());
    author(writer, &found.set)
}

fn author(writer: ObjectWriter, set: &PolicySet) -> ObjectWriter {
    let writer = writer.maybe_text("by", Some(set.by.as_str()).filter(|by| !by.is_empty()));
    match set.rolled_back_to {
        Some(version) => writer.count("rolled_back_to", version),
        None => writer,
    }
}

fn texts(set: &PolicySet) -> ObjectWriter {
    let texts: Object = policy_set::to_json(&set.sources);
    texts
        .iter()
        .fold(ObjectWriter::new(), |writer, (name, value)| writer.raw(name, &value.to_json()))
}

/// The policies and what is doubtful about them.
fn compiled_json(writer: ObjectWriter, policies: &Policies) -> ObjectWriter {
    let rules: Vec<String> = policies.rules().iter().map(rule_json).collect();
    let warnings: Vec<String> = policies.warnings().iter().map(warning_json).collect();
    writer
        .raw("rules", &format!("[{}]", rules.join(",")))
        .raw("warnings", &format!("[{}]", warnings.join(",")))
}

fn rule_json(rule: &Rule) -> String {
    let demand = rule.demand.as_ref().map(ToString::to_string);
    ObjectWriter::new()
        .text("id", &rule.id)
        .text("family", rule.family.as_str())
        .text("file", &rule.file)
        .count("line", rule.line.into())
        .flag("shadow", rule.shadow)
        .maybe_text("require", demand.as_deref())
        .text("text", &rule.text)
        .finish()
}

fn warning_json(warning: &Fault) -> String {
    ObjectWriter::new()
        .text("file", &warning.file)
        .count("line", warning.line.into())
        .count("column", warning.column.into())
        .text("message", &warning.message)
        .finish()
}
