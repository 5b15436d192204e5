//! (being written)
pub mod issuer;
