//! What everybody may read without asking: the metadata, the keys, and what stands where nothing
//! is.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::world::{
    ISSUER, World, on_both,
    story::TICKETS,
    wire::{self, header},
};

on_both! {
    md1_the_metadata_is_the_same_at_three_places
    md2_the_issuer_is_the_string_that_everything_begins_with
    md3_the_metadata_has_what_mcp_clients_insist_on
    md_a_web_page_may_read_public_documents_and_nothing_else
    jw8_the_key_set_is_public_and_names_each_key_once
    jw8_the_key_set_is_not_sent_twice
    pr1_a_resource_s_metadata_names_the_resource_and_its_issuer
    pr1_what_is_not_registered_or_not_enabled_is_not_there
    nobody_logs_in_and_nobody_is_redirected
    an_unknown_path_is_404_and_a_wrong_method_405
    a_request_keeps_its_name
}

const PLACES: [&str; 3] = [
    "/.well-known/oauth-authorization-server/oauth2",
    "/.well-known/openid-configuration/oauth2",
    "/oauth2/.well-known/openid-configuration",
];
const TICKETS_METADATA: &str = "/resources/tickets/oauth-protected-resource";

fn asks(world: &World, method: Method, path: &str) -> RequestBuilder {
    wire::client().request(method, format!("{}{path}", world.url))
}

async fn options(world: &World, path: &str) -> Response {
    let asked = asks(world, Method::OPTIONS, path).header("origin", "https://page.example");
    let asked = asked.header("access-control-request-method", "GET");
    let asked = asked.header("access-control-request-headers", "mcp-protocol-version");
    asked.send().await.unwrap()
}

fn said<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn has(list: &Value, member: &str) -> bool {
    list.as_array().unwrap().contains(&json!(member))
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

async fn md1_the_metadata_is_the_same_at_three_places(world: World) {
    let mut texts = Vec::new();
    for place in PLACES {
        let answer = world.get(place).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        assert!(answer.header("cache-control").contains("max-age="), "{place}");
        texts.push(answer.text);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "MD-1: byte for byte");
}

async fn md2_the_issuer_is_the_string_that_everything_begins_with(world: World) {
    let metadata = world.get(PLACES[0]).await.json;
    assert_eq!(metadata["issuer"], ISSUER);
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("introspection_endpoint", "/introspect"),
        ("revocation_endpoint", "/revoke"),
        ("jwks_uri", "/jwks"),
    ] {
        assert_eq!(metadata[member], format!("{ISSUER}{path}"));
        let status = world.get(&format!("/oauth2{path}")).await.status;
        assert_ne!(status, 404, "{member} is where it says");
    }
}

async fn md3_the_metadata_has_what_mcp_clients_insist_on(world: World) {
    let metadata = world.get(PLACES[0]).await.json;
    assert!(!has_null(&metadata), "null is not absent");
    for (member, value) in [
        ("response_types_supported", "code"),
        ("code_challenge_methods_supported", "S256"),
        ("subject_types_supported", "public"),
        ("id_token_signing_alg_values_supported", "ES256"),
        ("grant_types_supported", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("grant_types_supported", "client_credentials"),
        ("token_endpoint_auth_methods_supported", "client_secret_basic"),
        ("introspection_endpoint_auth_methods_supported", "client_secret_basic"),
        ("revocation_endpoint_auth_methods_supported", "client_secret_post"),
        ("authorization_details_types_supported", "mcp_tool_call"),
    ] {
        assert!(has(&metadata[member], value), "{member}: {}", metadata[member]);
    }
}

async fn md_a_web_page_may_read_public_documents_and_nothing_else(world: World) {
    for path in PLACES.into_iter().chain(["/oauth2/jwks", TICKETS_METADATA]) {
        let read = asks(&world, Method::GET, path).header("origin", "https://page.example");
        let read = read.send().await.unwrap();
        assert_eq!(said(&read, "access-control-allow-origin"), "*", "{path}");
        let may = options(&world, path).await;
        assert!(may.status().is_success(), "{path}");
        assert_eq!(said(&may, "access-control-allow-origin"), "*", "{path}");
        assert!(!said(&may, "access-control-allow-headers").is_empty(), "{path}");
        assert_eq!(said(&may, "access-control-allow-credentials"), "", "{path}");
    }
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/authorize"] {
        let may = options(&world, path).await;
        assert_eq!((may.status().as_u16(), said(&may, "access-control-allow-origin")), (405, ""));
    }
}

async fn jw8_the_key_set_is_public_and_names_each_key_once(world: World) {
    let answer = world.get("/oauth2/jwks").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let keys = answer.json["keys"].as_array().unwrap().clone();
    let mut names = std::collections::BTreeSet::new();
    for key in &keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
        assert_eq!(
            (&key["use"], &key["alg"], &key["kty"]),
            (&json!("sig"), &json!("ES256"), &json!("EC"))
        );
        assert!(names.insert(key["kid"].as_str().unwrap()), "a name twice");
    }
    let token = world.agent("support").asks_for_itself().token().await;
    assert!(names.contains(header(&token)["kid"].as_str().unwrap()));
}

