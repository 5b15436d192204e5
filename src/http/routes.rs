//! Every route in one table, and the router as a fold over it. A handler's type says who may call
//! it, and only this fold makes the value it needs: no handler can forget to ask. What a handler
//! does, and what stands around every request, is not written here.

use std::{collections::BTreeMap, net::IpAddr, net::Ipv4Addr, pin::Pin, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{FromRequestParts, RawPathParams, Request},
    http::{Method, request::Parts},
    response::Response,
    routing::any,
};

use super::{
    admin, around::{self, RequestId}, client, error, form::Names, head, health, introspect, metadata, operator,
    revoke, serve::Peer, token,
};
use crate::{
    engine::snapshot::{Operator, Role},
    service::{Deputy, Failure},
};

/// An answer that is being made.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One operation.
#[derive(Debug)]
pub struct Route {
    /// Its method. `GET` answers `HEAD` too.
    pub method: Method,
    /// Its path as axum writes it, except that [`ISSUER`] stands for the issuer's path.
    pub path: &'static str,
    /// The `operationId` in the contract.
    pub operation: &'static str,
    /// Who may call it, and what answers.
    pub handler: Handler,
}

/// Stands in a path for wherever the issuer lives below the public URL.
pub const ISSUER: &str = "{issuer}";

/// What answers, by who may ask.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// Anybody. The body is not read.
    Public(for<'a> fn(Asked<'a>) -> Later<'a, Response>),
    /// A client that presents credentials in a form with these parameters. Whether they are good
    /// is the service's to say: it takes nothing without a `Caller`.
    Client(&'static Names, for<'a> fn(client::Asked<'a>) -> Later<'a, Result<Response, Failure>>),
    /// An operator of at least this role.
    Operator(Role, for<'a> fn(Asked<'a>, Operator) -> Later<'a, Response>),
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// A client with its credentials.
    Client,
    /// An operator of at least this role.
    Operator(Role),
}

/// A request, as a handler gets it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The service.
    pub deputy: &'a Deputy,
    /// The request's name in the log.
    pub id: &'a RequestId,
    /// Its head.
    pub parts: Parts,
    /// Its body; empty where [`Handler::Public`] answers.
    pub body: Bytes,
    params: Option<RawPathParams>,
}

impl Asked<'_> {
    /// A segment of the path, percent-decoded; empty if the route has none of that name.
    pub fn param(&self, name: &str) -> &str {
        let mut params = self.params.iter().flatten();
        params.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Where it came from. No header is asked: anybody can write one.
    pub fn source(&self) -> IpAddr {
        // Without the accept loop everybody is one source.
        let peer = self.parts.extensions.get::<Peer>();
        peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical())
    }
}

impl Route {
    /// Who may call it.
    pub const fn access(&self) -> Access {
        match self.handler {
            Handler::Public(_) => Access::Public,
            Handler::Client(..) => Access::Client,
            Handler::Operator(role, _) => Access::Operator(role),
        }
    }

    /// Its path where the issuer lives at `issuer_path`.
    pub fn path_under(&self, issuer_path: &str) -> String {
        self.path.replace(ISSUER, issuer_path)
    }

    fn answers(&self, method: &Method) -> bool {
        self.method == *method || (self.method == Method::GET && *method == Method::HEAD)
    }
}

/// What a listener offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Everything.
    Both,
    /// What clients and the public use.
    Protocol,
    /// What operators use.
    Admin,
}

impl Side {
    /// The routes of this side. Health is on both.
    pub fn routes(self) -> impl Iterator<Item = &'static Route> {
        let lists: &[&'static [Route]] = match self {
            Side::Both => &[HEALTH, PROTOCOL, admin::ROUTES],
            Side::Protocol => &[HEALTH, PROTOCOL],
            Side::Admin => &[HEALTH, admin::ROUTES],
        };
        lists.iter().copied().flatten()
    }
}

/// For the machines that look after us.
pub const HEALTH: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/health/live",
        operation: "getLiveness",
        handler: Handler::Public(|asked| Box::pin(health::live(asked))),
    },
    Route {
        method: Method::GET,
        path: "/health/ready",
        operation: "getReadiness",
        handler: Handler::Public(|asked| Box::pin(health::ready(asked))),
    },
];

