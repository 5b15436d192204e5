//! What the model must say: the protocol holds under every seed, and each variant of it breaks.

use super::sim::{Ran, Sim, Variant};

/// Schedules of the protocol as it is. Each is a minute of three instances.
const SEEDS: u64 = 50;
/// Schedules within which a variant must have failed.
const SEEDS_OF_VARIANT: u64 = 50;

#[test]
fn no_instance_answers_without_a_change_that_was_answered() {
    let mut all = Ran::default();
    for seed in 0..SEEDS {
        let ran = Sim::run(seed, Variant::AsItIs);
        assert_eq!(ran.broken, None, "seed {seed}");
        all.add(&ran);
    }
    // A model in which nothing happens proves nothing.
    assert!(all.changes > 5_000, "{all:?}");
    assert!(all.answers > 100_000, "{all:?}");
    assert!(all.caught_up > 500, "{all:?}");
    assert!(all.struck_off > 20, "{all:?}");
    assert!(all.crashes > 20 && all.freezes > 100 && all.suspensions > 20, "{all:?}");
}

/// The seed at which a variant is caught.
fn caught(variant: Variant) -> u64 {
    let mut seeds = 0..SEEDS_OF_VARIANT;
    let found = seeds.find(|seed| Sim::run(*seed, variant).broken.is_some());
    found.unwrap_or_else(|| panic!("{variant:?} is never caught"))
}

#[test]
fn a_memory_that_is_trusted_after_its_lease_is_caught() {
    caught(Variant::TrustedForEver);
}

#[test]
fn a_lease_counted_from_its_answer_is_caught() {
    caught(Variant::FromTheAnswer);
}

#[test]
fn a_lease_that_asks_one_clock_alone_is_caught() {
    caught(Variant::OneClock);
}

#[test]
fn numbers_drawn_outside_the_transaction_are_caught() {
    caught(Variant::NumbersDrawnBefore);
}

#[test]
fn a_wait_without_a_margin_is_caught() {
    caught(Variant::NoMargin);
}

#[test]
fn an_instance_that_comes_back_with_its_renewal_is_caught() {
    caught(Variant::RegistersWithRenewal);
}

#[test]
fn a_snapshot_taken_before_the_lease_is_looked_at_is_caught() {
    caught(Variant::SnapshotFirst);
}

#[test]
fn renewals_that_a_crash_of_the_database_takes_back_are_caught() {
    caught(Variant::RenewalsNotOnDisk);
}

#[test]
fn an_instance_that_says_it_knows_a_change_before_it_does_is_caught() {
    caught(Variant::TellsFirst);
}
