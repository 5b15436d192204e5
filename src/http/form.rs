//! The strict reader of `application/x-www-form-urlencoded`, from bytes to named parameters.
//!
//! Lossy readers turn `%zz` and bad UTF-8 into something else and let the last of two values win;
//! two programs that read one body differently are an attack. Which parameters exist is told by
//! the caller ([`Names`]); their meaning never lives here.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};

use crate::oauth::params::Params;

/// Parameters in one form; the largest real request has fewer than 20.
pub const PARAMETERS_MAX: usize = 64;

/// Parameters for which there is room at once.
const USUAL: usize = 8;

/// Bytes of a decoded parameter name; the longest registered one has 29.
pub const NAME_BYTES_MAX: usize = 64;

/// The parameters an endpoint knows.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// May come once.
    pub once: &'static [&'static str],
    /// May repeat: `resource` and `audience` at the token endpoint.
    pub many: &'static [&'static str],
}

/// A form that was read. Values are borrowed from the body unless they were encoded.
///
/// Holds known parameters only, in the order they were sent. Has no `Debug`: forms carry secrets.
pub struct Form<'a> {
    known: Vec<(&'static str, Cow<'a, str>)>,
    unknown: usize,
}

/// Why a form was refused. Never quotes a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More than [`PARAMETERS_MAX`].
    #[error("more than {PARAMETERS_MAX} parameters")]
    TooMany,
    /// `=value`, or a name longer than [`NAME_BYTES_MAX`].
    #[error("a parameter's name is empty or longer than {NAME_BYTES_MAX} bytes")]
    Name,
    /// A `%` without two hexadecimal digits behind it, bytes that are not UTF-8, or a NUL.
    #[error("the form is not percent-encoded UTF-8 without NUL")]
    Encoding,
    /// A parameter came twice that may come once.
    #[error("the parameter `{0}` is repeated; send it once")]
    Repeated(String),
}

impl<'a> Form<'a> {
    /// Reads a whole body (or query). The length of a value is bounded by the body's limit alone.
    ///
    /// A parameter without a value counts as omitted, an unknown one is ignored but may not repeat
    /// either (RFC 6749 section 3.2).
    ///
    /// ```
    /// use deputy::http::form::{Form, Names};
    /// let names = Names { once: &["scope"], many: &["resource"] };
    /// let form = Form::parse(b"scope=a+b&resource=x&resource=y", &names).unwrap();
    /// assert_eq!(form.get("scope"), Some("a b"));
    /// assert_eq!(form.all("resource").collect::<Vec<_>>(), ["x", "y"]);
    /// ```
    pub fn parse(body: &'a [u8], names: &Names) -> Result<Form<'a>, FormError> {
        let mut form = Form { known: Vec::with_capacity(USUAL), unknown: 0 };
        let mut strangers: Vec<Cow<'a, str>> = Vec::new();
        let pairs = split(body, b'&').filter(|pair| !pair.is_empty());
        for (position, pair) in pairs.enumerate() {
            if position >= PARAMETERS_MAX {
                return Err(FormError::TooMany);
            }
            let (name, value) = read_pair(pair)?;
            if !value.is_empty() {
                form.keep(name, value, names, &mut strangers)?;
            }
        }
        form.unknown = strangers.len();
        Ok(form)
    }

    /// The value of a parameter that may come once; the first of one that may repeat.
    pub fn get<'f>(&'f self, name: &str) -> Option<&'f str> {
        self.all(name).next()
    }

    /// Every value of a parameter, in the order they were sent.
    pub fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        self.known.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// How many parameters were ignored because this endpoint does not know them.
    pub fn unknown(&self) -> usize {
        self.unknown
    }

    fn keep(
        &mut self,
        name: Cow<'a, str>,
        value: Cow<'a, str>,
        names: &Names,
        strangers: &mut Vec<Cow<'a, str>>,
    ) -> Result<(), FormError> {
        if let Some(known) = names.many.iter().find(|known| **known == name) {
            self.known.push((known, value));
        } else if let Some(known) = names.once.iter().find(|known| **known == name) {
            if self.get(known).is_some() {
                return Err(FormError::Repeated((*known).to_owned()));
            }
            self.known.push((known, value));
        } else if strangers.contains(&name) {
            return Err(FormError::Repeated(name.into_owned()));
        } else {
            strangers.push(name);
        }
        Ok(())
    }
}

impl Params for Form<'_> {
    fn one(&self, name: &str) -> Option<&str> {
        self.get(name)
    }

    fn all(&self, name: &str) -> Vec<&str> {
        Form::all(self, name).collect()
    }
}

fn read_pair(pair: &[u8]) -> Result<(Cow<'_, str>, Cow<'_, str>), FormError> {
    let at = memchr(b'=', pair).unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(at).unwrap_or((pair, &[]));
    let name = decode(name)?;
    let value = decode(value.get(1..).unwrap_or_default())?;
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(FormError::Name);
    }
    Ok((name, value))
}

/// Decodes one name or value: `+` is a space, `%` needs two hexadecimal digits, the result is
/// UTF-8 without NUL. Borrows when nothing is encoded.
pub fn decode(raw: &[u8]) -> Result<Cow<'_, str>, FormError> {
    let text = if memchr2(b'%', b'+', raw).is_some() {
        let bytes = unescape(raw)?;
        Cow::Owned(String::from_utf8(bytes).map_err(|_| FormError::Encoding)?)
    } else {
        Cow::Borrowed(std::str::from_utf8(raw).map_err(|_| FormError::Encoding)?)
    };
    if memchr(0, text.as_bytes()).is_some() { Err(FormError::Encoding) } else { Ok(text) }
}

/// What stands between the bytes `between`. Tokens have thousands of bytes: they are searched, not
/// walked through.
fn split(bytes: &[u8], between: u8) -> impl Iterator<Item = &[u8]> {
    let ends = memchr_iter(between, bytes).chain([bytes.len()]);
    ends.scan(0, |begin, end| {
        let part = bytes.get(*begin..end).unwrap_or_default();
        *begin = end.saturating_add(1);
        Some(part)
    })
}

fn unescape(raw: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = hex(rest.next())?;
                let low = hex(rest.next())?;
                (high << 4) | low
            }
            other => *other,
        });
    }
    Ok(out)
}

fn hex(digit: Option<&u8>) -> Result<u8, FormError> {
    let digit = digit.ok_or(FormError::Encoding)?;
    let value = char::from(*digit).to_digit(16).ok_or(FormError::Encoding)?;
    u8::try_from(value).map_err(|_| FormError::Encoding)
}