/// The protocol.
pub const PROTOCOL: &[Route] = &[
    Route {
        method: Method::POST,
        path: "{issuer}/token",
        operation: "token",
        handler: Handler::Client(&token::NAMES, |asked| Box::pin(token::token(asked))),
    },
    Route {
        method: Method::POST,
        path: "{issuer}/introspect",
        operation: "introspect",
        handler: Handler::Client(&introspect::NAMES, |asked| {
            Box::pin(introspect::introspect(asked))
        }),
    },
    Route {
        method: Method::POST,
        path: "{issuer}/revoke",
        operation: "revoke",
        handler: Handler::Client(&revoke::NAMES, |asked| Box::pin(revoke::revoke(asked))),
    },
    Route {
        method: Method::GET,
        path: "{issuer}/jwks",
        operation: "getJwks",
        handler: Handler::Public(|asked| Box::pin(metadata::jwks(asked))),
    },
    Route {
        method: Method::GET,
        path: "{issuer}/authorize",
        operation: "authorize",
        handler: Handler::Public(|asked| Box::pin(metadata::authorize(asked))),
    },
    // MD-1: the same document at every place where a client may look for it.
    Route {
        method: Method::GET,
        path: "/.well-known/oauth-authorization-server{issuer}",
        operation: "getAuthorizationServerMetadata",
        handler: Handler::Public(|asked| Box::pin(metadata::authorization_server(asked))),
    },
    Route {
        method: Method::GET,
        path: "/.well-known/openid-configuration{issuer}",
        operation: "getOpenidConfigurationInserted",
        handler: Handler::Public(|asked| Box::pin(metadata::authorization_server(asked))),
    },
    Route {
        method: Method::GET,
        path: "{issuer}/.well-known/openid-configuration",
        operation: "getOpenidConfiguration",
        handler: Handler::Public(|asked| Box::pin(metadata::authorization_server(asked))),
    },
    Route {
        method: Method::GET,
        path: "/resources/{id}/oauth-protected-resource",
        operation: "getProtectedResourceMetadata",
        handler: Handler::Public(|asked| Box::pin(metadata::protected_resource(asked))),
    },
];

/// The router of one listener.
pub fn router(deputy: &Deputy, side: Side) -> Router {
    let issuer_path = &deputy.options().issuer_path;
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for route in side.routes() {
        let place = places.entry(route.path_under(issuer_path)).or_insert_with(|| Place {
            deputy: deputy.clone(),
            path: route.path,
            routes: Vec::new(),
        });
        // An issuer at the root has two of its well-known places at one path.
        if !place.routes.iter().any(|known| known.method == route.method) {
            place.routes.push(route);
        }
    }
    let nowhere = Place { deputy: deputy.clone(), path: "", routes: Vec::new() };
    let router = Router::new().fallback(at(nowhere));
    places.into_iter().fold(router, |router, (path, place)| router.route(&path, any(at(place))))
}

fn at(place: Place) -> impl Fn(Request) -> Later<'static, Response> + Clone + Send + Sync + 'static {
    let place = Arc::new(place);
    move |request| {
        let place = Arc::clone(&place);
        Box::pin(async move {
            let frame = around::Frame::open(&place.deputy, place.path, &request);
            let answer = place.answer(request, frame.id());
            frame.close(answer).await
        })
    }
}

/// One path and what answers there.
struct Place {
    deputy: Deputy,
    path: &'static str,
    routes: Vec<&'static Route>,
}

impl Place {
    async fn answer(&self, request: Request, id: &RequestId) -> Response {
        if let Err(problem) = head::check(request.headers()) {
            return error::rejected(&problem.into());
        }
        if self.routes.is_empty() {
            return error::not_found();
        }
        let Some(route) = self.routes.iter().find(|route| route.answers(request.method())) else {
            return error::method_not_allowed(&self.allow());
        };
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, &()).await;
        // A segment that is not UTF-8 names nothing; a path without segments has no params.
        let asked = Asked { deputy: &self.deputy, id, parts, body: Bytes::new(), params: params.ok() };
        match route.handler {
            Handler::Public(handler) => handler(asked).await,
            Handler::Client(names, handler) => client::answer(asked, body, names, handler).await,
            Handler::Operator(role, handler) => operator::answer(asked, body, role, handler).await,
        }
    }

    fn allow(&self) -> String {
        let mut methods: Vec<&str> = self.routes.iter().map(|route| route.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }
}
