//! Lists of values in a constraint: never empty, bounded, compared as sets.

use crate::base::json::Value;

/// One or more values; order and repetitions say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values(Vec<Value>);

impl Values {
    /// The most values of one list.
    pub const MAX: usize = 256;

    /// A list of these. `None` if there are none, or more than [`Values::MAX`].
    pub fn new(values: Vec<Value>) -> Option<Values> {
        (1..=Self::MAX).contains(&values.len()).then_some(Values(values))
    }

    /// Whether `value` equals one of them.
    pub fn contains(&self, value: &Value) -> bool {
        self.0.contains(value)
    }

    /// Whether each of them is also one of `other`.
    pub fn is_subset(&self, other: &Values) -> bool {
        self.iter().all(|value| other.contains(value))
    }

    /// The values, as they were written.
    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }
}
