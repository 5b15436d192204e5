//! What would happen, as JSON: each exchange, and the decision with every step.

use super::{
    Answered, Asked, Reply,
    explain::{explanation_json, named_json, remedy},
};
use crate::{
    base::compose::ObjectWriter,
    engine::{
        explain::Explanation,
        refusal::Refusal,
        simulate::{Exchanged, Granted},
    },
    policy::Policies,
    service::{Deputy, admin::Simulation},
};

/// Judges a call that nobody makes.
pub async fn simulate(deputy: Deputy, asked: Asked) -> Answered {
    let answer = deputy.simulate(&asked.operator, &asked.body).await?;
    Ok(Reply::ok(simulated_json(&answer)))
}

fn simulated_json(answer: &Simulation) -> String {
    let simulated = &answer.simulated;
    let policies = &answer.policies;
    let exchanges = simulated.exchanges.iter().map(|e| exchange_json(e, policies));
    let exchanges: Vec<String> = exchanges.collect();
    let rules: Vec<&str> =
        simulated.rules.iter().map(|m| if *m { "true" } else { "false" }).collect();
    let writer = ObjectWriter::new()
        .flag("allowed", simulated.allows())
        .count("revision", answer.revision)
        .raw("grant_rules_met", &format!("[{}]", rules.join(",")))
        .raw("exchanges", &format!("[{}]", exchanges.join(",")));
    match &simulated.decided {
        Some(decided) => decided_json(writer, decided, policies).finish(),
        None => writer.finish(),
    }
}

fn decided_json(writer: ObjectWriter, decided: &Explanation, policies: &Policies) -> ObjectWriter {
    let reason = decided.verdict.as_ref().map(|verdict| verdict.reason);
    let writer = writer.maybe_text("reason", reason).maybe_text("remedy", reason.and_then(remedy));
    explanation_json(writer, decided, policies)
}

fn exchange_json(exchanged: &Exchanged, policies: &Policies) -> String {
    let writer = ObjectWriter::new()
        .text("client", exchanged.client.id.as_str())
        .text("target", &exchanged.target);
    match &exchanged.outcome {
        Ok(granted) => granted_json(writer, granted).finish(),
        Err(refusal) => writer
            .text("outcome", "refused")
            .text("because", &refusal.reason())
            .text("message", &refusal.description())
            .maybe_raw("policies", by(refusal, policies).as_deref())
            .finish(),
    }
}

/// The policies that refuse; `None` where it was none of them.
fn by(refusal: &Refusal, policies: &Policies) -> Option<String> {
    let ids = refusal.policies();
    (!ids.is_empty()).then(|| named_json(ids, policies))
}

fn granted_json(writer: ObjectWriter, granted: &Granted) -> ObjectWriter {
    writer
        .text("outcome", "granted")
        .text("scope", &granted.scope.to_string())
        .raw("authorization_details", &granted.details)
        .number("lives_s", granted.ttl.get())
}
