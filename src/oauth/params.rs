//! Reading request parameters, whatever carried them.

/// Parameters of a request: each once, except those that may repeat. Empty means omitted
/// (RFC 6749 section 3.2), and repeats were refused before this.
pub trait Params {
    /// The value of a parameter that may appear once.
    fn one(&self, name: &str) -> Option<&str>;
    /// The values of a parameter that may repeat.
    fn all(&self, name: &str) -> Vec<&str>;
}

/// A parameter that is missing or malformed: RFC 6749 section 5.2 `invalid_request`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// Required and absent (or empty).
    #[error("the parameter `{0}` is missing")]
    Missing(&'static str),
    /// Must not be there.
    #[error("the parameter `{name}` {problem}")]
    Unacceptable {
        /// Which parameter.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A required parameter.
pub fn required<'a>(params: &'a impl Params, name: &'static str) -> Result<&'a str, ParamError> {
    params.one(name).ok_or(ParamError::Missing(name))
}
