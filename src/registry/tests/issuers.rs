//! Trusted issuers, their keys and their grant rules.

use super::problems;
use crate::{
    model::issuer::{ForeignScope, KeySource, TrustedIssuer},
    registry::{
        form::Read,
        issuer::{self, is_loopback},
    },
};

const FULL: &str = r#"{"issuer":"https://idp.example/","alias":"corp","primary":true,"keys":{"jwks_uri":"https://idp.example/jwks?v=1"},"algorithms":["ES256","PS256"],"access_tokens":{"audiences":["api://deputy"],"untyped_marker":"scp"},"id_tokens":true,"max_age_s":600,"required_claims":{"hd":["example.com"],"tid":[1,true]},"claim_mapping":{"customer":{"claim":"https://corp.example/customer","authoritative":true},"nick":{"claim":"nickname","authoritative":false}},"groups":[{"claim":"/realm_access/roles","keep":["approver","exporter"]}],"grant_rules":[{"kind":"access_token","claims":{"groups":["support"]},"foreign_scope":"tickets","gives":[{"resource":"tickets","scope":"tickets:read","tools":{"tickets.get":{}}}]},{"kind":"access_token","claims":{},"any_scope":true,"gives":[{"resource":"tickets","scope":"tickets:read"}]},{"kind":"id_token","claims":{},"gives":[{"resource":"refunds","scope":"refunds:read"}]}],"agents":{"cl_support-agent":["0oa1","0oa2"]},"any_agent":true,"asserts_actors":true,"enabled":false}"#;

fn minimal(members: &str) -> Read<TrustedIssuer> {
    issuer::parse(&format!(
        r#"{{"issuer":"https://idp.example","alias":"corp","keys":{{"discovery":true}}{members}}}"#
    ))
}

fn with_url(url: &str) -> Read<TrustedIssuer> {
    issuer::parse(&FULL.replace("https://idp.example/\"", &format!("{url}\"")))
}

