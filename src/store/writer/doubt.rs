//! Commits of which nobody knows whether they were made: their answers were lost. What settles it is
//! the chain, in which one link alone can have a number.

use super::super::chain::Chain;

/// Such commits, and how many of the oldest journalled events were in each.
#[derive(Default)]
pub(super) struct Doubts(Vec<(Chain, usize)>);

impl Doubts {
    /// Commits that are remembered. Each took a connection that was made and lost again.
    const MAX: usize = 64;

    /// A commit was sent that would leave the chain there.
    pub fn add(&mut self, chain: Chain, events: usize) {
        if self.0.len() >= Doubts::MAX {
            self.0.remove(0);
        }
        self.0.push((chain, events));
    }

    /// How many of the oldest journalled events are written, now that the chain is seen at `stored`
    /// and was thought to be at `thought`. Where it has not moved nothing is known: the database
    /// may still be about to make a commit that it was sent over a connection that is gone.
    pub fn settle(&mut self, thought: &Chain, stored: &Chain) -> usize {
        if stored.seq() <= thought.seq() {
            return 0;
        }
        let made = self.0.iter().find(|(chain, _)| chain == stored);
        let written = made.map_or(0, |(_, events)| *events);
        self.0.clear();
        written
    }

    /// A commit of ours was made and confirmed: none of the others has its number any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: i64, hash: u8) -> Chain {
        Chain::of("w").at(seq, &[hash; 32]).unwrap()
    }

    #[test]
    fn a_late_commit_is_known_by_its_link_and_another_is_not_taken_for_it() {
        let mut doubts = Doubts::default();
        doubts.add(at(4, 1), 2);
        assert_eq!(doubts.settle(&at(3, 0), &at(3, 0)), 0, "not made yet");
        doubts.add(at(4, 2), 5);
        assert_eq!(doubts.settle(&at(3, 0), &at(4, 2)), 5, "the second of them was made");
        assert_eq!(doubts.settle(&at(3, 0), &at(4, 2)), 0, "once");
        doubts.add(at(4, 1), 2);
        assert_eq!(doubts.settle(&at(3, 0), &at(4, 9)), 0, "another link has the number");
        doubts.add(at(4, 1), 2);
        doubts.clear();
        assert_eq!(doubts.settle(&at(3, 0), &at(4, 1)), 0);
    }
}
