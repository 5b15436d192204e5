//! Promises kept end to end, over real sockets and real databases: the one test binary.

#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach helpers")]
#![expect(clippy::expect_used, reason = "as above, saying what was expected")]
#![expect(clippy::panic, reason = "a test that cannot set itself up says so by panicking")]

mod api;
mod postgres;
mod process;
mod readme;
mod remote;
mod serve_process;
mod store;
mod tidy;
