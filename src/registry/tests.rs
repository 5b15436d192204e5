//! Documents: what was written reads back the same, and what is wrong is said with its place.

mod documents;
mod imports;
mod issuers;
mod policies;

use super::{Problem, form::Read};

/// What is wrong with a document, one line for each problem.
fn problems<T>(read: Read<T>) -> Vec<String> {
    read.err().unwrap_or_default().iter().map(Problem::to_string).collect()
}
