//! Constraints over the arguments of a tool: what a value must be, and which constraint is
//! narrower than which. How they are written is `model::details`' matter; nothing here reads a
//! clock, a token or a registry.
//!
//! Both functions of a constraint are total and pure: `check` decides a value, `is_narrower_than`
//! decides a child against its parent. The second is sound: whenever it says yes, every value that
//! the child accepts the parent accepts too. What it cannot prove it refuses.

use crate::base::json::Value;

mod claim;
mod clauses;
mod moment;
mod path;
mod range;
mod shape;
mod values;

pub use claim::{ClaimFault, ClaimName, Never, SubjectClaims};
pub use clauses::Clauses;
pub use moment::{Moment, TimeWindow};
pub use path::Root;
pub use range::{Bound, Range};
pub use shape::{Argument, Arguments, Misplaced, PointerError, Shape, Violation, ViolationKind};
pub use values::Values;

/// A predicate over one argument.
///
/// `C` is what may stand open in it: the name of a claim in ceilings and requests, nothing at all
/// in what a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint<C = Never> {
    /// The value equals this one; numbers compare by value.
    Exact(Value),
    /// The value equals one of these.
    OneOf(Values),
    /// The value equals none of these.
    NotOneOf(Values),
    /// A number within these bounds.
    Range(Range),
    /// An array that has every one of these among its values.
    Contains(Values),
    /// An array whose every value is one of these; the empty array too.
    Subset(Values),
    /// Any value.
    Wildcard,
    /// A value that every clause permits.
    All(Clauses<C>),
    /// A value that some clause permits.
    Any(Clauses<C>),
    /// A text that begins with this one, character by character.
    Prefix(String),
    /// A normal path at or below this one.
    Path(Root),
    /// A moment in RFC 3339 form within this window.
    TimeWindow(TimeWindow),
    /// A text of at most so many characters, or an array of at most so many values.
    MaxLength(u32),
    /// Whatever a claim of the subject says when the token is minted.
    SubjectClaim(C),
}

impl<C> Constraint<C> {
    /// The deepest nesting; `optional` around a constraint counts as one level more.
    pub const MAX_DEPTH: usize = 8;
    /// The most constraints in one, itself included: bounds the work of a comparison.
    pub const MAX_NODES: usize = 64;
    /// The longest `max_length`: arguments are at most 64 KiB, so a greater one says nothing.
    pub const MAX_LENGTH: u32 = 65_536;

    /// How deep it nests; one if it has no clauses.
    pub fn depth(&self) -> usize {
        let deepest = self.clauses().map(Constraint::depth).max();
        deepest.unwrap_or(0).saturating_add(1)
    }

    /// How many constraints it is made of, itself included.
    pub fn nodes(&self) -> usize {
        self.clauses().map(Constraint::nodes).fold(1, usize::saturating_add)
    }

    fn clauses(&self) -> impl Iterator<Item = &Constraint<C>> {
        let clauses = match self {
            Constraint::All(clauses) | Constraint::Any(clauses) => Some(clauses),
            Constraint::Exact(_)
            | Constraint::OneOf(_)
            | Constraint::NotOneOf(_)
            | Constraint::Range(_)
            | Constraint::Contains(_)
            | Constraint::Subset(_)
            | Constraint::Wildcard
            | Constraint::Prefix(_)
            | Constraint::Path(_)
            | Constraint::TimeWindow(_)
            | Constraint::MaxLength(_)
            | Constraint::SubjectClaim(_) => None,
        };
        clauses.into_iter().flat_map(Clauses::iter)
    }
}

impl Constraint<ClaimName> {
    /// The constraint with every claim of the subject looked up.
    pub fn resolve(self, claims: &SubjectClaims) -> Result<Constraint, ClaimFault> {
        Ok(match self {
            Constraint::Exact(value) => Constraint::Exact(value),
            Constraint::OneOf(values) => Constraint::OneOf(values),
            Constraint::NotOneOf(values) => Constraint::NotOneOf(values),
            Constraint::Range(range) => Constraint::Range(range),
            Constraint::Contains(values) => Constraint::Contains(values),
            Constraint::Subset(values) => Constraint::Subset(values),
            Constraint::Wildcard => Constraint::Wildcard,
            Constraint::All(clauses) => Constraint::All(clauses.resolve(claims)?),
            Constraint::Any(clauses) => Constraint::Any(clauses.resolve(claims)?),
            Constraint::Prefix(prefix) => Constraint::Prefix(prefix),
            Constraint::Path(root) => Constraint::Path(root),
            Constraint::TimeWindow(window) => Constraint::TimeWindow(window),
            Constraint::MaxLength(most) => Constraint::MaxLength(most),
            Constraint::SubjectClaim(name) => Constraint::Exact(claims.value(&name)?.clone()),
        })
    }
}

