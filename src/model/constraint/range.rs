//! Ranges of numbers, compared by value.

use std::cmp::Ordering;

use crate::base::json::Number;

/// One end of a [`Range`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The number at the end.
    pub value: Number,
    /// Whether the number itself is still within.
    pub inclusive: bool,
}

/// The numbers between two bounds, at least one of which is there; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    min: Option<Bound>,
    max: Option<Bound>,
}

impl Range {
    /// The numbers from `min` to `max`. `None` without any bound, or when no number is within.
    pub fn new(min: Option<Bound>, max: Option<Bound>) -> Option<Range> {
        let holds_something = match (min, max) {
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
            (Some(min), Some(max)) => match min.value.cmp(&max.value) {
                Ordering::Less => true,
                Ordering::Equal => min.inclusive && max.inclusive,
                Ordering::Greater => false,
            },
        };
        holds_something.then_some(Range { min, max })
    }

    /// The lower end.
    pub const fn min(&self) -> Option<Bound> {
        self.min
    }

    /// The upper end.
    pub const fn max(&self) -> Option<Bound> {
        self.max
    }

    /// Whether `number` is within.
    pub fn contains(&self, number: Number) -> bool {
        self.min.is_none_or(|min| min.admits(number.cmp(&min.value)))
            && self.max.is_none_or(|max| max.admits(max.value.cmp(&number)))
    }

    /// Whether neither end reaches beyond `parent`'s. An end that the parent has, the child must
    /// have too; an inclusive one may become exclusive and never the reverse.
    pub fn is_within(&self, parent: &Range) -> bool {
        tighter(self.min, parent.min, |child, parent| child.cmp(&parent))
            && tighter(self.max, parent.max, |child, parent| parent.cmp(&child))
    }
}

impl Bound {
    /// Whether a number that stands so to the bound, seen from outside, is within.
    const fn admits(self, inward: Ordering) -> bool {
        match inward {
            Ordering::Less => false,
            Ordering::Equal => self.inclusive,
            Ordering::Greater => true,
        }
    }
}

/// Whether `child` lies at least as far inward as `parent`; `inward` says how far it does.
fn tighter(
    child: Option<Bound>,
    parent: Option<Bound>,
    inward: impl Fn(Number, Number) -> Ordering,
) -> bool {
    match (child, parent) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(child), Some(parent)) => match inward(child.value, parent.value) {
            Ordering::Less => false,
            Ordering::Equal => parent.inclusive || !child.inclusive,
            Ordering::Greater => true,
        },
    }
}
