//! Wall time, boot time, and the one place that reads either.

use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

/// A moment of wall time: whole seconds since 1970-01-01T00:00:00Z.
///
/// Live means `now < expires_at`, always written in that direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The largest moment that is accepted from outside: 9999-12-31T23:59:59Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799);
    /// The epoch.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// A moment from epoch seconds. `None` before 1970 or after the year 9999.
    pub const fn from_epoch_s(seconds: i64) -> Option<Timestamp> {
        if seconds < 0 || seconds > Timestamp::MAX.0 { None } else { Some(Timestamp(seconds)) }
    }

    /// Seconds since the epoch.
    pub const fn epoch_s(self) -> i64 {
        self.0
    }

    /// This moment moved later; stays at [`Timestamp::MAX`] rather than overflow.
    #[must_use]
    pub const fn plus(self, seconds: Seconds) -> Timestamp {
        let moved = self.0.saturating_add(seconds.0);
        if moved > Timestamp::MAX.0 { Timestamp::MAX } else { Timestamp(moved) }
    }

    /// This moment moved earlier; stays at the epoch rather than underflow.
    #[must_use]
    pub const fn minus(self, seconds: Seconds) -> Timestamp {
        let moved = self.0.saturating_sub(seconds.0);
        if moved < 0 { Timestamp::EPOCH } else { Timestamp(moved) }
    }

    /// How long from `self` until `later`; zero when `later` has passed.
    pub const fn until(self, later: Timestamp) -> Seconds {
        let left = later.0.saturating_sub(self.0);
        if left < 0 { Seconds(0) } else { Seconds(left) }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A length of time in whole seconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(i64);

impl Seconds {
    /// A length of `seconds`.
    pub const fn new(seconds: u32) -> Seconds {
        Seconds(seconds as i64)
    }

    /// The length as a number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// Time since the machine booted, in milliseconds: never jumps, and counts while suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boot(u64);

impl Boot {
    /// So many milliseconds after the machine booted.
    pub const fn from_millis(millis: u64) -> Boot {
        Boot(millis)
    }

    /// Milliseconds since boot.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `self` until `later`; zero when `later` is earlier.
    pub const fn until(self, later: Boot) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// One reading of both clocks, so that they can be held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since the machine booted.
    pub boot: Boot,
    /// Wall time, milliseconds since the epoch.
    pub wall_ms: i64,
}

/// Where the time comes from: the system, or a hand that a test moves.
#[derive(Debug)]
pub enum Clock {
    /// `CLOCK_REALTIME` and `CLOCK_BOOTTIME`.
    System,
    /// Moves only when told to.
    Manual {
        /// Wall time, epoch seconds.
        wall_s: AtomicI64,
        /// Boot time, milliseconds.
        boot_ms: AtomicU64,
    },
}

impl Clock {
    /// A clock that stands at `wall` until it is advanced.
    pub fn manual(wall: Timestamp) -> Clock {
        Clock::Manual { wall_s: AtomicI64::new(wall.0), boot_ms: AtomicU64::new(1_000_000) }
    }

    /// The wall time now.
    pub fn wall(&self) -> Timestamp {
        match self {
            Clock::System => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
                Timestamp::from_epoch_s(now.tv_sec).unwrap_or(Timestamp::EPOCH)
            }
            Clock::Manual { wall_s, .. } => Timestamp(wall_s.load(Ordering::SeqCst)),
        }
    }

    /// The boot time now.
    pub fn boot(&self) -> Boot {
        match self {
            Clock::System => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
                let millis = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
                Boot(seconds.saturating_mul(1_000).saturating_add(millis))
            }
            Clock::Manual { boot_ms, .. } => Boot(boot_ms.load(Ordering::SeqCst)),
        }
    }

    /// Both clocks now.
    pub fn moment(&self) -> Moment {
        let wall_ms = match self {
            Clock::System => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
                now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000)
            }
            Clock::Manual { wall_s, .. } => wall_s.load(Ordering::SeqCst).saturating_mul(1_000),
        };
        Moment { boot: self.boot(), wall_ms }
    }

    /// Moves a manual clock forward; the system clock stays as it is.
    pub fn advance(&self, by: Seconds) {
        if let Clock::Manual { wall_s, boot_ms } = self {
            wall_s.fetch_add(by.0, Ordering::SeqCst);
            let millis = u64::try_from(by.0).unwrap_or(0).saturating_mul(1_000);
            boot_ms.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Sets the wall of a manual clock back, as a wrong time server does; the system clock stays.
    pub fn set_back(&self, by: Seconds) {
        if let Clock::Manual { wall_s, .. } = self {
            wall_s.fetch_sub(by.0, Ordering::SeqCst);
        }
    }
}

/// Wall time that is never set back: from the furthest that the wall was ever ahead, it goes on as
/// fast as the boot clock does. What has expired stays expired for as long as this lives.
#[derive(Debug)]
pub struct Steady {
    /// The most that the wall was ahead of the boot clock, in milliseconds.
    ahead_ms: AtomicI64,
}

impl Default for Steady {
    fn default() -> Steady {
        Steady { ahead_ms: AtomicI64::new(i64::MIN) }
    }
}

impl Steady {
    /// The time now: the wall's, unless it was set back.
    pub fn wall(&self, clock: &Clock) -> Timestamp {
        // The wall is read first: a pause in between makes it less ahead, never more.
        let Moment { boot, wall_ms } = clock.moment();
        let boot_ms = i64::try_from(boot.millis()).unwrap_or(i64::MAX);
        let ahead = wall_ms.saturating_sub(boot_ms);
        let mut most = self.ahead_ms.load(Ordering::Relaxed);
        if ahead > most {
            most = self.ahead_ms.fetch_max(ahead, Ordering::Relaxed).max(ahead);
        }
        let wall_s = boot_ms.saturating_add(most).div_euclid(1_000);
        Timestamp::from_epoch_s(wall_s).unwrap_or(Timestamp::EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_that_is_set_back_takes_no_time_back() {
        let at = |seconds| Timestamp::from_epoch_s(seconds).unwrap();
        let (clock, steady) = (Clock::manual(at(1_000)), Steady::default());
        assert_eq!(steady.wall(&clock), at(1_000));
        clock.set_back(Seconds::new(500));
        assert_eq!(steady.wall(&clock), at(1_000));
        clock.advance(Seconds::new(7));
        assert_eq!((clock.wall(), steady.wall(&clock)), (at(507), at(1_007)));
        // Set right again: the wall leads as before.
        clock.advance(Seconds::new(1));
        let Clock::Manual { wall_s, .. } = &clock else { unreachable!() };
        wall_s.store(2_000, Ordering::SeqCst);
        assert_eq!(steady.wall(&clock), at(2_000));
    }
}
