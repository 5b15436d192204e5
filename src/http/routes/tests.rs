use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use axum::{body::to_bytes, http::HeaderMap};

use super::*;
use crate::{
    engine::authenticate::ClientRefusal,
    http::form::Form,
    service::{Ambient, Options, remote::fetch::Roots, token::Caller},
};

const PEER: Peer = Peer(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1));

/// A service on a database of its own, gone with it.
struct Started {
    deputy: Deputy,
    home: PathBuf,
}

impl Started {
    async fn at(issuer_path: &str, name: &str) -> Started {
        let home = format!("deputy-routes-{}-{name}", std::process::id());
        let home = std::env::temp_dir().join(home);
        std::fs::create_dir_all(&home).unwrap();
        let options = Options {
            public_url: "http://127.0.0.1:8420".to_owned(),
            issuer_path: issuer_path.to_owned(),
            database: format!("sqlite:{}", home.join("deputy.db").display()),
            keys_dir: home.join("keys"),
            kek: None,
            kek_beside: None,
            allow_loopback_issuers: true,
            trusted_roots: Roots::default(),
            rotate_keys_every: None,
            keep_audit: None,
            restored: false,
        };
        let deputy = Deputy::start(options, Ambient::system()).await.unwrap();
        Started { deputy, home }
    }

    async fn ask(&self, side: Side, method: &str, uri: &str) -> (u16, HeaderMap, String) {
        let request = Request::builder().method(method).uri(uri).header("host", "deputy");
        let is_json = uri.starts_with("/access/");
        let form = "application/x-www-form-urlencoded";
        let content_type = if is_json { "application/json" } else { form };
        let request = request.header("content-type", content_type).body(Body::empty()).unwrap();
        let response = Doors::of(&self.deputy, side).answer(PEER, request).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 64 * 1024).await.unwrap();
        (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.home);
    }
}

#[test]
fn no_operation_and_no_place_is_there_twice() {
    let routes = Side::Both.routes();
    let operations: BTreeSet<_> = routes.iter().map(|route| route.operation).collect();
    let places: BTreeSet<_> =
        routes.iter().map(|route| (route.path_under("/oauth2"), route.method.as_str())).collect();
    assert_eq!((operations.len(), places.len()), (routes.len(), routes.len()));
}

/// Operations whose question is too long for a URL and that change nothing: auditors may ask too.
const QUESTIONS: [&str; 3] = ["previewRevocation", "replayPolicies", "validatePolicies"];

#[test]
fn whatever_is_below_the_admin_prefix_is_for_operators() {
    for route in Side::Both.routes() {
        let is_admin = route.path.starts_with(admin::PREFIX);
        assert_eq!(matches!(route.access(), Access::Operator(_)), is_admin, "{}", route.path);
        let asks = route.method == Method::GET || QUESTIONS.contains(&route.operation);
        if is_admin && !asks {
            assert_eq!(route.access(), Access::Operator(Role::Admin), "{}", route.path);
        }
    }
}

