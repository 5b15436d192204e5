//! Pairs of constraints by the hundred thousand: each pair is judged by Deputy and by sets.

use std::{collections::BTreeSet, thread};

use deputy::{
    base::json::{Object, Value as Ours},
    model::constraint::Arguments,
};
use serde_json::{Value, json};

use super::{
    chance::Chance,
    domain::VALUES,
    generate::{self, KINDS},
    is_printed_as_read,
    oracle::{self, kind},
    ours, page, read,
};

/// Pairs in all; each parent has [`CHILDREN`].
const PAIRS: usize = SEEDS.len() * 50_400;
const CHILDREN: usize = 8;
/// Each has a thread of its own.
const SEEDS: [u64; 2] = [1, 2];
/// Values tried with each pair, besides the whole world by the oracle.
const TRIES: usize = 8;

/// A kind of child and a kind of parent.
type Kinds = (String, String);

/// What was seen.
#[derive(Default)]
struct Seen {
    pairs: usize,
    narrower: usize,
    near_misses_refused: usize,
    tried: usize,
    accepted: usize,
    kinds: BTreeSet<Kinds>,
    related: BTreeSet<Kinds>,
    refused: BTreeSet<Kinds>,
    widenings: Vec<String>,
}

/// The objects that pass each value of the small world as `x`.
struct World {
    calls: Vec<Object>,
}

/// One thing said about `x`: as it is written, as Deputy reads it, and the set that it means.
struct Said {
    json: Value,
    read: Arguments,
    set: u128,
}

#[test]
#[expect(clippy::print_stdout, reason = "the statistics are for people too")]
fn ra7_i1_what_is_narrower_never_accepts_more() {
    let seen = thread::scope(|scope| {
        let run = |seed: u64| scope.spawn(move || run(Chance::new(seed), PAIRS / SEEDS.len()));
        let runs: Vec<_> = SEEDS.into_iter().map(run).collect();
        runs.into_iter().map(|run| run.join().unwrap()).fold(Seen::default(), Seen::and)
    });
    assert!(seen.widenings.is_empty(), "widened:\n{}", seen.widenings.join("\n"));
    let statistics = seen.statistics();
    println!("{}", statistics.join("\n"));
    assert!(seen.narrower * 100 >= seen.pairs * 30, "too few related pairs");
    assert!(seen.accepted * 100 >= seen.tried * 20, "too few accepted values");
    let all = KINDS.iter().flat_map(|child| KINDS.iter().map(move |parent| (child, parent)));
    let untried: Vec<_> =
        all.filter(|(c, p)| !seen.kinds.contains(&((**c).into(), (**p).into()))).collect();
    assert!(untried.is_empty(), "pairs of kinds that were never tried: {untried:?}");
    page::is_up_to_date(&statistics, &seen.related, &seen.refused);
}

fn run(mut chance: Chance, pairs: usize) -> Seen {
    let world = World::new();
    let mut seen = Seen::default();
    for turn in 0..pairs / CHILDREN {
        let parent = Said::new(generate::any_of(&mut chance, KINDS[turn % KINDS.len()]));
        world.agrees(&parent, 0..VALUES.len());
        is_printed_as_read(&parent.read);
        for each in 0..CHILDREN {
            let (json, made) =
                child(&mut chance, &parent.json, turn / KINDS.len() * CHILDREN + each);
            let child = Said::new(json);
            let tried = tries(&mut chance, child.set);
            world.agrees(&child, tried.iter().copied());
            seen.note((&child, &parent), made, &tried);
        }
    }
    seen
}

/// How a child came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Narrower,
    Nearly,
    Regrouped,
    AtRandom,
}

/// Of five children two are narrower, one nearly so, one in truth, and one of each kind in turn.
fn child(chance: &mut Chance, parent: &Value, turn: usize) -> (Value, Made) {
    let (child, made) = match turn % 5 {
        0 | 1 => (generate::narrowed(chance, parent), Made::Narrower),
        2 => (generate::nearly(chance, parent), Made::Nearly),
        3 => (generate::regrouped(chance, parent), Made::Regrouped),
        _ => (generate::any_of(chance, KINDS[turn / 5 % KINDS.len()]), Made::AtRandom),
    };
    // A wildcard deep in a tree may have grown a tree of its own.
    let fits = child.to_string().matches("constraint_type").count() <= 64;
    if fits { (child, made) } else { (parent.clone(), Made::Narrower) }
}

