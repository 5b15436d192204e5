//! The local time in the zones that policies name.

use cedar_policy::RestrictedExpression as Expression;
use jiff::tz::TimeZone;

use crate::base::time::Timestamp;

/// A time zone of the IANA database, by the text that a policy names it by.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub name: String,
    zone: TimeZone,
}

impl Zone {
    /// The zone of this name; `None` if there is none. Names are taken as they are written, so that
    /// one zone is not asked for under two spellings.
    pub fn named(name: &str) -> Option<Zone> {
        let zone = TimeZone::get(name).ok()?;
        (zone.iana_name() == Some(name)).then(|| Zone { name: name.to_owned(), zone })
    }

    /// What its clocks show.
    pub fn at(&self, now: Timestamp) -> Option<Expression> {
        let now = jiff::Timestamp::from_second(now.epoch_s()).ok()?;
        let local = now.to_zoned(self.zone.clone());
        let number = |n: i8| Expression::new_long(i64::from(n));
        Expression::new_record([
            ("hour".to_owned(), number(local.hour())),
            ("minute".to_owned(), number(local.minute())),
            ("weekday".to_owned(), number(local.weekday().to_monday_one_offset())),
            ("date".to_owned(), Expression::new_string(local.date().to_string())),
        ])
        .ok()
    }
}

/// A moment, as Cedar writes it.
pub(super) fn moment(now: Timestamp) -> Option<Expression> {
    let now = jiff::Timestamp::from_second(now.epoch_s()).ok()?;
    Some(Expression::new_datetime(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}
