//! Reading: recursive descent over bytes, as deep as the limits say and no deeper.

use crate::base::json::{JsonError, Limits, Number, Object, Value};

/// Reads exactly one JSON value and nothing after it but white space.
///
/// # Errors
/// What RFC 8259 forbids, and: repeated names at any depth (compared unescaped), a byte order
/// mark, lone surrogates, numbers beyond [`Number`], anything beyond `limits`.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    whole(bytes, limits, Reader::value)
}

/// The members of a JSON object, each value in exactly the bytes in which it was written, without
/// the white space around it. As strict as [`parse`] with [`Limits::DEFAULT`].
pub fn raw_members(text: &str) -> Result<Vec<(String, &str)>, JsonError> {
    whole(text.as_bytes(), &Limits::DEFAULT, |reader| reader.members(Reader::raw_value))
}

fn whole<'a, T>(
    bytes: &'a [u8],
    limits: &'a Limits,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    if bytes.len() > limits.max_bytes {
        return Err(JsonError::TooLong { max: limits.max_bytes });
    }
    let text =
        str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8 { at: error.valid_up_to() })?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let mut reader = Reader { text, at: 0, depth: 0, limits };
    reader.skip_white_space();
    let read = read(&mut reader)?;
    reader.skip_white_space();
    if reader.peek().is_some() {
        return Err(JsonError::Trailing { at: reader.at });
    }
    Ok(read)
}

struct Reader<'a> {
    text: &'a str,
    /// Bytes read so far; always at the edge of a character.
    at: usize,
    depth: usize,
    limits: &'a Limits,
}

impl<'a> Reader<'a> {
    /// Reads the value that begins here.
    fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.members(Reader::value).map(|members| Value::Object(Object(members))),
            Some(b'[') => self.array().map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn raw_value(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.value()?;
        Ok(self.since(start))
    }

    fn members<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, JsonError>,
    ) -> Result<Vec<(String, T)>, JsonError> {
        let start = self.at;
        let mut members = Vec::new();
        self.enclosed(b'{', b'}', |reader| {
            if reader.peek() != Some(b'"') {
                return Err(reader.expected("a member name"));
            }
            let name = reader.string()?;
            reader.skip_white_space();
            if !reader.take(b':') {
                return Err(reader.expected("`:`"));
            }
            reader.skip_white_space();
            members.push((name, read(reader)?));
            Ok(())
        })?;
        if has_repeated_name(&members) {
            return Err(JsonError::Duplicate { at: start });
        }
        Ok(members)
    }

    fn array(&mut self) -> Result<Vec<Value>, JsonError> {
        let mut values = Vec::new();
        self.enclosed(b'[', b']', |reader| {
            values.push(reader.value()?);
            Ok(())
        })?;
        Ok(values)
    }

    /// `open`, things with commas between them, `close`; bounded in depth and in number.
    fn enclosed(
        &mut self,
        open: u8,
        close: u8,
        mut read_one: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.depth >= self.limits.max_depth {
            return Err(JsonError::TooDeep { max: self.limits.max_depth, at: self.at });
        }
        if !self.take(open) {
            return Err(self.expected(if open == b'{' { "an object" } else { "an array" }));
        }
        self.depth = self.depth.saturating_add(1);
        self.skip_white_space();
        let mut count = 0_usize;
        while count > 0 || self.peek() != Some(close) {
            if count >= self.limits.max_members {
                return Err(JsonError::TooMany { max: self.limits.max_members, at: self.at });
            }
            read_one(self)?;
            count = count.saturating_add(1);
            self.skip_white_space();
            if !self.take(b',') {
                break;
            }
            self.skip_white_space();
        }
        if !self.take(close) {
            return Err(self.expected(if close == b'}' { "`,` or `}`" } else { "`,` or `]`" }));
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.advance(1);
        let start = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let text = self.since(start).to_owned();
            self.advance(1);
            return Ok(text);
        }
        let mut text = self.since(start).to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.advance(1);
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                // `skip_plain` stops at nothing else but a control character.
                Some(_) => return Err(JsonError::BadString { at: self.at }),
                None => return Err(self.expected("`\"`")),
            }
            let start = self.at;
            self.skip_plain();
            text.push_str(self.since(start));
        }
    }

    /// Moves to the next quote, backslash or control character, or to the end.
    fn skip_plain(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        self.advance(plain.unwrap_or(rest.len()));
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let bad = JsonError::BadString { at: self.at };
        self.advance(1);
        let letter = self.peek();
        self.advance(1);
        Ok(match letter {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape().ok_or(bad),
            _ => return Err(bad),
        })
    }

    /// The rest of `\uXXXX`, with its other half when it is the first of a surrogate pair.
    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xd800..=0xdfff).contains(&first) {
            return char::from_u32(u32::from(first));
        }
        if !(self.take(b'\\') && self.take(b'u')) {
            return None;
        }
        let second = self.hex4()?;
        char::decode_utf16([first, second]).next()?.ok()
    }

    fn hex4(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at.checked_add(4)?)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.advance(4);
        u16::from_str_radix(digits, 16).ok()
    }

    /// RFC 8259 section 6: no leading zero or plus, a digit on both sides of the point.
    fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Number::from_literal(self.since(start)).ok_or(JsonError::BadNumber { at: start })
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.advance(1);
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.advance(word.len());
        Ok(value)
    }

    fn skip_white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.advance(1);
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    const fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Expected { expected, at: self.at }
    }
}

/// Sorting keeps a thousand hostile names from costing a million comparisons.
fn has_repeated_name<T>(members: &[(String, T)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair.first() == pair.last())
}
