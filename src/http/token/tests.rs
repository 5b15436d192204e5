use super::*;
use crate::oauth::token_type::TokenType;

fn minted(issued: TokenType, is_access_token: bool, scope: &str, details: &str) -> Minted {
    Minted {
        token: "aa.bb.cc".to_owned(),
        issued,
        is_access_token,
        is_bound: false,
        expires_in: 300,
        scope: scope.to_owned(),
        details: details.to_owned(),
    }
}

#[test]
fn tx7_a_call_token_is_a_bearer_token_with_its_scope() {
    let minted = minted(TokenType::AccessToken, true, "refunds:read", r#"[{"type":"x"}]"#);
    assert_eq!(
        body(&minted),
        "{\"access_token\":\"aa.bb.cc\",\
         \"issued_token_type\":\"urn:ietf:params:oauth:token-type:access_token\",\
         \"token_type\":\"Bearer\",\"expires_in\":300,\"scope\":\"refunds:read\",\
         \"authorization_details\":[{\"type\":\"x\"}]}"
    );
}

#[test]
fn dp4_a_bound_token_says_so_and_a_bound_hand_over_stays_what_it_is() {
    let bound = |issued, is_access_token| {
        body(&Minted { is_bound: true, ..minted(issued, is_access_token, "", "[]") })
    };
    assert!(bound(TokenType::AccessToken, true).contains("\"token_type\":\"DPoP\""));
    assert!(bound(TokenType::Jwt, false).contains("\"token_type\":\"N_A\""));
}

#[test]
fn tx7_a_hand_over_is_no_access_token_and_has_no_empty_member() {
    assert_eq!(
        body(&minted(TokenType::Jwt, false, "", "[]")),
        "{\"access_token\":\"aa.bb.cc\",\
         \"issued_token_type\":\"urn:ietf:params:oauth:token-type:jwt\",\
         \"token_type\":\"N_A\",\"expires_in\":300}"
    );
}
