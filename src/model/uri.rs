//! Absolute URIs that name resources and agents (RFC 8707 section 2).

use std::{borrow::Borrow, fmt, sync::Arc};

/// An absolute http(s) or `urn:` URI without fragment, userinfo or dot segments; compared as text
/// after only the scheme and host have been lower-cased (RI-1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri(Arc<str>);

/// Why a text is not a URI that can name a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUri {
    /// Not `http://`, `https://` or `urn:`, or nothing behind it.
    #[error("must be an absolute URI that begins with https://, http:// or urn:")]
    Scheme,
    /// RFC 8707 section 2: the URI MUST NOT include a fragment component.
    #[error("must not have a fragment")]
    Fragment,
    /// A user name or password before the host.
    #[error("must not have userinfo")]
    Userinfo,
    /// `.` or `..` as a path segment, plain or percent-encoded.
    #[error("must not have `.` or `..` segments")]
    DotSegment,
    /// Characters outside RFC 3986, or too long.
    #[error("must be at most 512 characters of RFC 3986")]
    Characters,
}

impl Uri {
    /// The longest URI that is accepted, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Reads a URI; the empty path and `/` are the same and are kept without the slash (MCP's
    /// canonical form has no trailing slash).
    pub fn parse(raw: &str) -> Result<Uri, NotAUri> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&b);
        if raw.contains('#') {
            return Err(NotAUri::Fragment);
        }
        if raw.len() > Self::MAX_BYTES || !raw.bytes().all(allowed) {
            return Err(NotAUri::Characters);
        }
        let (scheme, rest) = raw.split_once(':').ok_or(NotAUri::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "urn" if !rest.is_empty() => Ok(Uri(format!("urn:{rest}").into())),
            scheme @ ("http" | "https") => {
                Uri::hierarchical(scheme, rest.strip_prefix("//").ok_or(NotAUri::Scheme)?)
            }
            _ => Err(NotAUri::Scheme),
        }
    }

    fn hierarchical(scheme: &str, rest: &str) -> Result<Uri, NotAUri> {
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(cut).ok_or(NotAUri::Characters)?;
        if authority.is_empty() {
            return Err(NotAUri::Scheme);
        }
        if authority.contains('@') {
            return Err(NotAUri::Userinfo);
        }
        let path = tail.split('?').next().unwrap_or_default();
        let dots = |segment: &str| {
            matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
        };
        if path.split('/').any(dots) {
            return Err(NotAUri::DotSegment);
        }
        let tail = if tail == "/" { "" } else { tail };
        Ok(Uri(format!("{scheme}://{}{tail}", authority.to_ascii_lowercase()).into()))
    }

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Uri {
    /// For look-ups by text that need no copy; order and hash are the text's.
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