impl Constraint {
    /// Whether `value` is permitted.
    pub fn check(&self, value: &Value) -> bool {
        match self {
            Constraint::Exact(wanted) => value == wanted,
            Constraint::OneOf(values) => values.contains(value),
            Constraint::NotOneOf(values) => !values.contains(value),
            Constraint::Range(range) => value.as_number().is_some_and(|n| range.contains(n)),
            Constraint::Contains(required) => {
                value.as_array().is_some_and(|array| required.iter().all(|v| array.contains(v)))
            }
            Constraint::Subset(allowed) => {
                value.as_array().is_some_and(|array| array.iter().all(|v| allowed.contains(v)))
            }
            Constraint::Wildcard => true,
            Constraint::All(clauses) => clauses.iter().all(|clause| clause.check(value)),
            Constraint::Any(clauses) => clauses.iter().any(|clause| clause.check(value)),
            Constraint::Prefix(prefix) => value.as_str().is_some_and(|t| t.starts_with(prefix)),
            Constraint::Path(root) => value.as_str().is_some_and(|path| root.contains(path)),
            Constraint::TimeWindow(window) => value
                .as_str()
                .and_then(Moment::parse)
                .is_some_and(|moment| window.contains(&moment)),
            Constraint::MaxLength(most) => length(value).is_some_and(|length| length <= *most),
            Constraint::SubjectClaim(never) => match *never {},
        }
    }

    /// Whether every value that `self` permits is permitted by `parent`, as far as that is written
    /// down: a pair of kinds that is not here is refused, whatever the values.
    ///
    /// Between the kinds of the Attenuating Agent Tokens draft (RA-9) these are its pairs and no
    /// others, so that a chain that is valid here is valid there; `exact` and `one_of` list their
    /// values, which are held against the kinds that are ours one by one.
    pub fn is_narrower_than(&self, parent: &Constraint) -> bool {
        use Constraint as C;
        match (self, parent) {
            (_, C::Wildcard) => true,
            (
                C::Exact(value),
                C::Exact(_)
                | C::OneOf(_)
                | C::Range(_)
                | C::Prefix(_)
                | C::Path(_)
                | C::TimeWindow(_)
                | C::MaxLength(_),
            ) => parent.check(value),
            (
                C::OneOf(values),
                C::OneOf(_) | C::Prefix(_) | C::Path(_) | C::TimeWindow(_) | C::MaxLength(_),
            ) => values.iter().all(|value| parent.check(value)),
            (C::NotOneOf(child), C::NotOneOf(parent))
            | (C::Contains(child), C::Contains(parent)) => parent.is_subset(child),
            (C::Range(child), C::Range(parent)) => child.is_within(parent),
            (C::Subset(child), C::Subset(parent)) => child.is_subset(parent),
            (C::All(child), C::All(parent)) => child.matches_each_of(parent),
            (C::Any(child), C::Any(parent)) => child.each_is_under_one_of(parent),
            (C::Prefix(child), C::Prefix(parent)) => child.starts_with(parent),
            (C::Path(child), C::Path(parent)) => parent.contains(child.as_str()),
            (C::TimeWindow(child), C::TimeWindow(parent)) => child.is_within(parent),
            (C::MaxLength(child), C::MaxLength(parent)) => child <= parent,
            (C::SubjectClaim(never), _) => match *never {},
            (
                C::Exact(_)
                | C::OneOf(_)
                | C::NotOneOf(_)
                | C::Range(_)
                | C::Contains(_)
                | C::Subset(_)
                | C::Wildcard
                | C::All(_)
                | C::Any(_)
                | C::Prefix(_)
                | C::Path(_)
                | C::TimeWindow(_)
                | C::MaxLength(_),
                _,
            ) => false,
        }
    }
}

/// Characters of a text, values of an array; nothing else has a length.
fn length(value: &Value) -> Option<u32> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(values) => values.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    // A length that does not fit is longer than any bound.
    Some(u32::try_from(length).unwrap_or(u32::MAX))
}