async fn jw8_the_key_set_is_not_sent_twice(world: World) {
    let first = world.get("/oauth2/jwks").await;
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with('"'), "a strong tag: {etag}");
    for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let again = asks(&world, Method::GET, "/oauth2/jwks").header("if-none-match", &known);
        let again = again.send().await.unwrap();
        assert_eq!((again.status().as_u16(), said(&again, "etag")), (304, etag.as_str()));
        assert_eq!(again.text().await.unwrap(), "");
    }
    let other = asks(&world, Method::GET, "/oauth2/jwks").header("if-none-match", "\"other\"");
    assert_eq!(other.send().await.unwrap().text().await.unwrap(), first.text);
}

async fn pr1_a_resource_s_metadata_names_the_resource_and_its_issuer(world: World) {
    let answer = world.get(TICKETS_METADATA).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert!(!has_null(&answer.json));
    assert_eq!(answer.json["resource"], TICKETS);
    assert_eq!(answer.json["authorization_servers"], json!([ISSUER]));
    assert_eq!(answer.json["bearer_methods_supported"], json!(["header"]));
    assert!(has(&answer.json["scopes_supported"], "tickets:read"));
    assert!(!has(&answer.json["scopes_supported"], "offline_access"));
}

async fn pr1_what_is_not_registered_or_not_enabled_is_not_there(world: World) {
    for id in ["nothing", "TICKETS", "tickets%00", "%ff", "..", "tickets.get"] {
        let answer = world.get(&format!("/resources/{id}/oauth-protected-resource")).await;
        assert_eq!(answer.status, 404, "{id}: {}", answer.text);
    }
    world.change("resource", "tickets", "enabled", json!(false)).await;
    assert_eq!(world.get(TICKETS_METADATA).await.status, 404);
    assert_eq!(world.get("/resources/refunds/oauth-protected-resource").await.status, 200);
}

async fn nobody_logs_in_and_nobody_is_redirected(world: World) {
    let path = "/oauth2/authorize?response_type=code&redirect_uri=https%3A%2F%2Fevil.example\
                &state=%3Cscript%3E";
    let program = world.get(path).await;
    assert_eq!(
        (program.status, &program.json["error"]),
        (400, &json!("unsupported_response_type"))
    );
    assert_eq!(program.header("location"), "");
    let person = asks(&world, Method::GET, path).header("accept", "text/html,*/*;q=0.8");
    let person = person.send().await.unwrap();
    assert_eq!((person.status().as_u16(), said(&person, "location")), (400, ""));
    assert_eq!(said(&person, "content-type"), "text/html; charset=utf-8");
    assert!(said(&person, "content-security-policy").contains("default-src 'none'"));
    let page = person.text().await.unwrap();
    assert!(!page.contains("<script") && !page.contains("evil.example"), "{page}");
}

async fn an_unknown_path_is_404_and_a_wrong_method_405(world: World) {
    for path in
        ["/", "/oauth2", "/oauth2/", "/oauth2/token/", "/OAUTH2/token", "/%2e%2e/x", "/x%00"]
    {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, &answer.json["error"]),
            (404, &json!("invalid_request")),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    for (path, method, allow) in [
        ("/oauth2/token", Method::GET, "POST"),
        ("/oauth2/token", Method::PUT, "POST"),
        ("/oauth2/introspect", Method::GET, "POST"),
        ("/oauth2/revoke", Method::DELETE, "POST"),
        ("/oauth2/jwks", Method::POST, "GET, HEAD"),
        ("/oauth2/authorize", Method::POST, "GET, HEAD"),
        (PLACES[0], Method::DELETE, "GET, HEAD"),
    ] {
        let answer = asks(&world, method, path).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), said(&answer, "allow")), (405, allow), "{path}");
        assert_eq!(said(&answer, "content-type"), "application/json", "{path}");
    }
}

async fn a_request_keeps_its_name(world: World) {
    for path in ["/oauth2/jwks", "/oauth2/token", "/nowhere"] {
        let named = asks(&world, Method::GET, path).header("x-request-id", "trace 7/a");
        assert_eq!(said(&named.send().await.unwrap(), "x-request-id"), "trace 7/a");
        let long = "x".repeat(129);
        let unnamed = asks(&world, Method::GET, path).header("x-request-id", &long);
        let unnamed = unnamed.send().await.unwrap();
        assert!(!said(&unnamed, "x-request-id").is_empty());
        assert_ne!(said(&unnamed, "x-request-id"), long);
    }
}
