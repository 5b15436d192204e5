//! Deputy: an OAuth 2.0 token exchange issuer (RFC 8693) for AI agents and the MCP servers they
//! call. `docs/ARCHITECTURE.md` is the map of these modules and their layers; each imports downward
//! only.

pub mod base;
pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine;
pub mod http;
pub mod jose;
pub mod model;
pub mod oauth;
pub mod policy;
pub mod registry;
pub mod service;
pub mod store;
