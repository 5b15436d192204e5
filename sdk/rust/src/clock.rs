//! The one place that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, on the clock that is never set.
#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970; 0 on a machine that is set before.
#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
pub fn epoch_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
