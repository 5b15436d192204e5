//! L2. An administrator's JSON documents: read strictly into the model, and written back.
//!
//! Each module has `parse` and `write`, and what was written parses to the same value. A document
//! is refused as a whole with every problem that was found, each with its place and its cure.
//! Whether what a document names exists is the engine's question; nothing here knows other
//! documents.

pub mod ceiling;
pub mod change;
pub mod client;
pub mod credential;
pub mod edge;
mod form;
pub mod import;
pub mod issuer;
pub mod operator;
pub mod policy_set;
pub mod question;
pub mod resource;
pub mod tool;
pub mod tools_list;

#[cfg(test)]
mod tests;

/// A place, for people: the empty pointer is the whole document.
const fn place(field: &str) -> &str {
    if field.is_empty() { "the document" } else { field }
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", place(field))]
pub struct Problem {
    /// The place, as a JSON Pointer (RFC 6901); empty for the document itself.
    pub field: String,
    /// What is wrong there, and what to write instead.
    pub message: String,
}
