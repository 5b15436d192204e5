//! The clauses of `all` and `any`: few, and not deep, so that comparing them is bounded work.

use std::collections::BTreeSet;

use super::{ClaimFault, ClaimName, Constraint, Never, SubjectClaims};

/// One to eight constraints that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clauses<C = Never>(Vec<Constraint<C>>);

impl<C> Clauses<C> {
    /// The most clauses of one `all` or `any`.
    pub const MAX: usize = 8;

    /// These clauses. `None` if there are none or more than [`Clauses::MAX`], or if the constraint
    /// of them would be deeper than [`Constraint::MAX_DEPTH`] or larger than
    /// [`Constraint::MAX_NODES`].
    pub fn new(clauses: Vec<Constraint<C>>) -> Option<Clauses<C>> {
        let deepest = clauses.iter().map(Constraint::depth).max()?;
        let nodes = clauses.iter().map(Constraint::nodes).fold(1, usize::saturating_add);
        let fits = clauses.len() <= Self::MAX
            && deepest < Constraint::<C>::MAX_DEPTH
            && nodes <= Constraint::<C>::MAX_NODES;
        fits.then_some(Clauses(clauses))
    }

    /// The clauses in order.
    pub fn iter(&self) -> impl Iterator<Item = &Constraint<C>> {
        self.0.iter()
    }
}

impl Clauses<ClaimName> {
    pub(super) fn resolve(self, claims: &SubjectClaims) -> Result<Clauses, ClaimFault> {
        self.0
            .into_iter()
            .map(|clause| clause.resolve(claims))
            .collect::<Result<_, _>>()
            .map(Clauses)
    }
}

impl Clauses {
    /// For `all`: whether every clause of `parent` can be given a narrower clause of ours, each a
    /// different one. What is left over narrows further.
    ///
    /// `used` are all the ways in which our clauses can have been given away so far, as sets of
    /// bits: at most 256, because there are at most eight clauses.
    pub(super) fn matches_each_of(&self, parent: &Clauses) -> bool {
        let mut used = BTreeSet::from([0_u8]);
        for wider in parent.iter() {
            let bits = (0..).map(|at| 1_u8.rotate_left(at)).zip(self.iter());
            let fitting: Vec<u8> =
                bits.filter(|(_, ours)| ours.is_narrower_than(wider)).map(|(bit, _)| bit).collect();
            let give = |taken: &u8| {
                let taken = *taken;
                fitting.iter().filter(move |bit| taken & **bit == 0).map(move |bit| taken | bit)
            };
            used = used.iter().flat_map(give).collect();
        }
        !used.is_empty()
    }

    /// For `any`: whether each of ours is narrower than some clause of `parent`.
    pub(super) fn each_is_under_one_of(&self, parent: &Clauses) -> bool {
        self.iter().all(|ours| parent.iter().any(|wider| ours.is_narrower_than(wider)))
    }
}
