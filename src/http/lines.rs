//! How many lines of one sort the log takes: anybody can cause any number of them.

use std::{
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The most lines of one sort in a second: more than anybody reads, and less than fills a disk.
const LINES_MAX: u32 = 100;

/// How many lines of one sort were written lately.
pub struct Lines(Mutex<Window>);

struct Window {
    since: Option<Instant>,
    written: u32,
    withheld: u64,
}

impl Lines {
    /// None was written yet.
    pub const fn none() -> Lines {
        Lines(Mutex::new(Window { since: None, written: 0, withheld: 0 }))
    }

    /// Whether there is room for one more. How many there was none for is told before it.
    pub fn have_room(&self, now: Instant) -> bool {
        let withheld = self.room(now);
        if let Some(withheld @ 1..) = withheld {
            tracing::info!(withheld, "more like the next line than are told one by one");
        }
        withheld.is_some()
    }

    fn room(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = window.since.map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age >= Duration::from_secs(1)) {
            window.since = Some(now);
            window.written = 0;
        }
        if window.written == LINES_MAX {
            window.withheld = window.withheld.saturating_add(1);
            return None;
        }
        window.written = window.written.saturating_add(1);
        Some(mem::take(&mut window.withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_hundred_lines_a_second_and_a_number() {
        let (lines, now) = (Lines::none(), Instant::now());
        assert!((0..LINES_MAX).all(|_| lines.room(now) == Some(0)));
        assert!((0..7).all(|_| lines.room(now).is_none()));
        let later = now.checked_add(Duration::from_secs(1)).unwrap();
        assert_eq!((lines.room(later), lines.room(later)), (Some(7), Some(0)));
    }
}
