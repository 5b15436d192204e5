//! The events that no verb makes: the once-a-minute summary of requests that failed before anyone
//! was authenticated.

use std::{collections::HashMap, net::IpAddr, sync::Mutex};

use super::Deputy;
use crate::{
    engine::authenticate::ClientRefusal,
    model::event::{Event, Kind, Outcome},
};

/// (Source, reason) pairs counted between two summaries; beyond it they are summed under one.
const COUNTED: usize = 256;

/// Requests that failed before authentication, since the last summary.
#[derive(Debug, Default)]
pub struct Counters(Mutex<HashMap<(Option<IpAddr>, &'static str), u64>>);

impl Counters {
    fn count(&self, source: IpAddr, reason: &'static str) {
        let Ok(mut counts) = self.0.lock() else { return };
        let known = counts.contains_key(&(Some(source), reason));
        let key = if known || counts.len() < COUNTED { Some(source) } else { None };
        let count = counts.entry((key, reason)).or_insert(0);
        *count = count.saturating_add(1);
    }

    fn take(&self) -> Vec<((Option<IpAddr>, &'static str), u64)> {
        self.0.lock().map(|mut counts| counts.drain().collect()).unwrap_or_default()
    }
}

impl Deputy {
    /// Counts a request that failed before authentication.
    pub(super) fn count_refused(&self, source: IpAddr, refusal: ClientRefusal) {
        self.0.refused.count(source, refusal.reason());
    }

    /// Journals one summary event for each source and reason since the last time.
    pub(super) fn sum_up_refusals(&self) {
        let snapshot = self.snapshot();
        for ((source, reason), count) in self.0.refused.take() {
            let source = source.map_or("other sources".to_owned(), |ip| ip.to_string());
            self.store().writer().journal(Event {
                outcome: Outcome::Refused,
                detail: vec![("source".into(), source), ("count".into(), count.to_string())],
                ..Event::new(Kind::Unauthenticated, reason, self.now(), snapshot.revision)
            });
        }
    }
}
