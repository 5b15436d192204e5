//! The contract and the code speak of the same operations.

use std::{collections::BTreeSet, fs};

use deputy::http::routes::Side;
use serde_json::Value;

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
