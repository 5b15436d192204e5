//! Promises kept end to end, over real sockets and real databases: the one test binary.

#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach helpers")]
#![expect(clippy::expect_used, reason = "as above, saying what was expected")]
#![expect(clippy::panic, reason = "a test that cannot set itself up says so by panicking")]
#![expect(clippy::indexing_slicing, reason = "a test that finds less than it made may panic")]
#![expect(clippy::string_slice, reason = "as above")]
#![expect(clippy::arithmetic_side_effects, reason = "a sum that overflows fails its test")]

mod api;
mod authority;
mod exchange;
mod introspect;
mod postgres;
mod process;
mod readme;
mod remote;
mod revoke;
mod serve_process;
mod store;
mod tidy;
mod world;
