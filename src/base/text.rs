//! Texts with a bound and a character set, checked once.

/// Whether `text` is 1 to `max` printable ASCII characters (space included).
pub fn is_printable_ascii(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

/// `text` with every character that RFC 6749 section 5.2 forbids in `error_description` replaced
/// by a grave accent, and cut at `max` characters.
pub fn rfc6749_description(text: &str, max: usize) -> String {
    text.chars()
        .take(max)
        .map(|c| match c {
            ' '..='!' | '#'..='[' | ']'..='~' => c,
            _ => '`',
        })
        .collect()
}

/// The JSON Pointer of the member `name` of what `at` points to. RFC 6901 section 3.
pub fn pointer(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What somebody sent, for an error sentence: in backticks, cut at 64 characters.
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(64).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("`{cut}{more}`")
}
