//! Deputy for Rust. Agents get tokens that are good for one server and what they were meant to do
//! there ([`agent`]); MCP servers have every tool call decided when it is made, with its arguments,
//! and in whose name ([`gate`]).
//!
//! Deputy decides; this crate asks, once per request, and keeps no decision. Whatever is not
//! clearly a yes is a no. No value of this crate prints a token or a secret.
//!
//! HTTPS comes from `rustls`, whose cryptography the application picks before it makes anything of
//! this crate, once: `rustls::crypto::ring::default_provider().install_default()`.

pub mod agent;
pub mod answer;
pub mod authority;
pub mod caller;
pub mod credentials;
pub mod denial;
pub mod deputy;
pub mod error;
pub mod gate;

mod clock;
mod json;
mod key;
mod message;
mod presented;
mod secret;
mod send;
mod session;
mod tokens;
mod wire;

/// The README is a working quick start: its programs are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
