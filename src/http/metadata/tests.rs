use axum::http::HeaderName;

use super::*;

fn head(name: HeaderName, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

#[test]
fn a_known_tag_is_found_in_a_list_weak_or_strong() {
    for known in [r#""a""#, r#"W/"a""#, r#""b", "a""#, "*"] {
        assert!(is_known(&head(IF_NONE_MATCH, known), r#""a""#), "{known}");
    }
    assert!(!is_known(&head(IF_NONE_MATCH, r#""b", a"#), r#""a""#));
    assert!(!is_known(&HeaderMap::new(), r#""a""#));
}

#[test]
fn a_browser_gets_a_page_and_a_program_json() {
    assert!(is_a_person(&head(ACCEPT, "text/HTML,application/xhtml+xml;q=0.9")));
    assert!(!is_a_person(&head(ACCEPT, "application/json, */*")));
    assert!(!is_a_person(&HeaderMap::new()));
}
