//! L1. The nouns and their laws: pure values, checked when they are built.
//!
//! No serde, no I/O, no clock, no database. How a noun is written down is somebody else's matter:
//! `oauth` for protocol JSON, `registry` for an administrator's documents, `store` for rows.

pub mod actor;
pub mod authority;
pub mod call;
pub mod ceiling;
pub mod checkpoint;
pub mod client;
pub mod constraint;
pub mod delegation;
pub mod details;
pub mod effect;
pub mod event;
pub mod issuer;
pub mod lease;
pub mod max_calls;
pub mod policy;
pub mod resource;
pub mod revocation;
pub mod scope;
pub mod signing;
pub mod subject;
pub mod token;
pub mod uri;

#[cfg(test)]
mod tests;
