//! (being written)
pub mod details;
