//! What a draft of the policies would have changed, as JSON: in all, and by agent and tool.

use std::cmp::Reverse;

use super::{Answered, Asked, Reply};
use crate::{
    base::compose::ObjectWriter,
    service::{
        Deputy,
        admin::{Counts, Example, Group, Replay},
    },
};

/// The most pairs of agent and tool that are told.
const GROUPS_MAX: usize = 200;

/// Tries a draft on recorded decisions.
pub async fn replay(deputy: Deputy, asked: Asked) -> Answered {
    let replay = deputy.replay_policies(super::text(&asked)?).await?;
    Ok(Reply::ok(replay_json(&replay)))
}

fn replay_json(replay: &Replay) -> String {
    let because = replay.undecidable.iter();
    let because = because.fold(ObjectWriter::new(), |writer, (why, n)| writer.count(why, *n));
    let mut groups: Vec<_> = replay.groups.iter().collect();
    // What would change first.
    groups.sort_by_key(|(_, group)| {
        let Counts { newly_allowed, newly_denied, undecidable, .. } = group.counts;
        Reverse((newly_allowed.saturating_add(newly_denied), undecidable))
    });
    let told: Vec<String> = groups
        .iter()
        .take(GROUPS_MAX)
        .map(|((agent, resource, tool), group)| {
            let writer = ObjectWriter::new()
                .text("agent", agent)
                .text("resource", resource)
                .text("tool", tool);
            group_json(writer, group)
        })
        .collect();
    let writer = ObjectWriter::new().count("decisions", replay.total.all());
    let writer = counts_json(writer, &replay.total).flag("complete", replay.complete);
    let writer = match replay.oldest {
        Some(oldest) => writer.number("oldest", oldest.epoch_s()),
        None => writer,
    };
    writer
        .raw("undecidable_because", &because.finish())
        .raw("groups", &format!("[{}]", told.join(",")))
        .flag("more", groups.len() > GROUPS_MAX)
        .finish()
}

fn counts_json(writer: ObjectWriter, counts: &Counts) -> ObjectWriter {
    writer
        .count("unchanged", counts.unchanged)
        .count("newly_allowed", counts.newly_allowed)
        .count("newly_denied", counts.newly_denied)
        .count("undecidable", counts.undecidable)
}

fn group_json(writer: ObjectWriter, group: &Group) -> String {
    let examples: Vec<String> = group.examples.iter().map(example_json).collect();
    counts_json(writer, &group.counts)
        .raw("examples", &format!("[{}]", examples.join(",")))
        .finish()
}

fn example_json(example: &Example) -> String {
    ObjectWriter::new()
        .text("decision", &example.decision.to_string())
        .number("at", example.at.epoch_s())
        .text("before", &example.before)
        .text("after", example.after)
        .texts("policies", example.policies.iter().map(AsRef::as_ref))
        .finish()
}
