//! Clients, credentials, resources, tools, edges and operators.

use proptest::prelude::*;

use super::problems;
use crate::{
    base::{id::CredentialId, time::Timestamp},
    model::{
        client::AuthMethod,
        resource::{Effect, Enforces, Resource},
    },
    registry::{client, credential, edge, operator, resource, tool},
};

const CLIENT: &str = r#"{"client_id":"cl_support-agent","name":"Support","token_endpoint_auth_method":"client_secret_post","dpop_bound_access_tokens":true,"introspection_signed_response_alg":"RS256","asks_without_token":true,"agent":{"uri":"https://support.example","allowance":[{"resource":"refunds","scope":"refunds:read refunds:write","tools":{"refunds.list":{"order_id":{"constraint_type":"exact","value":"A-17"}}}},{"resource":"tickets","scope":"tickets:read"}],"own_allowance":[]},"enabled":true}"#;
const RESOURCE: &str = r#"{"id":"refunds","resource":"https://refunds.example/mcp","owner":"cl_refunds","name":"Refunds","enforces":"scope","verifies_offline":true,"dpop":"itself","token_ttl_s":45,"token_signing_alg":"Ed25519","step_up_hints":true,"scopes_supported":["refunds:read","refunds:write"],"enabled":false}"#;
const TOOL: &str = r#"{"resource":"refunds","name":"refunds.list","description":"Lists\nrefunds.","scopes":["refunds:read"],"effect":"read","input_schema":{"type":"object","properties":{"order_id":{"type":"string"}}},"keep_arguments":["/order/id","/order_id"],"enabled":true,"changed_at":12,"changed_on":1700000000}"#;
const EDGE: &str = r#"{"from":"cl_support-agent","to":"cl_billing-agent","ceiling":[{"resource":"refunds","scope":"refunds:read"}],"effects":["read","egress"],"max_depth":3,"max_ttl_s":60,"enabled":true}"#;
const OPERATOR: &str = r#"{"name":"ada","token_hash":"LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ","role":"auditor","enabled":true}"#;
const CREDENTIAL: &str = r#"{"client_id":"cl_support-agent","id":"AAAAAAAAAAAAAAAAAAAAAA","hash":"$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA","created":1700000000,"expires":1800000000}"#;

#[test]
fn a_document_is_written_as_it_was_read() {
    assert_eq!(client::write(&client::parse(CLIENT).unwrap()), CLIENT);
    assert_eq!(resource::write(&resource::parse(RESOURCE).unwrap()), RESOURCE);
    assert_eq!(edge::write(&edge::parse(EDGE).unwrap()), EDGE);
    assert_eq!(operator::write(&operator::parse(OPERATOR).unwrap()), OPERATOR);
    let (resource, read) = tool::parse(TOOL).unwrap();
    assert_eq!(tool::write(&resource, &read), TOOL);
    let (client, read) = credential::parse(CREDENTIAL).unwrap();
    assert_eq!(credential::write(&client, &read), CREDENTIAL);
}

