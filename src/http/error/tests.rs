use axum::{body::to_bytes, http::HeaderMap};

use super::*;
use crate::{
    base::{id::ErrorId, random::Random},
    engine::{authenticate::ClientRefusal, refusal::Refusal},
    oauth::params::ParamError,
};

fn id() -> RequestId {
    RequestId::of(&HeaderMap::new(), &Random::seeded(1))
}

fn refused(refusal: Refusal, challenged: bool) -> Response {
    failure(&Failure::Refused(refusal, ErrorId::from_bytes([7; 16])), challenged, &id())
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 4096).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn te2_a_refusal_is_the_json_of_rfc_6749() {
    let response = refused(Refusal::GrantNotAllowed, true);
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(!response.headers().contains_key("www-authenticate"));
    assert_eq!(
        text(response).await,
        "{\"error\":\"unauthorized_client\",\"error_description\":\"this client is not registered \
         as an agent and may not use this grant\",\"error_id\":\"BwcHBwcHBwcHBwcHBwcHBw\"}"
    );
}

#[test]
fn te4_only_who_used_authorization_is_challenged() {
    let wrong = || Refusal::Client(ClientRefusal::Wrong);
    let challenged = refused(wrong(), true);
    assert_eq!(challenged.status(), 401);
    assert_eq!(
        challenged.headers()["www-authenticate"],
        r#"Basic realm="deputy", charset="UTF-8""#
    );
    let other = refused(wrong(), false);
    assert_eq!(other.status(), 401);
    assert!(!other.headers().contains_key("www-authenticate"));
    for refusal in [ClientRefusal::TwoMethods, ClientRefusal::Contradiction] {
        let response = refused(Refusal::Client(refusal), true);
        assert_eq!(response.status(), 400);
        assert!(!response.headers().contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn a_fault_says_that_it_was_ours_and_nothing_else() {
    let cause = || Some(std::io::Error::other("the secret cause").into());
    let cases = [
        (Fault::Unavailable("the database", cause()), 503, "temporarily_unavailable"),
        (Fault::Busy, 503, "temporarily_unavailable"),
        (Fault::Internal("the secret cause", cause()), 500, "server_error"),
    ];
    for (fault, status, code) in cases {
        let response = failure(&Failure::Fault(fault), true, &id());
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        let body = text(response).await;
        assert!(body.contains(code), "{body}");
        assert!(!body.contains("secret") && !body.contains("database"), "{body}");
    }
}

#[test]
fn who_was_not_looked_at_is_told_to_come_again_and_not_that_it_is_wrong() {
    let throttled = || Refusal::Client(ClientRefusal::Throttled);
    let gateway = Failure::Refused(throttled(), ErrorId::from_bytes([7; 16]));
    for response in [refused(throttled(), true), message::failure(&gateway, &id())] {
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(!response.headers().contains_key("www-authenticate"));
    }
}

#[test]
fn every_cause_is_in_the_line_for_the_log() {
    let fault = Fault::Unavailable("the database", Some(std::io::Error::other("no route").into()));
    assert_eq!(Chain(&fault).to_string(), "the database is unavailable: no route");
}

#[tokio::test]
async fn a_description_keeps_the_characters_of_rfc_6749() {
    let error = ParamError::Unacceptable { name: "a\"b\\c", problem: "is ünusual\n" };
    let body = text(failure(&Failure::Malformed(error), false, &id())).await;
    assert_eq!(
        body,
        "{\"error\":\"invalid_request\",\
         \"error_description\":\"the parameter `a`b`c` is `nusual`\"}"
    );
}

#[test]
fn what_no_service_function_saw_has_its_status() {
    use axum::http::header::HOST;
    let cases: [(Rejected, u16); 9] = [
        (HeadError::TooLong(HOST).into(), 431),
        (HeadError::Repeated(HOST).into(), 400),
        (HeadError::NoHost.into(), 400),
        (Rejected::Query, 400),
        (Rejected::NotAForm, 400),
        (BodyError::TooLarge { limit: 1 }.into(), 413),
        (BodyError::Slow.into(), 408),
        (BodyError::Broken.into(), 400),
        (FormError::Repeated("scope".to_owned()).into(), 400),
    ];
    for (problem, status) in cases {
        let response = rejected(&problem);
        assert_eq!(response.status(), status, "{problem}");
        let closes = response.headers().contains_key("connection");
        assert_eq!(closes, matches!(problem, Rejected::Body(_)), "{problem}");
    }
}
