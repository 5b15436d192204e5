//! The end of the story: what Deputy has on record about it, read back through the admin API.

use std::time::Duration;

use serde_json::Value;

use super::{
    DemoError,
    scenes::{Stage, text},
    story::{Mood, Narrator, names},
};

/// How often the trail is read until it is complete: denials are journalled a moment after they
/// are answered, revocations and grants before.
const READS: u32 = 40;
/// The time from one read to the next.
const PAUSE: Duration = Duration::from_millis(50);
/// What must be on record of the one transaction. Calls under a dead token were not decided, so
/// they leave no decision.
const GRANTED: usize = 3;
const REFUSED: usize = 3;
const ALLOWED: usize = 2;
const DENIED: usize = 3;

impl Stage<'_> {
    /// Shows the trail of one transaction and checks that nothing is missing from it.
    pub async fn audit(&mut self, txn: &str) -> Result<(), DemoError> {
        self.narrator.scene("The audit trail: who did what, for whom, through whom");
        let path = format!("/events?transaction={txn}&limit=100");
        let mut pause = tokio::time::interval(PAUSE);
        let mut events = Vec::new();
        for _ in 0..READS {
            pause.tick().await;
            events = items(self.admin.get(&path).await?);
            if is_complete(&events) {
                break;
            }
        }
        let n = &mut self.narrator;
        for event in events.iter().rev() {
            show(n, event);
        }
        n.check(
            is_complete(&events),
            "3 exchanges granted and 3 refused, 2 calls allowed and 3 denied, 1 revocation",
        );
        let verified = self.admin.get("/audit/verify").await?;
        let ok = verified.get("ok") == Some(&Value::Bool(true));
        let n = &mut self.narrator;
        n.gap();
        n.say(if ok {
            "The hash chain over all records verifies: nothing was changed or taken out."
        } else {
            "The hash chain over the records does not verify."
        });
        n.check(ok, "the audit chain verifies");
        Ok(())
    }
}

fn items(page: Value) -> Vec<Value> {
    match page {
        Value::Object(mut page) => match page.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn is_complete(events: &[Value]) -> bool {
    let count = |kind: &str, outcome: &str| {
        let is = |e: &&Value| text(e, "kind") == kind && text(e, "outcome") == outcome;
        events.iter().filter(is).count()
    };
    count("exchange", "granted") == GRANTED
        && count("exchange", "refused") == REFUSED
        && count("decision", "granted") == ALLOWED
        && count("decision", "refused") == DENIED
        && count("revocation", "granted") == 1
}

fn show(n: &mut Narrator<'_>, event: &Value) {
    let granted = text(event, "outcome") == "granted";
    let resource = event.get("resource").and_then(Value::as_str);
    let what = match (text(event, "kind"), resource) {
        ("decision", _) => text(event, "tool").to_owned(),
        ("exchange", Some(resource)) => format!("token: {resource}"),
        ("exchange", None) if granted => "hand-over".to_owned(),
        (kind, _) => kind.to_owned(),
    };
    let at = clock(event.get("at").and_then(Value::as_i64).unwrap_or_default());
    let line = format!("{what:<14} {:<28} {}", text(event, "reason"), through(event));
    let (mood, mark) = if granted { (Mood::Granted, '+') } else { (Mood::Refused, '-') };
    n.row(mood, &format!("{mark} {at}"), &line);
}

/// Subject, then the chain, which is recorded with the current actor first.
fn through(event: &Value) -> String {
    let subject = event.get("subject").and_then(|s| s.get("sub")).and_then(Value::as_str);
    let hops = event.get("chain").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let hops = hops.iter().rev().map(|hop| text(hop, "sub"));
    names(&subject.into_iter().chain(hops).collect::<Vec<_>>())
}

/// The time of day in UTC.
fn clock(epoch_s: i64) -> String {
    let of_day = epoch_s.rem_euclid(86_400);
    let (minutes, second) = (of_day.div_euclid(60), of_day.rem_euclid(60));
    format!("{:02}:{:02}:{second:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_time_of_day_is_utc() {
        assert_eq!(clock(1_800_000_000), "08:00:00");
        assert_eq!(clock(86_399), "23:59:59");
    }

    #[test]
    fn the_recorded_chain_is_read_from_the_person_on() {
        let event = json!({
            "subject": { "iss": "i", "sub": "alice" },
            "chain": [{ "sub": "cl_billing-agent" }, { "sub": "cl_support-agent" }],
        });
        assert_eq!(through(&event), "alice → support-agent → billing-agent");
    }
}
