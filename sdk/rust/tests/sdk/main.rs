//! The crate against the real program: Deputy is the binary of this workspace, the servers are
//! `rmcp` behind the gate, the clients `rmcp`'s own. Only where Deputy must lie, something else
//! stands in its place.

#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach helpers")]
#![expect(clippy::panic, reason = "a test that cannot set itself up says so by panicking")]
#![expect(clippy::indexing_slicing, reason = "a test that finds less than it made may panic")]
#![expect(clippy::arithmetic_side_effects, reason = "times near the world's beginning")]
#![expect(clippy::needless_pass_by_value, reason = "`json!` reads best where it is said")]

mod examples;
mod keys;
mod proofs;
mod requests;
mod servers;
mod story;
mod unmodified;
mod unreliable;
mod vectors;
mod world;