fn with_keys(keys: &str) -> Read<TrustedIssuer> {
    issuer::parse(&FULL.replace(r#"{"jwks_uri":"https://idp.example/jwks?v=1"}"#, keys))
}

fn with_rule(rule: &str) -> Vec<String> {
    let gives = r#""gives":[{"resource":"a","scope":"s"}]"#;
    problems(minimal(&format!(
        r#","access_tokens":{{"audiences":["a"]}},"id_tokens":true,"grant_rules":[{{{rule},{gives}}}]"#
    )))
}

#[test]
fn an_issuer_is_written_as_it_was_read() {
    let read = issuer::parse(FULL).unwrap();
    assert_eq!(issuer::write(&read), FULL);
    assert_eq!(&*read.url, "https://idp.example/", "`iss` is compared exactly, slash included");
    for keys in [r#"{"discovery":true}"#, r#"{"jwks":{"keys":[{"kty":"EC","crv":"P-256"}]}}"#] {
        let read = with_keys(keys).unwrap();
        assert_eq!(issuer::parse(&issuer::write(&read)).unwrap(), read);
    }
}

#[test]
fn what_is_left_out_is_the_lesser() {
    let read = minimal("").unwrap();
    assert_eq!(read.keys, KeySource::Discovery);
    assert!(read.algorithms.iter().eq(["ES256", "RS256"]));
    assert!(read.access_tokens.is_none() && !read.id_tokens && !read.primary);
    assert!(read.grant_rules.is_empty() && read.agents.is_empty());
    assert!(read.claim_mapping.is_empty());
    assert!(!read.any_agent && !read.asserts_actors && read.enabled);
    assert_eq!(read.max_age.get(), 3_600);
}

#[test]
fn jw1_no_symmetric_algorithm_and_never_none() {
    for name in ["HS256", "none", "es256", "ES512", "RSA-OAEP"] {
        let read = minimal(&format!(r#","algorithms":["{name}"]"#));
        assert!(problems(read)[0].starts_with("/algorithms/0: must be one of `RS256`"), "{name}");
    }
    assert_eq!(problems(minimal(r#","algorithms":[]"#)), ["/algorithms: must have 1 to 8 values"]);
}

#[test]
fn an_issuer_is_named_by_a_plain_https_url() {
    for url in ["https://idp.example", "https://idp.example/t/v2.0", "http://127.0.0.1:9/x"] {
        assert_eq!(&*with_url(url).unwrap().url, url);
    }
    for url in [
        "http://idp.example",
        "https://idp.example?x",
        "https://idp.example#x",
        "https://u@idp.example",
        "https://idp.example/../x",
        "urn:idp",
        "HTTPS://idp.example",
        "",
    ] {
        assert!(with_url(url).is_err(), "{url}");
    }
}

#[test]
fn loopback_is_this_machine_and_nothing_that_looks_like_it() {
    for url in [
        "http://localhost",
        "http://localhost:8080/x",
        "http://127.0.0.1",
        "http://127.9.9.9:1?x",
        "http://[::1]:80/",
        "http://[::1]",
    ] {
        assert!(is_loopback(url), "{url}");
    }
    for url in [
        "https://localhost",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://localhost@evil.example",
        "http://localhost:x@evil.example",
        "http://[::1].example",
        "http://[::2]",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://",
        "http://127.1",
        "http://2130706433",
    ] {
        assert!(!is_loopback(url), "{url}");
    }
}

#[test]
fn keys_come_from_one_place() {
    let one_of = "/keys: must be one of {\"discovery\": true}, `jwks_uri` and `jwks`";
    for keys in [
        "{}",
        r#"{"discovery":false}"#,
        r#"{"discovery":true,"jwks_uri":"https://a.example"}"#,
        r#"{"jwks_uri":"https://a.example","jwks":{"keys":[{"kty":"RSA"}]}}"#,
    ] {
        assert_eq!(problems(with_keys(keys)), [one_of], "{keys}");
    }
    assert!(with_keys(r#"{"jwks_uri":"http://a.example/jwks"}"#).is_err());
    assert!(with_keys(r#"{"jwks":{"keys":[]}}"#).is_err());
    assert!(with_keys(r#"{"jwks":{"keys":[{}]}}"#).is_err());
}

#[test]
fn private_and_symmetric_keys_are_refused() {
    for key in [r#"{"kty":"oct"}"#, r#"{"kty":"EC","d":"x"}"#, r#"{"kty":"RSA","qi":"x"}"#] {
        let found = problems(with_keys(&format!(r#"{{"jwks":{{"keys":[{key}]}}}}"#)));
        assert!(
            found[0].starts_with("/keys/jwks/keys/0: has a private or symmetric part"),
            "{key}"
        );
    }
}

#[test]
fn an_access_token_rule_says_what_the_token_was_issued_for() {
    assert!(with_rule(r#""kind":"access_token","foreign_scope":"s""#).is_empty());
    assert!(with_rule(r#""kind":"access_token","any_scope":true"#).is_empty());
    assert!(with_rule(r#""kind":"id_token""#).is_empty());
    let cases = [
        (r#""kind":"access_token""#, "/grant_rules/0/foreign_scope: is missing"),
        (r#""kind":"access_token","any_scope":false"#, "/grant_rules/0/foreign_scope: is missing"),
        (
            r#""kind":"access_token","any_scope":true,"foreign_scope":"s""#,
            "/grant_rules/0/any_scope: must not be true beside",
        ),
        (r#""kind":"id_token","any_scope":true"#, "/grant_rules/0/foreign_scope: and `any_scope`"),
        (r#""kind":"id_token","foreign_scope":"s""#, "/grant_rules/0/foreign_scope: and"),
        (r#""kind":"id_token","claims":{"groups":[]}"#, "/grant_rules/0/claims/groups: must have"),
        (
            r#""kind":"id_token","claims":{"groups":[["x"]]}"#,
            "/grant_rules/0/claims/groups/0: must be a string, a number or a boolean",
        ),
    ];
    for (rule, start) in cases {
        let found = with_rule(rule);
        assert!(found.len() == 1 && found[0].starts_with(start), "{rule}: {found:?}");
    }
    let any = &issuer::parse(FULL).unwrap().grant_rules[1];
    assert_eq!(any.foreign_scope, ForeignScope::Any);
}

#[test]
fn a_claim_is_authoritative_only_where_it_is_said() {
    let mapping = |text: &str| minimal(&format!(r#","claim_mapping":{text}"#));
    let read = mapping(r#"{"customer":{"claim":"cid"}}"#).unwrap();
    assert!(read.claim_mapping.values().all(|mapped| !mapped.authoritative));
    for (text, start) in [
        (r#"{"a":{}}"#, "/claim_mapping/a/claim: is missing"),
        (r#"{"a":{"claim":""}}"#, "/claim_mapping/a/claim: must be 1 to 512 bytes"),
        (r#"{"":{"claim":"x"}}"#, "/claim_mapping/: `` is refused: a claim name is 1 to 128"),
        (r#"{"a":{"claim":"x","authoritative":1}}"#, "/claim_mapping/a/authoritative: is a number"),
    ] {
        let found = problems(mapping(text));
        assert!(found.len() == 1 && found[0].starts_with(start), "{text}: {found:?}");
    }
}

#[test]
fn a_rule_that_could_never_hold_is_a_problem() {
    let rule = |kind: &str| {
        let gives = r#""gives":[{"resource":"a","scope":"s"}]"#;
        problems(minimal(&format!(r#","grant_rules":[{{"kind":{kind},{gives}}}]"#)))
    };
    assert_eq!(
        rule(r#""access_token","any_scope":true"#),
        ["/access_tokens: is missing: a grant rule speaks of access tokens"]
    );
    assert_eq!(
        rule(r#""id_token""#),
        ["/id_tokens: must be true: a grant rule speaks of ID tokens"]
    );
}

#[test]
fn bounds_hold_at_their_edges() {
    for (age, fits) in [(0, false), (1, true), (86_400, true), (86_401, false)] {
        assert_eq!(minimal(&format!(r#","max_age_s":{age}"#)).is_ok(), fits, "{age}");
    }
    assert!(minimal(r#","agents":{"support":["x"]}"#).is_err());
    assert!(minimal(r#","agents":{"cl_support":[]}"#).is_err());
    assert!(minimal(r#","access_tokens":{"audiences":[]}"#).is_err());
}
