use std::pin::pin;

use axum::{body::Body, extract::Request};

use super::*;

fn id_of(sent: Option<&str>) -> String {
    let mut headers = HeaderMap::new();
    if let Some(sent) = sent {
        headers.insert(X_REQUEST_ID, HeaderValue::from_str(sent).unwrap());
    }
    RequestId::of(&headers, &Random::seeded(1)).to_string()
}

async fn answered(answer: impl Future<Output = Response>) -> Response {
    let request = Request::builder().header(X_REQUEST_ID, "mine").body(Body::empty()).unwrap();
    let (parts, _) = request.into_parts();
    Frame::open(&Random::seeded(1), "/", &parts).close(pin!(answer)).await
}

#[test]
fn a_request_keeps_its_own_name_if_it_is_short_and_printable() {
    let fresh = id_of(None);
    assert_eq!(fresh.len(), 16);
    assert_eq!(id_of(Some("a b/c")), "a b/c");
    let longest = "x".repeat(REQUEST_ID_BYTES_MAX);
    assert_eq!(id_of(Some(&longest)), longest);
    for bad in ["", "a\tb", "ü", &format!("{longest}x")] {
        assert_eq!(id_of(Some(bad)), fresh, "{bad:?}");
    }
}

#[tokio::test]
async fn te7_an_answer_is_not_stored_unless_it_says_so() {
    let plain = answered(async { Response::default() }).await;
    assert_eq!(plain.headers()["cache-control"], "no-store");
    assert_eq!(plain.headers()["x-content-type-options"], "nosniff");
    assert_eq!(plain.headers()["x-request-id"], "mine");
    let public = answered(async { super::super::reply::public("{}") }).await;
    assert_eq!(public.headers()["cache-control"], "public, max-age=300");
}

#[tokio::test]
async fn a_handler_that_panics_is_an_error_of_ours() {
    let response = answered(async { panic!("a handler's bug") }).await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["x-request-id"], "mine");
    assert_eq!(response.headers()["cache-control"], "no-store");
}
