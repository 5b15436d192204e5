//! Paths: containment of one normal path in another. Nothing is ever normalised here: a path that
//! could be read in two ways is no path.

/// A normal path, and everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(String);

impl Root {
    /// Reads a root. `None` unless it is a normal path.
    pub fn parse(text: &str) -> Option<Root> {
        is_normal(text).then(|| Root(text.to_owned()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path` is normal, and this path or one below it. An absolute path contains no
    /// relative one, nor the reverse.
    pub fn contains(&self, path: &str) -> bool {
        if !is_normal(path) {
            return false;
        }
        if self.0 == "/" {
            return path.starts_with('/');
        }
        path.strip_prefix(self.0.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether every reader reads `path` alike: no empty segment, none of dots and spaces only (`..`
/// however it is padded), no backslash, no control character, and no `%`, which somebody might
/// decode, once or twice.
fn is_normal(path: &str) -> bool {
    let segments = path.strip_prefix('/').unwrap_or(path);
    let readable = !path.chars().any(|c| c.is_control() || matches!(c, '\\' | '%'));
    let plain = |segment: &str| !segment.trim_matches(['.', ' ']).is_empty();
    readable && (path == "/" || segments.split('/').all(plain))
}