impl Said {
    fn new(json: Value) -> Said {
        Said { read: read(&json!({ "x": json })), set: oracle::set(&json), json }
    }
}

impl World {
    fn new() -> World {
        let call = |value: &Option<Value>| match value {
            None => Object::new(),
            Some(value) => [("x", ours(&value.to_string()))].into_iter().collect(),
        };
        World { calls: VALUES.iter().map(call).collect() }
    }

    /// Holds that Deputy and the oracle decide these values alike.
    fn agrees(&self, said: &Said, values: impl IntoIterator<Item = usize>) {
        for at in values {
            let ours = said.read.check(&self.calls[at]).is_ok();
            let (json, value) = (&said.json, &VALUES[at]);
            assert_eq!(ours, said.set >> at & 1 == 1, "{json} and {value:?}");
        }
    }
}

/// Values to try: half of them from the set, if it has any.
fn tries(chance: &mut Chance, set: u128) -> Vec<usize> {
    let within = oracle::members(set);
    let one = |n: usize| match n % 2 {
        0 if !within.is_empty() => *chance.pick(&within),
        _ => chance.below(VALUES.len()),
    };
    (0..TRIES).map(one).collect()
}

impl Seen {
    fn note(&mut self, (child, parent): (&Said, &Said), made: Made, tried: &[usize]) {
        let kinds = (kind(&child.json).to_owned(), kind(&parent.json).to_owned());
        let narrower = child.read.is_narrower_than(&parent.read);
        let within = child.set & !parent.set == 0;
        if narrower && !within {
            let at = (child.set & !parent.set).trailing_zeros() as usize;
            let value = &VALUES[at];
            self.widenings.push(format!("{} under {}: {value:?}", child.json, parent.json));
        }
        let made_so = made == Made::Narrower;
        assert!(
            narrower || !made_so,
            "made narrower and refused: {} under {}",
            child.json,
            parent.json
        );
        if narrower {
            self.related.insert(kinds.clone());
        } else if within && child.set != 0 {
            self.refused.insert(kinds.clone());
        }
        self.pairs += 1;
        self.narrower += usize::from(narrower);
        self.near_misses_refused += usize::from(made == Made::Nearly && !narrower);
        self.tried += tried.len();
        self.accepted += tried.iter().filter(|at| child.set >> **at & 1 == 1).count();
        self.kinds.insert(kinds);
    }

    fn and(mut self, other: Seen) -> Seen {
        self.pairs += other.pairs;
        self.narrower += other.narrower;
        self.near_misses_refused += other.near_misses_refused;
        self.tried += other.tried;
        self.accepted += other.accepted;
        self.kinds.extend(other.kinds);
        self.related.extend(other.related);
        self.refused.extend(other.refused);
        self.widenings.extend(other.widenings);
        self
    }

    fn statistics(&self) -> Vec<String> {
        let percent = |part: usize, whole: usize| part * 100 / whole;
        vec![
            format!("- pairs judged: {}", self.pairs),
            format!("- narrower: {} ({} %)", self.narrower, percent(self.narrower, self.pairs)),
            format!("- near misses refused: {}", self.near_misses_refused),
            format!("- values tried: {}", self.tried),
            format!(
                "- accepted by the child: {} ({} %)",
                self.accepted,
                percent(self.accepted, self.tried)
            ),
            format!(
                "- ordered pairs of kinds tried: {} of {}",
                self.kinds.len(),
                KINDS.len().pow(2)
            ),
            format!("- widenings accepted: {}", self.widenings.len()),
        ]
    }
}

/// The kinds of Deputy's own table, so that one that is added is generated too.
#[test]
fn every_kind_that_a_token_may_carry_is_generated() {
    let written = deputy::model::details::KINDS.iter().map(|(kind, _)| *kind);
    let carried: BTreeSet<&str> = written.filter(|kind| *kind != "subject_claim").collect();
    assert_eq!(carried, KINDS.into_iter().collect());
    assert!(matches!(ours("[]"), Ours::Array(_)));
}
