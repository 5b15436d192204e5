//! Any bytes as JSON: what is read is printed and read as the same, in both forms, and equal values
//! have one canonical text.
#![no_main]

use deputy::base::json::{Limits, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = parse(bytes, &Limits::DEFAULT) else { return };
    // Printing may be longer than what was read: `1e20` is spelled out.
    let limits = Limits { max_bytes: usize::MAX, ..Limits::DEFAULT };
    let read = |text: &str| parse(text.as_bytes(), &limits).expect("what is printed is read");
    assert_eq!(read(&value.to_json()), value);
    let canonical = value.canonical();
    let again = read(&canonical);
    assert_eq!((&again, again.canonical()), (&value, canonical));
});
