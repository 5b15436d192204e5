//! Moments and windows of time as arguments carry them: RFC 3339 with an explicit offset. This is
//! the time that a call *names*; when a call is made is no argument.

use jiff::Timestamp;

/// A moment, and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    text: String,
    at: Timestamp,
}

/// The moments from one (within) until another (not within any more); at least one end is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    from: Option<Moment>,
    until: Option<Moment>,
}

impl Moment {
    /// Reads a moment, strictly: `2026-11-25T08:00:00Z`, with up to nine digits of a fraction, and
    /// `+01:00` in the place of `Z`. `None` for anything else that some parser would take: lower
    /// case, a space, a leap second, `-00:00`, which says that the offset is not known (RFC 3339
    /// section 4.3), or no offset at all.
    pub fn parse(text: &str) -> Option<Moment> {
        let (stem, rest) = text.split_at_checked(STEM.len())?;
        let zone = match rest.strip_prefix('.') {
            Some(rest) => {
                let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                let digits = rest.len().checked_sub(zone.len())?;
                (1..=9).contains(&digits).then_some(zone)?
            }
            None => rest,
        };
        let explicit = zone == "Z"
            || (zone != "-00:00"
                && ["+00:00", "-00:00"].iter().any(|form| has_form(zone, form))
                && zone.get(1..3).is_some_and(|hours| hours <= "23"));
        if !has_form(stem, STEM) || stem.ends_with(":60") || !explicit {
            return None;
        }
        // The calendar is jiff's: it refuses the 30th of February.
        Some(Moment { text: text.to_owned(), at: text.parse().ok()? })
    }

    /// The moment as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

const STEM: &str = "0000-00-00T00:00:00";

/// Whether `text` has digits where `form` has `0`, and otherwise the same characters.
fn has_form(text: &str, form: &str) -> bool {
    let fits =
        |(have, want): (u8, u8)| if want == b'0' { have.is_ascii_digit() } else { have == want };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

impl TimeWindow {
    /// The moments from `from` until `until`. `None` without any end, or when no moment is within.
    pub fn new(from: Option<Moment>, until: Option<Moment>) -> Option<TimeWindow> {
        let holds_something = match (&from, &until) {
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
            (Some(from), Some(until)) => from.at < until.at,
        };
        holds_something.then_some(TimeWindow { from, until })
    }

    /// The first moment within.
    pub const fn from(&self) -> Option<&Moment> {
        self.from.as_ref()
    }

    /// The first moment that is not within any more.
    pub const fn until(&self) -> Option<&Moment> {
        self.until.as_ref()
    }

    /// Whether `moment` is within.
    pub fn contains(&self, moment: &Moment) -> bool {
        self.from.as_ref().is_none_or(|from| from.at <= moment.at)
            && self.until.as_ref().is_none_or(|until| moment.at < until.at)
    }

    /// Whether neither end reaches beyond `parent`'s.
    pub fn is_within(&self, parent: &TimeWindow) -> bool {
        let begins = match (&self.from, &parent.from) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(child), Some(parent)) => parent.at <= child.at,
        };
        let ends = match (&self.until, &parent.until) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(child), Some(parent)) => child.at <= parent.at,
        };
        begins && ends
    }
}
