//! The table of the admin API. What is not in it does not exist.

use axum::http::Method;

use super::{
    Access, Handler, IMPORT_BYTES_MAX, POLICIES_BYTES_MAX, Route, documents, explain, keys,
    lookups, operators, policies, replay, secrets, simulate, tools,
};
use crate::{
    http::serve::body::BODY_BYTES_MAX,
    service::admin::{Kind, Whole},
};

const PAGE: &[&str] = &["after", "limit"];
const DELEGATIONS: &[&str] =
    &["transaction", "subject_iss", "subject_sub", "client", "parent", "live", "after", "limit"];
const EVENTS: &[&str] = &[
    "subject_iss",
    "subject_sub",
    "client",
    "agent",
    "tool",
    "transaction",
    "kind",
    "outcome",
    "decision",
    "error_id",
    "since",
    "after",
    "limit",
];

const fn read(
    path: &'static str,
    operation: &'static str,
    query: &'static [&'static str],
    handler: Handler,
) -> Route {
    let (method, access) = (Method::GET, Access::Read);
    Route { method, path, operation, access, query, body_max: None, handler }
}

const fn change(
    method: Method,
    path: &'static str,
    operation: &'static str,
    body_max: Option<usize>,
    handler: Handler,
) -> Route {
    Route { method, path, operation, access: Access::Change, query: &[], body_max, handler }
}

/// A question that is too long for a URL: it changes nothing.
const fn question(
    path: &'static str,
    operation: &'static str,
    body_max: Option<usize>,
    handler: Handler,
) -> Route {
    let (method, access) = (Method::POST, Access::Read);
    Route { method, path, operation, access, query: &[], body_max, handler }
}

const DOCUMENT: Option<usize> = Some(BODY_BYTES_MAX);
const IMPORT: Option<usize> = Some(IMPORT_BYTES_MAX);
const POLICIES: Option<usize> = Some(POLICIES_BYTES_MAX);

