//! Any bytes as a form: only known parameters are kept, one value for those that come once, and no
//! value is empty or holds a NUL.
#![no_main]

use deputy::http::form::{Form, Names};

const NAMES: Names = Names { once: &["a", "token", "grant_type"], many: &["resource", "b"] };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(form) = Form::parse(bytes, &NAMES) else { return };
    for name in NAMES.once.iter().chain(NAMES.many) {
        let values: Vec<&str> = form.all(name).collect();
        assert!(values.iter().all(|value| !value.is_empty() && !value.contains('\0')));
        assert!(NAMES.many.contains(name) || values.len() <= 1);
        assert_eq!(form.get(name), values.first().copied());
    }
    assert_eq!(form.get("unknown"), None);
});
