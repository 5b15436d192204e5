//! The one place that reads a clock.

use std::time::Instant;

/// Now, on the clock that is never set.
#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
pub fn now() -> Instant {
    Instant::now()
}