#[test]
fn what_is_left_out_is_the_lesser() {
    let read = client::parse(r#"{"client_id":"cl_a","name":"A"}"#).unwrap();
    assert_eq!(read.auth_method, AuthMethod::ClientSecretBasic);
    assert!(read.agent.is_none() && read.credentials.is_empty() && read.enabled);
    let text = r#"{"client_id":"cl_a","name":"A","agent":{"uri":"https://a.example"}}"#;
    let agent = client::parse(text).unwrap().agent.unwrap();
    assert!(agent.allowance.entries().is_empty() && agent.own_allowance.entries().is_empty());
    let text = r#"{"id":"a","resource":"https://a.example","owner":"cl_a","name":"A"}"#;
    let read = resource::parse(text).unwrap();
    assert_eq!((read.enforces, read.ttl), (Enforces::Call, Resource::DEFAULT_TTL));
    assert!(!read.verifies_offline && !read.step_up_hints && read.scopes.is_empty());
    let read = edge::parse(r#"{"from":"cl_a","to":"cl_b"}"#).unwrap();
    assert!(read.effects.iter().eq(&[Effect::Read, Effect::Write]) && read.ceiling.is_none());
    assert_eq!((read.max_depth, read.max_ttl), (None, None));
}

#[test]
fn an_empty_ceiling_is_not_an_absent_one() {
    let read = edge::parse(r#"{"from":"cl_a","to":"cl_b","ceiling":[]}"#).unwrap();
    assert!(read.ceiling.as_ref().is_some_and(|ceiling| ceiling.entries().is_empty()));
    assert_eq!(edge::parse(&edge::write(&read)).unwrap(), read);
}

#[test]
fn every_problem_is_said_with_its_place_and_cure() {
    let text = r#"{"client_id":"Support","agent":{"uri":"support","allowance":[{"resource":"refunds","scope":"","tools":{"t":{"x":{"constraint_type":"regex"}}}}]},"enabled":"yes","secret":"x"}"#;
    assert_eq!(
        problems(client::parse(text)),
        [
            "/client_id: `Support` is refused: expected a client id: `cl_` and 1 to 48 of a-z, \
             0-9 and inner hyphens",
            "/name: is missing",
            "/agent/uri: `support` is refused: must be an absolute URI that begins with https://, \
             http:// or urn:",
            "/agent/allowance/0/scope: allows nothing: name the scopes that the tools need",
            "/agent/allowance/0/tools/t/x: unknown constraint_type `regex`",
            "/enabled: is a string, must be `true` or `false`",
            "/secret: is unknown here: the members are `client_id`, `name`, \
             `token_endpoint_auth_method`, `jwks_uri`, `jwks`, `legacy_assertions`, \
             `dpop_bound_access_tokens`, \
             `introspection_signed_response_alg`, `asks_without_token`, `agent`, `enabled`",
        ]
    );
}

#[test]
fn what_is_not_one_strict_document_is_refused() {
    for text in ["", "[]", "null", "{", "{} {}", r#"{"name":"a","name":"b"}"#] {
        assert_eq!(problems(client::parse(text)).len(), 1, "{text}");
    }
    let null = CLIENT.replace(r#""enabled":true"#, r#""enabled":null"#);
    assert_eq!(problems(client::parse(&null)), ["/enabled: is null, must be `true` or `false`"]);
}

#[test]
fn a_server_that_verifies_offline_gets_short_tokens() {
    let offline = |ttl: &str| {
        resource::parse(&format!(
            r#"{{"id":"a","resource":"https://a.example","owner":"cl_a","name":"A","verifies_offline":true{ttl}}}"#
        ))
    };
    assert_eq!(offline("").unwrap().ttl, Resource::OFFLINE_TTL);
    assert!(offline(r#","token_ttl_s":60"#).is_ok());
    assert_eq!(
        problems(offline(r#","token_ttl_s":61"#)),
        ["/token_ttl_s: must be at most 60 where `verifies_offline` is true"]
    );
    for (ttl, fits) in [("0", false), ("1", true), ("900", true), ("901", false), ("1.5", false)] {
        let text = RESOURCE.replace(r#""verifies_offline":true"#, r#""verifies_offline":false"#);
        assert_eq!(resource::parse(&text.replace("45", ttl)).is_ok(), fits, "{ttl}");
    }
}

#[test]
fn a_tool_needs_a_scope_and_an_effect() {
    let text = TOOL.replace(r#"["refunds:read"]"#, "[]").replace(r#""effect":"read","#, "");
    assert_eq!(
        problems(tool::parse(&text)),
        ["/scopes: must have 1 to 64 values", "/effect: is missing"]
    );
}

#[test]
fn the_digest_is_over_what_the_administrator_looked_at() {
    let digest = |text: &str| tool::parse(text).unwrap().1.digest;
    let same = digest(TOOL);
    for (from, to) in [
        (
            r#""type":"object","properties":{"order_id":{"type":"string"}}"#,
            r#""properties":{"order_id":{"type":"string"}},"type":"object""#,
        ),
        (r#""effect":"read""#, r#""effect":"write""#),
        (r#""changed_at":12"#, r#""changed_at":13"#),
    ] {
        assert!(TOOL.contains(from));
        assert_eq!(digest(&TOOL.replace(from, to)), same, "{to}");
    }
    for (from, to) in
        [("refunds.list", "refunds.get"), ("Lists", "Exports"), ("\"string\"", "\"number\"")]
    {
        assert_ne!(digest(&TOOL.replace(from, to)), same, "{to}");
    }
}

#[test]
fn a_draft_does_not_say_when_it_changed() {
    let (resource, draft) = tool::parse_draft(TOOL).unwrap();
    let tool = draft.into_tool(99, Timestamp::EPOCH);
    assert_eq!((tool.changed_at, tool.changed_on), (99, Timestamp::EPOCH));
    assert_eq!(tool::parse(&tool::write(&resource, &tool)).unwrap().1, tool);
    let without = TOOL.replace(r#","changed_at":12,"changed_on":1700000000"#, "");
    assert!(tool::parse_draft(&without).is_ok());
    let missing = ["/changed_at: is missing", "/changed_on: is missing"];
    assert_eq!(problems(tool::parse(&without)), missing);
}

#[test]
fn arguments_to_keep_are_normalised_pointers() {
    let keep = |list: &str| {
        tool::parse(&TOOL.replace(r#"["/order/id","/order_id"]"#, list))
            .map(|(_, tool)| tool.keep_arguments)
    };
    assert_eq!(keep(r#"["x","/a~1b"]"#).unwrap(), ["/a~1b", "/x"]);
    assert_eq!(
        problems(keep(r#"["x","/x"]"#)),
        ["/keep_arguments/1: is the same as, or runs through, another argument of this tool"]
    );
}

#[test]
fn an_edge_joins_two_clients() {
    let text = r#"{"from":"cl_a","to":"cl_a","effects":[],"max_depth":1,"max_ttl_s":901}"#;
    assert_eq!(
        problems(edge::parse(text)),
        [
            "/to: is the same client as `from`: an edge joins two",
            "/effects: must have 1 to 4 values",
            "/max_depth: must be a whole number from 2 to 8",
            "/max_ttl_s: must be a whole number from 1 to 900"
        ]
    );
    let read = edge::parse(EDGE).unwrap();
    assert_eq!(edge::id(&read), "cl_support-agent>cl_billing-agent");
    assert_eq!(edge::parse_id(&edge::id(&read)), Some((read.from, read.to)));
    for id in ["cl_a", "cl_a>", ">cl_a", "cl_a>cl_b>cl_c", "a>b"] {
        assert_eq!(edge::parse_id(id), None, "{id}");
    }
}

#[test]
fn an_operator_is_known_by_a_whole_hash() {
    for (from, to) in [("mCQ", "mC"), ("mCQ", "mCR"), ("mCQ", "mCQ="), ("ul-w", "ul+w")] {
        assert!(operator::parse(&OPERATOR.replace(from, to)).is_err(), "{to}");
    }
    assert!(operator::parse(&OPERATOR.replace("auditor", "root")).is_err());
    assert!(operator::parse(&OPERATOR.replace(r#","role":"auditor""#, "")).is_err());
}

#[test]
fn a_credential_is_a_hash_and_never_a_secret() {
    let text = CREDENTIAL.replace("$argon2id$", "secret");
    assert_eq!(problems(credential::parse(&text)), ["/hash: must be an argon2id hash in PHC form"]);
}

proptest! {
    #[test]
    fn a_credential_reads_back_the_same(
        id: [u8; 16], created in 0..253_402_300_800_i64, expires in prop::option::of(0..253_402_300_800_i64),
    ) {
        let (client, mut credential) = credential::parse(CREDENTIAL).unwrap();
        credential.id = CredentialId::from_bytes(id);
        credential.created = Timestamp::from_epoch_s(created).unwrap();
        credential.expires = expires.and_then(Timestamp::from_epoch_s);
        let text = credential::write(&client, &credential);
        prop_assert_eq!(credential::parse(&text).unwrap(), (client, credential));
    }

    #[test]
    fn names_and_flags_read_back_the_same(
        name in "[^\\p{Cc}]{1,40}", ttl in 1..=900_u32, flags: [bool; 2], scopes in prop::collection::btree_set("[!#-\\[\\]-~]{1,9}", 0..5),
    ) {
        let mut resource = resource::parse(RESOURCE).unwrap();
        resource.name = name;
        resource.verifies_offline = ttl <= 60 && flags[0];
        resource.ttl = crate::base::time::Seconds::new(ttl);
        resource.enabled = flags[1];
        resource.scopes = crate::model::scope::Scope::of(scopes.iter().map(String::as_str)).unwrap();
        prop_assert_eq!(resource::parse(&resource::write(&resource)).unwrap(), resource);
    }

    #[test]
    fn no_text_makes_a_reader_fall(text in ".{0,100}") {
        let _ = (client::parse(&text), resource::parse(&text), tool::parse(&text));
        let _ = (edge::parse(&text), operator::parse(&text), credential::parse(&text));
    }
}

#[test]
fn a_client_has_keys_exactly_where_they_are_its_method() {
    let read =
        |members: &str| client::parse(&format!(r#"{{"client_id":"cl_a","name":"A"{members}}}"#));
    let keys = r#","jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#;
    let uri = r#","jwks_uri":"https://a.example/jwks""#;
    let method = r#","token_endpoint_auth_method":"private_key_jwt""#;
    for (members, good) in [
        (String::new(), true),
        (format!("{method}{keys}"), true),
        (format!("{method}{uri}"), true),
        (format!(r#"{method}{uri},"legacy_assertions":true"#), true),
        (method.to_owned(), false),
        (format!("{method}{keys}{uri}"), false),
        (keys.to_owned(), false),
        (uri.to_owned(), false),
        (r#","legacy_assertions":true"#.to_owned(), false),
    ] {
        let read = read(&members);
        assert_eq!(read.is_ok(), good, "{members}");
        if let Ok(client) = read {
            assert_eq!(client::parse(&client::write(&client)).unwrap(), client, "{members}");
        }
    }
}
