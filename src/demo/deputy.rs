//! Deputy itself, as the demo starts it: on a free port, with a database and keys of its own that
//! go when the story is over.

use std::path::PathBuf;

use super::DemoError;
use crate::base::{id::WriterId, random::Random, secret::Secret};

/// A running Deputy.
#[derive(Debug)]
pub struct Deputy {
    home: Home,
}
/// A directory that is removed when it is dropped.
#[derive(Debug)]
struct Home(PathBuf);
impl Deputy {
    pub async fn start() -> Result<Deputy, DemoError> {
        todo!()
    }
    pub fn url(&self) -> String {
        todo!()
    }
    pub fn admin_token(&self) -> Result<Secret<String>, DemoError> {
        todo!()
    }
    pub fn home(&self) -> &str {
        todo!()
    }
    pub async fn stop(self) {}
}
