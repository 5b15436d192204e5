//! Promises kept end to end, over real sockets and real databases: the one test binary.

#![expect(clippy::unwrap_used, reason = "clippy's allowance for tests does not reach helpers")]
#![expect(clippy::expect_used, reason = "as above, saying what was expected")]
#![expect(clippy::panic, reason = "a test that cannot set itself up says so by panicking")]
#![expect(clippy::indexing_slicing, reason = "a test that finds less than it made may panic")]
#![expect(clippy::string_slice, reason = "as above: every text that is cut is ASCII")]
#![expect(clippy::arithmetic_side_effects, reason = "times near the world's beginning")]
#![expect(clippy::needless_pass_by_value, reason = "`json!` reads best where it is said")]

mod access;
mod algorithms;
mod api;
mod assertions;
mod authority;
mod authzen;
mod bad_input;
mod bad_tokens;
mod chain;
mod chaos;
mod client_auth;
mod coherence;
mod coverage;
mod decision;
mod dpop;
mod edges;
mod evidence;
mod exchange;
mod explain;
mod hostile;
mod keys;
mod kinds;
mod memory;
mod metadata;
mod narrowing;
mod operators;
mod policed;
mod policies;
mod policy_cli;
mod postgres;
mod process;
mod proxy;
mod readme;
mod ready_policies;
mod record;
mod remote;
mod replay;
mod restore;
mod retention;
mod revocation;
mod rules;
mod serve_process;
mod signed;
mod simulate;
mod spending;
mod store;
mod tidy;
mod tls;
mod tools;
mod world;
mod wycheproof;
