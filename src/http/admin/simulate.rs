//! What would happen, as JSON: each exchange, and the decision with every step.

use super::{
    Answered, Asked, Reply,
    explain::{explanation_json, remedy},
};
use crate::{
    base::compose::ObjectWriter,
    engine::{
        explain::Explanation,
        simulate::{Exchanged, Granted},
    },
    service::{Deputy, admin::Simulation},
};

/// Judges a call that nobody makes.
pub async fn simulate(deputy: Deputy, asked: Asked) -> Answered {
    let answer = deputy.simulate(&asked.operator, &asked.body).await?;
    Ok(Reply::ok(simulated_json(&answer)))
}

fn simulated_json(answer: &Simulation) -> String {
    let simulated = &answer.simulated;
    let exchanges: Vec<String> = simulated.exchanges.iter().map(exchange_json).collect();
    let rules: Vec<&str> =
        simulated.rules.iter().map(|m| if *m { "true" } else { "false" }).collect();
    let writer = ObjectWriter::new()
        .flag("allowed", simulated.allows())
        .count("revision", answer.revision)
        .raw("grant_rules_met", &format!("[{}]", rules.join(",")))
        .raw("exchanges", &format!("[{}]", exchanges.join(",")));
    match &simulated.decided {
        Some(decided) => decided_json(writer, decided).finish(),
        None => writer.finish(),
    }
}

fn decided_json(writer: ObjectWriter, decided: &Explanation) -> ObjectWriter {
    let reason = decided.verdict.as_ref().map(|verdict| verdict.reason);
    let writer = writer.maybe_text("reason", reason).maybe_text("remedy", reason.and_then(remedy));
    explanation_json(writer, decided)
}

fn exchange_json(exchanged: &Exchanged) -> String {
    let writer = ObjectWriter::new()
        .text("client", exchanged.client.id.as_str())
        .text("target", &exchanged.target);
    match &exchanged.outcome {
        Ok(granted) => granted_json(writer, granted).finish(),
        Err(refusal) => writer
            .text("outcome", "refused")
            .text("because", &refusal.reason())
            .text("message", &refusal.description())
            .finish(),
    }
}

fn granted_json(writer: ObjectWriter, granted: &Granted) -> ObjectWriter {
    writer
        .text("outcome", "granted")
        .text("scope", &granted.scope.to_string())
        .raw("authorization_details", &granted.details)
        .number("lives_s", granted.ttl.get())
}
