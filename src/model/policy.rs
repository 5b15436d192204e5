//! Policy sets as administrators write them: texts with names, and what is wrong with them. What
//! they mean only `policy` knows.

/// A policy set as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Delegation policies: Cedar texts that only forbid.
    pub delegation: Vec<Source>,
    /// Access policies.
    pub access: Access,
}

/// One text with a name, such as the file it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name, as faults name it.
    pub name: String,
    /// Cedar.
    pub text: String,
}

/// Policies for requests without a token, about whatever the administrator describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// What there is to ask about, as a Cedar schema. Without it nothing is allowed.
    pub schema: Option<Source>,
    /// The policies.
    pub policies: Vec<Source>,
}

/// One thing that is wrong with a policy set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct Fault {
    /// The name of the text.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong there, and what to write instead.
    pub message: String,
}
