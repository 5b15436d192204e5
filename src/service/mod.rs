//! (being written)
pub mod remote;
