//! L0. Time, identifiers, secrets, chance and strict text: what every layer may use.
//!
//! Nothing here knows a protocol, a database or the network. This is the only layer that reads a
//! clock or draws a random number.

pub mod claims;
pub mod compose;
pub mod id;
pub mod json;
pub mod lanes;
pub mod random;
pub mod secret;
pub mod text;
pub mod time;
