//! The contract and the code say the same, both ways, and nothing of it is open to a stranger.

use std::{collections::BTreeSet, fs};

use deputy::{
    demo::issuer::Issuer,
    http::routes::{Access, Side},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::serve_process::{Folder, Server, free_address, user_token};

/// `openapi.yaml`.
fn contract() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
    serde_norway::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Fails unless `answer` is what the contract says of a 2xx answer to the operation.
fn conforms(contract: &Value, operation: &str, answer: &Value) {
    let paths = contract["paths"].as_object().unwrap().values();
    let mut operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let found = operations.find(|o| o["operationId"] == operation).unwrap();
    let responses = found["responses"].as_object().unwrap().iter();
    let good = responses.filter(|(status, _)| status.starts_with('2'));
    let matches = good.into_iter().any(|(_, response)| {
        let schema = &response["content"]["application/json"]["schema"];
        let whole = json!({ "allOf": [schema], "components": contract["components"] });
        jsonschema::validator_for(&whole).unwrap().is_valid(answer)
    });
    assert!(matches, "{operation} does not answer as the contract says: {answer}");
}

#[test]
fn the_contract_and_the_routes_are_the_same_set() {
    let contract = contract();
    let mut written = BTreeSet::new();
    for (path, operations) in contract["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if let Some(id) = operation["operationId"].as_str() {
                written.insert((method.to_uppercase(), path.clone(), id.to_owned()));
            }
        }
    }
    let routes: BTreeSet<(String, String, String)> = Side::Both
        .routes()
        .iter()
        .map(|r| (r.method.to_string(), r.path_under("/oauth2"), r.operation.to_owned()))
        .collect();
    assert_eq!(written, routes);
}

#[tokio::test]
async fn no_operation_is_open_without_or_with_wrong_credentials() {
    let folder = Folder::new();
    let server = Server::start(&folder.0, &free_address(), &[]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for route in Side::Both.routes() {
        let content_type = match route.access() {
            Access::Public => continue,
            Access::Client => "application/x-www-form-urlencoded",
            Access::Gateway | Access::Operator(_) => "application/json",
        };
        let url = format!("{}{}", server.url, route.path_under("/oauth2")).replace(['{', '}'], "");
        for wrong in [None, Some("nobody")] {
            let mut request = http.request(route.method.clone(), &url);
            request = request.header("content-type", content_type);
            request = match route.access() {
                Access::Client => request.body("token=x&grant_type=client_credentials"),
                Access::Public | Access::Gateway | Access::Operator(_) => request.body("{}"),
            };
            if let Some(wrong) = wrong {
                request = match route.access() {
                    Access::Operator(_) => request.bearer_auth(wrong),
                    Access::Public | Access::Client | Access::Gateway => {
                        request.basic_auth("cl_nobody", Some(wrong))
                    }
                };
            }
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(status, 401, "{} with {wrong:?}", route.operation);
        }
    }
}

#[tokio::test]
async fn admin_answers_are_what_the_contract_says_and_every_change_is_on_record() {
    let written = contract();
    let folder = Folder::new();
    let issuer = Issuer::start("corp").await.unwrap();
    let server = Server::start(&folder.0, &free_address(), &[]);
    let registered = server.register(&issuer).await;
    let answer = server.support(&registered).exchanges(&user_token(&issuer)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let get = async |path: &str| server.admin(Method::GET, path, None).await;
    for (operation, path) in [
        ("listClients", "/clients"),
        ("showClient", "/clients/cl_support"),
        ("listSecrets", "/clients/cl_support/secrets"),
        ("listResources", "/resources"),
        ("showResource", "/resources/tickets"),
        ("listTools", "/resources/tickets/tools"),
        ("showTool", "/resources/tickets/tools/tickets.get"),
        ("listToolChanges", "/tool-changes"),
        ("listIssuers", "/issuers"),
        ("showIssuer", "/issuers/corp"),
        ("listEdges", "/edges"),
        ("listDelegations", "/delegations"),
        ("listEvents", "/events"),
        ("verifyAudit", "/audit/verify"),
    ] {
        conforms(&written, operation, &get(path).await);
    }
    let tool = json!({ "name": "tickets.get", "title": "Tickets", "inputSchema": {} });
    let listed = json!({
        "tools_list": { "tools": [tool] },
        "assign": { "tickets.get": { "scopes": ["tickets:read"], "effect": "read" } },
    });
    let path = "/resources/tickets/tools/import";
    conforms(&written, "importTools", &server.admin(Method::POST, path, Some(&listed)).await);
    let changes = get("/tool-changes").await;
    conforms(&written, "listToolChanges", &changes);
    conforms(&written, "showTool", &get("/resources/tickets/tools/tickets.get").await);
    let digest = &changes["items"][0]["digest"];
    let settlement = json!({ "digest": digest, "settlement": "accept_with_older" });
    let path = "/resources/tickets/tools/tickets.get/change";
    let settled = server.admin(Method::POST, path, Some(&settlement)).await;
    conforms(&written, "settleToolChange", &settled);
    assert_eq!(settled["title"], "Tickets");
    let configured = async || server.all("/events", "kind=configuration").await.len();
    let before = configured().await;
    let second = server.admin(Method::POST, "/clients/cl_support/secrets", None).await;
    conforms(&written, "addSecret", &second);
    let shown = get("/clients/cl_support/secrets").await;
    let secret = second["client_secret"].as_str().unwrap();
    assert!(!shown.to_string().contains(secret), "a secret is shown once");
    let id = second["credential_id"].as_str().unwrap();
    let path = format!("/clients/cl_support/secrets/{id}");
    server.admin(Method::DELETE, &path, None).await;
    assert_eq!(configured().await, before + 2, "every change is on record");
    let revocation = json!({ "agent": "cl_support" });
    server.admin(Method::POST, "/revocations", Some(&revocation)).await;
    assert_eq!(server.all("/events", "kind=revocation").await.len(), 1);
}

#[tokio::test]
async fn no_token_and_no_secret_is_in_the_database() {
    let folder = Folder::new();
    let issuer = Issuer::start("corp").await.unwrap();
    let server = Server::start(&folder.0, &free_address(), &[]);
    let registered = server.register(&issuer).await;
    let subject = user_token(&issuer);
    let answer = server.support(&registered).exchanges(&subject).await.unwrap();
    let (made, _) = crate::serve_process::token(&answer);
    assert!(server.tickets(&registered).accepts(&made).await);
    let admin = fs::read_to_string(folder.0.join("keys/admin-token")).unwrap();
    server.terminate();
    assert!(server.ended().success());
    let database = fs::read(folder.0.join("deputy.db")).unwrap();
    let database = String::from_utf8_lossy(&database);
    for secret in [&subject, &made, &registered.support, &registered.tickets] {
        assert!(!database.contains(secret.as_str()), "a secret is stored in the clear");
    }
    assert!(!database.contains(admin.trim()), "the admin token is stored in the clear");
}
