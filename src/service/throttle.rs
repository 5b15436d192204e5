//! How often one source may fail in a second before it is not even looked at. It speaks of sources
//! and never of clients, so nobody can lock a client out.

use std::{collections::HashMap, net::IpAddr, sync::Mutex};

use crate::base::time::Timestamp;

/// Sources remembered; beyond it the table starts anew, which only forgets failures.
const SOURCES: usize = 4_096;

/// The failures of each source in its last window of one second.
#[derive(Debug)]
pub struct Throttle {
    most: u8,
    wrong: Mutex<HashMap<IpAddr, (Timestamp, u8)>>,
}

impl Throttle {
    /// A source that failed `most` times within a second is throttled for the rest of it.
    pub fn new(most: u8) -> Throttle {
        Throttle { most, wrong: Mutex::new(HashMap::new()) }
    }

    /// Whether the source has failed too often within this second.
    pub fn is_throttled(&self, source: IpAddr, now: Timestamp) -> bool {
        let Ok(wrong) = self.wrong.lock() else { return true };
        wrong.get(&source).is_some_and(|(at, n)| *at == now && *n >= self.most)
    }

    /// Notes a failure.
    pub fn note(&self, source: IpAddr, now: Timestamp) {
        let Ok(mut wrong) = self.wrong.lock() else { return };
        if wrong.len() >= SOURCES {
            wrong.clear();
        }
        let entry = wrong.entry(source).or_insert((now, 0));
        *entry = if entry.0 == now { (now, entry.1.saturating_add(1)) } else { (now, 1) };
    }
}
