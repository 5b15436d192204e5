//! How many lines of one sort the log takes: anybody can cause any number of them.

use std::{
    mem,
    num::NonZero,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The most lines of one sort in a second: more than anybody reads, and less than fills a disk.
const LINES_MAX: u32 = 100;

/// How many lines like this one there was no room for since the last one.
pub type Withheld = Option<NonZero<u64>>;

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

    /// Whether there is room for one more line, and what it has to say of those before it.
    pub fn room(&self) -> Option<Withheld> {
        self.room_at(Instant::now())
    }

    fn room_at(&self, now: Instant) -> Option<Withheld> {
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
        Some(NonZero::new(mem::take(&mut window.withheld)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_hundred_lines_a_second_and_a_number() {
        let (lines, now) = (Lines::none(), Instant::now());
        assert!((0..LINES_MAX).all(|_| lines.room_at(now) == Some(None)));
        assert!((0..7).all(|_| lines.room_at(now).is_none()));
        let later = now.checked_add(Duration::from_secs(1)).unwrap();
        assert_eq!(
            (lines.room_at(later), lines.room_at(later)),
            (Some(NonZero::new(7)), Some(None))
        );
    }
}
