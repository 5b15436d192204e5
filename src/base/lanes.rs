//! A fixed number of lanes in which names that anybody may send wait apart from each other.

use std::{
    array,
    hash::{BuildHasher as _, Hash, RandomState},
};

/// How many lanes there are.
const COUNT: usize = 64;

/// 64 lanes, and in which of them a name waits. Nobody can choose names that meet: where each goes
/// is drawn when they are made, by a keyed hash. Names that meet by chance share their lane.
#[derive(Debug)]
pub struct Lanes<T> {
    lanes: [T; COUNT],
    drawn: RandomState,
}

impl<T> Lanes<T> {
    /// All lanes, each made by `make`.
    pub fn new(mut make: impl FnMut() -> T) -> Lanes<T> {
        Lanes { lanes: array::from_fn(|_| make()), drawn: RandomState::new() }
    }

    /// The lane of this name: always the same one.
    pub fn of(&self, name: &impl Hash) -> &T {
        let [first, ..] = &self.lanes;
        let at = self.drawn.hash_one(name).checked_rem(COUNT as u64);
        at.and_then(|at| self.lanes.get(usize::try_from(at).ok()?)).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, ptr};

    use super::*;

    #[test]
    fn a_name_keeps_its_lane_and_names_spread_over_all_of_them() {
        let mut made = 0;
        let lanes = Lanes::new(|| {
            made += 1;
            made
        });
        let used: HashSet<_> = (0..10_000).map(|name| lanes.of(&name)).collect();
        assert_eq!(used.len(), COUNT);
        assert!(ptr::eq(lanes.of(&"a name"), lanes.of(&"a name")));
    }
}
