//! What the steps of an answer cost, one by one, without HTTP and without a database:
//!
//!     cargo bench --bench micro
//!
//! `cargo test` runs each step once, so that none rots. Ratios to the floors, which are what counts,
//! are `scripts/bench`'s to take.

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up says so by panicking")]

mod world;

use std::sync::LazyLock;

use deputy::{
    engine::{
        decide::{self, Question, Untraced},
        verify,
    },
    http::{form::Form, introspect},
    model::token::OurClaims,
    oauth::introspection,
    policy::Policies,
};
use divan::{Bencher, black_box};

use self::world::World;

/// Counts what each step allocates.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

static WORLD: LazyLock<World> = LazyLock::new(World::new);

fn main() {
    divan::main();
}

/// A question with ten arguments, from the bytes of its form.
#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let body = WORLD.form();
    bencher.bench(|| {
        let form = Form::parse(black_box(body.as_bytes()), &introspect::NAMES);
        let form = form.unwrap();
        introspection::Question::parse(&form).unwrap().call.is_some()
    });
}

/// A token of ours: its signature and its claims.
#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let token = WORLD.token(&WORLD.constrained);
    bencher.bench(|| verify::ours::judge(&WORLD.snapshot.config, black_box(&token)).unwrap());
}

/// A token of ours: its claims and its signature.
#[divan::bench]
fn sign(bencher: Bencher<'_, '_>) {
    bencher.bench(|| WORLD.token(black_box(&WORLD.constrained)));
}

/// What an introspection answer says of a token.
#[divan::bench]
fn answer(bencher: Bencher<'_, '_>) {
    bencher.bench(|| introspection::active(world::ISSUER, black_box(&WORLD.constrained)));
}

/// A call with ten arguments, any of them permitted, and no policy.
#[divan::bench]
fn decide_plain(bencher: Bencher<'_, '_>) {
    decided(bencher, &WORLD.free, world::FREE);
}

/// The same call, each argument limited to one value.
#[divan::bench]
fn decide_ten_constraints(bencher: Bencher<'_, '_>) {
    decided(bencher, &WORLD.constrained, world::FREE);
}

/// The same call where five of a hundred policies concern the tool.
#[divan::bench]
fn decide_five_of_a_hundred_policies(bencher: Bencher<'_, '_>) {
    decided(bencher, &WORLD.free, world::POLICED);
}

/// A hundred policies, validated and cut for each of a hundred tools. Off every request's path.
#[divan::bench(sample_count = 10)]
fn compile_a_hundred_policies(bencher: Bencher<'_, '_>) {
    let sources = world::policies();
    let resources = || WORLD.snapshot.config.resources().map(AsRef::as_ref);
    bencher.bench(|| Policies::compile(1, black_box(&sources), resources()).unwrap());
}

/// Measures a decision, which allows: a denial would end early.
fn decided(bencher: Bencher<'_, '_>, claims: &OurClaims, tool: &str) {
    let resource = WORLD.resource();
    let question = Question {
        id: world::decision(),
        subject: None,
        tool,
        arguments: Some(world::ARGUMENTS),
        holder: Ok(None),
        now: world::now(),
    };
    bencher.bench(|| {
        let decision =
            decide::decide(&WORLD.snapshot, claims, resource, black_box(&question), &mut Untraced);
        assert!(decision.allow, "{:?}", decision.reason);
        decision
    });
}