#[tokio::test]
async fn nothing_that_needs_credentials_answers_without() {
    let started = Started::at("/oauth2", "deny").await;
    for route in Side::Both.routes() {
        let path = route.path_under("/oauth2");
        let (status, headers, body) = started.ask(Side::Both, route.method.as_str(), &path).await;
        match route.access() {
            Access::Public => assert_ne!(status, 401, "{path}"),
            Access::Client => {
                assert_eq!(status, 401, "{path}");
                assert!(body.contains(r#""error":"invalid_client""#), "{path}: {body}");
                assert!(!headers.contains_key("www-authenticate"), "{path}");
            }
            Access::Gateway => {
                assert_eq!(status, 401, "{path}");
                assert!(headers.contains_key("www-authenticate"), "{path}");
            }
            Access::Operator(_) => assert_eq!(status, 401, "{path}"),
        }
    }
    started.deputy.stop().await;
}

#[tokio::test]
async fn another_method_is_told_which_one_and_an_unknown_path_is_nothing() {
    let started = Started::at("/oauth2", "methods").await;
    for (uri, allow) in [
        ("/oauth2/token", "POST"),
        ("/oauth2/jwks", "GET, HEAD"),
        ("/admin/v1/clients", "GET, POST, HEAD"),
    ] {
        let (status, headers, _) = started.ask(Side::Both, "DELETE", uri).await;
        assert_eq!((status, headers["allow"].to_str().unwrap()), (405, allow), "{uri}");
    }
    for (side, uri, kind) in [
        (Side::Both, "/nothing", "application/json"),
        (Side::Both, "/admin/v1/nothing", "application/problem+json"),
        (Side::Protocol, "/admin/v1/clients", "application/json"),
        (Side::Admin, "/oauth2/token", "application/json"),
    ] {
        let (status, headers, _) = started.ask(side, "GET", uri).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (404, kind), "{uri}");
    }
    started.deputy.stop().await;
}

#[tokio::test]
async fn te9_parameters_in_the_query_are_refused() {
    let started = Started::at("/oauth2", "query").await;
    for uri in ["/oauth2/token?grant_type=x", "/oauth2/introspect?token=x", "/oauth2/revoke?a"] {
        let (status, _, body) = started.ask(Side::Both, "POST", uri).await;
        assert_eq!(status, 400, "{uri}");
        assert!(body.contains("invalid_request"), "{uri}: {body}");
    }
    started.deputy.stop().await;
}

#[tokio::test]
async fn md1_one_document_is_at_all_three_places_wherever_the_issuer_lives() {
    for (issuer_path, name) in [("/oauth2", "metadata"), ("", "root")] {
        let started = Started::at(issuer_path, name).await;
        let mut documents = BTreeSet::new();
        for uri in [
            format!("/.well-known/oauth-authorization-server{issuer_path}"),
            format!("/.well-known/openid-configuration{issuer_path}"),
            format!("{issuer_path}/.well-known/openid-configuration"),
        ] {
            let (status, headers, body) = started.ask(Side::Protocol, "GET", &uri).await;
            assert_eq!(status, 200, "{uri}");
            assert_eq!(headers["access-control-allow-origin"], "*");
            assert_eq!(headers["cache-control"], "public, max-age=300");
            documents.insert(body);
        }
        assert_eq!(documents.len(), 1);
        let issuer = format!(r#""issuer":"http://127.0.0.1:8420{issuer_path}""#);
        assert!(documents.iter().all(|document| document.contains(&issuer)));
        started.deputy.stop().await;
    }
}

#[tokio::test]
async fn nobody_is_redirected_from_the_authorization_endpoint() {
    let started = Started::at("/oauth2", "authorize").await;
    let uri = "/oauth2/authorize?response_type=code&redirect_uri=https://evil.example";
    let (status, headers, body) = started.ask(Side::Both, "GET", uri).await;
    assert_eq!(status, 400);
    assert!(!headers.contains_key("location"));
    assert!(body.contains("unsupported_response_type") && !body.contains("evil"), "{body}");
    started.deputy.stop().await;
}

/// A future is copied into its box whole, and a large box is none that the allocator has at hand. What
/// is seldom waited for has a box of its own.
#[tokio::test]
async fn little_is_held_for_a_request() {
    let started = Started::at("/oauth2", "little").await;
    let place = Place::new(&started.deputy, "/");
    let whole = size_of_val(&*Arc::new(place).serve(PEER, None, Request::default()));
    let headers = HeaderMap::new();
    let asked = client::Asked {
        deputy: &started.deputy,
        caller: Caller { presented: Err(ClientRefusal::Absent), source: PEER.0.ip() },
        form: Form::parse(b"", &introspect::NAMES).unwrap(),
        headers: &headers,
    };
    let question = size_of_val(&introspect::introspect(asked));
    assert!(whole <= 1_024 && question <= 1_024, "{whole} and {question} bytes");
}
