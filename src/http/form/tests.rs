use proptest::prelude::*;

use super::*;

const NAMES: Names = Names {
    once: &["grant_type", "scope", "subject_token", "client_id"],
    many: &["resource", "audience"],
};

fn refused(body: &[u8]) -> FormError {
    match Form::parse(body, &NAMES) {
        Ok(_) => panic!("accepted {:?}", String::from_utf8_lossy(body)),
        Err(error) => error,
    }
}

fn encode(text: &str, plus: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.bytes() {
        match byte {
            b' ' if plus => out.push(b'+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02x}").as_bytes()),
        }
    }
    out
}

#[test]
fn te1_an_empty_value_is_an_omitted_parameter() {
    let form = Form::parse(b"scope=&grant_type&client_id=cl_a&scope=read", &NAMES).unwrap();
    assert_eq!(form.get("grant_type"), None);
    assert_eq!(form.get("scope"), Some("read"));
    assert_eq!(form.get("client_id"), Some("cl_a"));
}

#[test]
fn te1_unknown_parameters_are_ignored_and_counted() {
    let form = Form::parse(b"scope=a&colour=red&size=2", &NAMES).unwrap();
    assert_eq!((form.get("colour"), form.unknown()), (None, 2));
}

#[test]
fn te1_a_repeated_parameter_is_refused_also_under_another_spelling() {
    for body in ["scope=a&scope=a", "scope=a&sc%6fpe=b", "colour=1&colour=1"] {
        assert!(matches!(refused(body.as_bytes()), FormError::Repeated(_)), "{body}");
    }
}

#[test]
fn tx3_resource_and_audience_may_repeat_and_keep_their_order() {
    let form = Form::parse(b"resource=b&audience=x&resource=a&audience=x", &NAMES).unwrap();
    assert_eq!(form.all("resource").collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(form.all("audience").collect::<Vec<_>>(), ["x", "x"]);
}

#[test]
fn a_lossy_reading_is_refused() {
    for body in
        [&b"scope=%zz"[..], b"scope=%f", b"scope=%", b"scope=%ff", b"scope=\xff", b"sc%00pe=a"]
    {
        assert_eq!(refused(body), FormError::Encoding);
    }
    assert_eq!(refused(b"scope=a%00"), FormError::Encoding);
    assert_eq!(refused(b"scope=a\0"), FormError::Encoding);
    assert_eq!(refused(b"scope=%c0%80"), FormError::Encoding, "an overlong NUL");
}

#[test]
fn names_and_counts_are_bounded() {
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    assert_eq!(refused(format!("{long}=1").as_bytes()), FormError::Name);
    assert_eq!(refused(b"=1"), FormError::Name);
    let many = |count: usize| (0..count).fold(String::new(), |body, i| format!("{body}p{i}=1&"));
    assert!(Form::parse(many(PARAMETERS_MAX).as_bytes(), &NAMES).is_ok());
    assert_eq!(refused(many(PARAMETERS_MAX + 1).as_bytes()), FormError::TooMany);
}

#[test]
fn what_is_not_encoded_is_not_copied() {
    assert!(matches!(decode(b"eyJhbGciOi.x-y_z"), Ok(Cow::Borrowed(_))));
    assert_eq!(decode(b"a+b%2Bc").unwrap(), "a b+c");
}

proptest! {
    #[test]
    fn no_input_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        _ = Form::parse(&body, &NAMES);
    }

    #[test]
    fn no_nearly_right_input_panics(body in "[a-c=&%+0-9]{0,80}") {
        _ = Form::parse(body.as_bytes(), &NAMES);
    }

    #[test]
    fn encoding_then_decoding_changes_nothing(text in "[^\0]{0,60}", plus in any::<bool>()) {
        let encoded = encode(&text, plus);
        prop_assert_eq!(decode(&encoded).unwrap(), text);
    }

    #[test]
    fn a_whole_form_survives(values in proptest::collection::vec("[^\0]{1,20}", 1..8)) {
        let mut body = Vec::new();
        for value in &values {
            body.extend_from_slice(b"&resource=");
            body.extend_from_slice(&encode(value, true));
        }
        let form = Form::parse(&body, &NAMES).unwrap();
        prop_assert_eq!(form.all("resource").collect::<Vec<_>>(), values);
    }
}
