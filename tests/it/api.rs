//! The contract and the code say the same, both ways, and nothing of it is open to a stranger.

use std::{collections::BTreeSet, fs};

use deputy::http::routes::{Access, Side};
use serde_json::Value;

use crate::serve_process::{Folder, Server, free_address};

/// `openapi.yaml`.
fn contract() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
    serde_norway::from_str(&fs::read_to_string(path).unwrap()).unwrap()
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