/// Every operation.
pub const ROUTES: &[Route] = &[
    read("/clients", "listClients", PAGE, |d, a| Box::pin(documents::list(d, a, Kind::Client))),
    change(Method::POST, "/clients", "createClient", DOCUMENT, |d, a| {
        Box::pin(documents::create_client(d, a))
    }),
    read("/clients/{client_id}", "showClient", &[], |d, a| {
        Box::pin(documents::show(d, a, Kind::Client, "client_id"))
    }),
    change(Method::PUT, "/clients/{client_id}", "replaceClient", DOCUMENT, |d, a| {
        Box::pin(documents::replace_client(d, a))
    }),
    read("/clients/{client_id}/secrets", "listSecrets", &[], |d, a| {
        Box::pin(async move { secrets::list(&d, &a) })
    }),
    change(Method::POST, "/clients/{client_id}/secrets", "addSecret", None, |d, a| {
        Box::pin(secrets::add(d, a))
    }),
    change(
        Method::DELETE,
        "/clients/{client_id}/secrets/{credential_id}",
        "deleteSecret",
        None,
        |d, a| Box::pin(secrets::delete(d, a)),
    ),
    read("/operators", "listOperators", &[], |d, _| {
        Box::pin(async move { Ok(operators::list(&d)) })
    }),
    change(Method::POST, "/operators", "createOperator", DOCUMENT, |d, a| {
        Box::pin(operators::create(d, a))
    }),
    change(Method::DELETE, "/operators/{name}", "endOperator", None, |d, a| {
        Box::pin(operators::end(d, a))
    }),
    change(Method::POST, "/operators/{name}/token", "replaceOperatorToken", None, |d, a| {
        Box::pin(operators::replace_token(d, a))
    }),
    read("/resources", "listResources", PAGE, |d, a| {
        Box::pin(documents::list(d, a, Kind::Resource))
    }),
    change(Method::POST, "/resources", "createResource", DOCUMENT, |d, a| {
        Box::pin(documents::create(d, a, Whole::Resource, "resources"))
    }),
    read("/resources/{id}", "showResource", &[], |d, a| {
        Box::pin(documents::show(d, a, Kind::Resource, "id"))
    }),
    change(Method::PUT, "/resources/{id}", "replaceResource", DOCUMENT, |d, a| {
        Box::pin(documents::replace_resource(d, a))
    }),
    read("/resources/{id}/tools", "listTools", PAGE, |d, a| Box::pin(tools::list(d, a))),
    change(Method::POST, "/resources/{id}/tools/import", "importTools", IMPORT, |d, a| {
        Box::pin(tools::import(d, a))
    }),
    read("/resources/{id}/tools/{name}", "showTool", &[], |d, a| Box::pin(tools::show(d, a))),
    change(Method::PUT, "/resources/{id}/tools/{name}", "replaceTool", DOCUMENT, |d, a| {
        Box::pin(tools::replace(d, a))
    }),
    change(
        Method::POST,
        "/resources/{id}/tools/{name}/change",
        "settleToolChange",
        DOCUMENT,
        |d, a| Box::pin(tools::settle(d, a)),
    ),
    read("/tool-changes", "listToolChanges", PAGE, |d, a| Box::pin(tools::changes(d, a))),
    read("/issuers", "listIssuers", PAGE, |d, a| Box::pin(documents::list(d, a, Kind::Issuer))),
    change(Method::POST, "/issuers", "createIssuer", DOCUMENT, |d, a| {
        Box::pin(documents::create(d, a, Whole::Issuer, "issuers"))
    }),
    read("/issuers/{alias}", "showIssuer", &[], |d, a| {
        Box::pin(documents::show(d, a, Kind::Issuer, "alias"))
    }),
    change(Method::PUT, "/issuers/{alias}", "replaceIssuer", DOCUMENT, |d, a| {
        Box::pin(documents::replace_issuer(d, a))
    }),
    read("/edges", "listEdges", PAGE, |d, a| Box::pin(documents::list(d, a, Kind::Edge))),
    read("/edges/{from}/{to}", "showEdge", &[], |d, a| Box::pin(documents::show_edge(d, a))),
    change(Method::PUT, "/edges/{from}/{to}", "replaceEdge", DOCUMENT, |d, a| {
        Box::pin(documents::replace_edge(d, a))
    }),
    read("/policies", "showPolicies", &[], |d, a| Box::pin(policies::show(d, a))),
    change(Method::PUT, "/policies", "replacePolicies", POLICIES, |d, a| {
        Box::pin(policies::replace(d, a))
    }),
    question("/policies/validate", "validatePolicies", POLICIES, |d, a| {
        Box::pin(policies::validate(d, a))
    }),
    question("/policies/replay", "replayPolicies", POLICIES, |d, a| Box::pin(replay::replay(d, a))),
    read("/policies/versions", "listPolicyVersions", PAGE, |d, a| {
        Box::pin(policies::versions(d, a))
    }),
    read("/policies/versions/{version}", "showPolicyVersion", &[], |d, a| {
        Box::pin(policies::version(d, a))
    }),
    change(Method::POST, "/policies/rollback", "rollBackPolicies", DOCUMENT, |d, a| {
        Box::pin(policies::roll_back(d, a))
    }),
    change(Method::POST, "/revocations", "createRevocation", DOCUMENT, |d, a| {
        Box::pin(lookups::revoke(d, a))
    }),
    question("/revocations/preview", "previewRevocation", DOCUMENT, |d, a| {
        Box::pin(lookups::preview(d, a))
    }),
    read("/delegations", "listDelegations", DELEGATIONS, |d, a| {
        Box::pin(lookups::delegations(d, a))
    }),
    read("/delegations/{delegation}", "showDelegation", &[], |d, a| {
        Box::pin(lookups::delegation(d, a))
    }),
    read("/decisions/{decision}", "explainDecision", &[], |d, a| Box::pin(explain::decision(d, a))),
    change(Method::POST, "/simulations", "simulateCall", DOCUMENT, |d, a| {
        Box::pin(simulate::simulate(d, a))
    }),
    read("/events", "listEvents", EVENTS, |d, a| Box::pin(lookups::events(d, a))),
    read("/keys", "listKeys", &[], |d, _| Box::pin(async move { Ok(keys::list(&d)) })),
    change(Method::POST, "/keys/reseal", "resealKeys", None, |d, a| Box::pin(keys::reseal(d, a))),
    change(Method::POST, "/keys/rotate", "rotateKeys", None, |d, a| Box::pin(keys::rotate(d, a))),
    change(Method::POST, "/keys/{kid}/retire", "retireKey", None, |d, a| {
        Box::pin(keys::retire(d, a))
    }),
    read("/audit/verify", "verifyAudit", &[], |d, a| Box::pin(lookups::verify(d, a))),
    change(Method::POST, "/audit/erasures", "erasePerson", DOCUMENT, |d, a| {
        Box::pin(lookups::erase(d, a))
    }),
    read("/audit/export", "exportAudit", &["persons"], |d, a| Box::pin(lookups::export(d, a))),
    read("/audit/checkpoint", "getCheckpoint", &[], |d, a| Box::pin(lookups::checkpoint(d, a))),
];
