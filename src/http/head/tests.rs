use super::*;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn authorize(value: &str) -> Authorization {
    authorization(&headers(&[("authorization", value)])).unwrap()
}

fn basic_of(plain: &str) -> Option<(String, String)> {
    match authorize(&format!("Basic {}", STANDARD.encode(plain))) {
        Authorization::Basic { id, secret } => Some((id, secret.expose().clone())),
        _ => None,
    }
}

fn is_form(value: &str) -> bool {
    content_type(&headers(&[("content-type", value)]))
        .is_ok_and(|kind| kind.is_some_and(|k| k.is_form()))
}

#[test]
fn a_second_field_of_a_kind_that_may_come_once_is_refused() {
    for name in ["host", "content-type", "content-length", "authorization", "dpop"] {
        let mut fields = vec![("host", "a"), (name, "1")];
        if name != "host" {
            assert_eq!(check(&headers(&fields)), Ok(()), "{name} once");
            fields.push((name, "1"));
        }
        assert!(matches!(check(&headers(&fields)), Err(HeadError::Repeated(_))), "{name} twice");
    }
    assert_eq!(check(&headers(&[("accept", "a"), ("accept", "b")])), Err(HeadError::NoHost));
}

#[test]
fn the_form_type_is_known_in_every_spelling_clients_send() {
    for value in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "Application/X-WWW-Form-Urlencoded; Charset=\"utf-8\"",
        "application/x-www-form-urlencoded; ",
    ] {
        assert!(is_form(value), "{value}");
    }
}

#[test]
fn another_type_or_charset_is_not_a_form() {
    for value in [
        "application/json",
        "application/x-www-form-urlencoded;charset=latin1",
        "application/x-www-form-urlencoded;charset=utf-8;charset=utf-16",
        "application/x-www-form-urlencoded, application/json",
        "application/x-www-form-urlencoded;charset",
        "x-www-form-urlencoded",
        "",
    ] {
        assert!(!is_form(value), "{value}");
    }
    assert_eq!(content_type(&headers(&[])), Ok(None));
}

#[test]
fn basic_reads_the_same_from_clients_that_encode_and_those_that_do_not() {
    let want = Some(("cl_support-agent".to_owned(), "dk_a-b_c".to_owned()));
    assert_eq!(basic_of("cl_support-agent:dk_a-b_c"), want);
    assert_eq!(basic_of("cl%5Fsupport%2Dagent:dk%5Fa%2db%5fc"), want);
}

#[test]
fn basic_splits_at_the_first_colon_before_it_decodes() {
    assert_eq!(basic_of("a:b:c"), Some(("a".into(), "b:c".into())));
    assert_eq!(basic_of("a%3Ab:c"), Some(("a:b".into(), "c".into())));
    assert_eq!(basic_of("a:100%"), Some(("a".into(), "100%".into())), "not decodable: raw");
    assert_eq!(basic_of("a:"), Some(("a".into(), String::new())));
}

#[test]
fn broken_basic_is_an_attempt_that_cannot_succeed() {
    assert_eq!(basic_of("no colon"), None);
    assert_eq!(basic_of("a:b\n"), None);
    assert_eq!(basic_of("a:b%0a"), None);
    for value in ["Basic", "Basic ", "Basic YTpi=", "Basic YTpj!", "Basic YTp", "Basic /////w=="] {
        assert!(matches!(authorize(value), Authorization::Other), "{value}");
    }
    assert!(matches!(authorize("bAsIc  YTpi"), Authorization::Basic { .. }));
}

#[test]
fn a_bearer_token_is_token68_and_nothing_else() {
    let Authorization::Bearer(token) = authorize("bearer eyJ.a-b_c~+/==") else {
        panic!("not read as a bearer token");
    };
    assert_eq!(token.expose(), "eyJ.a-b_c~+/==");
    for value in ["Bearer a b", "Bearer ", "Bearer =", "Bearer a,b", "DPoP abc", "Digest x"] {
        assert!(matches!(authorize(value), Authorization::Other), "{value}");
    }
    assert!(matches!(authorization(&headers(&[])), Ok(Authorization::None)));
}

#[test]
fn an_oversized_field_is_refused_and_a_secret_is_never_printed() {
    let long = format!("Bearer {}", "a".repeat(FIELD_BYTES_MAX));
    let refused = authorization(&headers(&[("authorization", &long)]));
    assert_eq!(refused.unwrap_err(), HeadError::TooLong(AUTHORIZATION));
    let shown = format!("{:?}", authorize("Basic Y2xfYTpodW50ZXIy"));
    assert!(shown.contains("cl_a") && !shown.contains("hunter2"), "{shown}");
}
