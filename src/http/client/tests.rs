use super::*;
use crate::http::token::NAMES;

fn found(
    authorization: Authorization,
    body: &str,
) -> Result<(String, String, AuthMethod), ClientRefusal> {
    let form = Form::parse(body.as_bytes(), &NAMES).unwrap();
    match presented(authorization, &form)? {
        PresentedClient::Secret(found) => {
            Ok((found.id.clone(), found.secret.expose().clone(), found.method))
        }
        PresentedClient::Assertion(found) => Ok((
            found.id.unwrap_or_default(),
            found.jwt.expose().clone(),
            AuthMethod::PrivateKeyJwt,
        )),
    }
}

fn basic() -> Authorization {
    Authorization::Basic { id: "cl_a".to_owned(), secret: Secret::new("s".to_owned()) }
}

fn bearer() -> Authorization {
    Authorization::Bearer(Secret::new("t".to_owned()))
}

#[test]
fn te4_one_method_is_taken_as_it_was_sent() {
    let expected = |method| Ok(("cl_a".to_owned(), "s".to_owned(), method));
    let by_basic = expected(AuthMethod::ClientSecretBasic);
    assert_eq!(found(basic(), ""), by_basic);
    assert_eq!(found(basic(), "client_id=cl_a"), by_basic);
    assert_eq!(found(basic(), "client_secret="), by_basic, "empty counts as omitted");
    let by_post = expected(AuthMethod::ClientSecretPost);
    assert_eq!(found(Authorization::None, "client_id=cl_a&client_secret=s"), by_post);
}

#[test]
fn ca4_an_assertion_may_stand_alone_or_beside_a_client_id() {
    let assertion = format!("client_assertion=a.b.c&client_assertion_type={ASSERTION_TYPE}");
    let by_key = |id: &str| Ok((id.to_owned(), "a.b.c".to_owned(), AuthMethod::PrivateKeyJwt));
    assert_eq!(found(Authorization::None, &assertion), by_key(""));
    assert_eq!(found(Authorization::None, &format!("client_id=cl_a&{assertion}")), by_key("cl_a"));
}

#[test]
fn te4_two_methods_or_two_names_are_refused() {
    let two = Err(ClientRefusal::TwoMethods);
    let assertion = "client_assertion=a&client_assertion_type=b";
    assert_eq!(found(basic(), "client_id=cl_a&client_secret=s"), two);
    assert_eq!(found(basic(), "client_secret=s"), two);
    assert_eq!(found(basic(), assertion), two);
    assert_eq!(found(bearer(), "client_id=cl_a&client_secret=s"), two);
    assert_eq!(found(Authorization::Other, "client_secret=s"), two);
    assert_eq!(found(Authorization::None, &format!("client_secret=s&{assertion}")), two);
    assert_eq!(found(basic(), "client_id=cl_b"), Err(ClientRefusal::Contradiction));
}

#[test]
fn a_method_that_is_not_offered_is_a_wrong_one() {
    let wrong = Err(ClientRefusal::Wrong);
    assert_eq!(found(bearer(), ""), wrong);
    assert_eq!(found(bearer(), "client_id=cl_a"), wrong);
    assert_eq!(found(Authorization::Other, ""), wrong);
    assert_eq!(found(Authorization::None, "client_assertion=a"), wrong);
    assert_eq!(found(Authorization::None, "client_id=cl_a&client_assertion_type=a"), wrong);
    let saml = "client_assertion=a&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    assert_eq!(found(Authorization::None, saml), wrong);
}

#[test]
fn half_a_credential_is_none() {
    for body in ["", "client_id=cl_a", "client_secret=s", "client_id=&client_secret="] {
        assert_eq!(found(Authorization::None, body), Err(ClientRefusal::Absent), "{body}");
    }
}
