//! Deputy: an OAuth 2.0 token exchange issuer (RFC 8693) for AI agents and the MCP servers they
//! call. `docs/ARCHITECTURE.md` is the map; the layers below import downward only.

pub mod base; // L0
pub mod cli; // L6
pub mod config; // L6
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine; // L3
pub mod http; // L5
pub mod jose; // L2
pub mod model; // L1
pub mod oauth; // L2
pub mod registry; // L2
pub mod service; // L4
pub mod store; // L3 // L6
