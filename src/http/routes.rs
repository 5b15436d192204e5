//! Every route in one table, and the router as a fold over it. A handler's type says who may call
//! it, and only this fold makes the value it needs: no handler can forget to ask. What a handler
//! does, and what stands around every request, is not written here.

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    future::ready,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{RawPathParams, Request, rejection::RawPathParamsRejection},
    http::{Method, Uri, request::Parts},
    response::Response,
    routing::{MethodRouter, any},
};
use tower::Service;
use tower_http::cors::{self, CorsLayer};

use super::{
    admin,
    around::{Frame, RequestId},
    authzen, client, error,
    form::Names,
    head, health, introspect, metadata, revoke,
    serve::{Answers, Peer},
    token,
};
use crate::{
    registry::operator::Role,
    service::{Deputy, Failure},
};

/// An answer that is being made.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One operation.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method. `GET` answers `HEAD` too.
    pub method: Method,
    /// Its path as axum writes it, except that [`ISSUER`] stands for the issuer's path.
    pub path: Cow<'static, str>,
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
    /// Anybody, web pages of any origin included: documents without a secret in them.
    Document(for<'a> fn(Asked<'a>) -> Later<'a, Response>),
    /// A client that presents credentials in a form with these parameters. Whether they are good
    /// is the service's to say: it takes nothing without a `Caller`.
    Client(&'static Names, for<'a> fn(client::Asked<'a>) -> Later<'a, Result<Response, Failure>>),
    /// A client that presents credentials in `Authorization` with a JSON body.
    Gateway(for<'a> fn(client::JsonAsked<'a>) -> Later<'a, Result<Response, Failure>>),
    /// An operator, through the gate of the admin API.
    Operator(&'static admin::Route),
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// A client with its credentials and a form.
    Client,
    /// A client with its credentials and JSON.
    Gateway,
    /// An operator of at least this role.
    Operator(Role),
}

/// A request, as a handler gets it: its body beside it, for those that read one.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The service.
    pub deputy: &'a Deputy,
    /// The request's name in the log.
    pub id: &'a RequestId,
    /// Its head.
    pub parts: &'a Parts,
    /// Where it came from. No header is asked: anybody can write one.
    pub peer: &'a Peer,
    /// The segments that the path has names for; `None` if one is not UTF-8.
    pub params: Option<&'a RawPathParams>,
}

impl Asked<'_> {
    /// A segment of the path, percent-decoded; empty if the route has none of that name.
    pub fn param(&self, name: &str) -> &str {
        let mut params = self.params.into_iter().flatten();
        params.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The address that it came from.
    pub fn source(&self) -> IpAddr {
        self.peer.0.ip().to_canonical()
    }
}

impl Route {
    /// Who may call it.
    pub const fn access(&self) -> Access {
        match self.handler {
            Handler::Public(_) | Handler::Document(_) => Access::Public,
            Handler::Client(..) => Access::Client,
            Handler::Gateway(_) => Access::Gateway,
            Handler::Operator(route) => Access::Operator(match route.access {
                admin::Access::Read => Role::Auditor,
                admin::Access::Change => Role::Admin,
            }),
        }
    }

    /// Its path where the issuer lives at `issuer_path`.
    pub fn path_under(&self, issuer_path: &str) -> String {
        self.path.replace(ISSUER, issuer_path)
    }

    fn of_admin(route: &'static admin::Route) -> Route {
        Route {
            method: route.method.clone(),
            path: Cow::Owned(format!("{}{}", admin::PREFIX, route.path)),
            operation: route.operation,
            handler: Handler::Operator(route),
        }
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
    pub fn routes(self) -> Vec<Route> {
        let admin = || admin::ROUTES.iter().map(Route::of_admin);
        let mut routes = HEALTH.to_vec();
        match self {
            Side::Both => {
                routes.extend_from_slice(PROTOCOL);
                routes.extend(admin());
            }
            Side::Protocol => routes.extend_from_slice(PROTOCOL),
            Side::Admin => routes.extend(admin()),
        }
        routes
    }

    /// Whether unknown paths of the admin API are answered in its manner.
    const fn has_admin(self) -> bool {
        matches!(self, Side::Both | Side::Admin)
    }
}

/// For the machines that look after us.
pub const HEALTH: &[Route] = &[
    Route {
        method: Method::GET,
        path: Cow::Borrowed("/health/live"),
        operation: "getLiveness",
        handler: Handler::Public(|asked| Box::pin(ready(health::live(&asked)))),
    },
    Route {
        method: Method::GET,
        path: Cow::Borrowed("/health/ready"),
        operation: "getReadiness",
        handler: Handler::Public(|asked| Box::pin(health::ready(asked))),
    },
];

/// The protocol.
pub const PROTOCOL: &[Route] = &[
    Route {
        method: Method::POST,
        path: Cow::Borrowed("{issuer}/token"),
        operation: "token",
        handler: Handler::Client(&token::NAMES, |asked| Box::pin(token::token(asked))),
    },
    Route {
        method: Method::POST,
        path: Cow::Borrowed("{issuer}/introspect"),
        operation: "introspect",
        handler: Handler::Client(&introspect::NAMES, |asked| {
            Box::pin(introspect::introspect(asked))
        }),
    },
    Route {
        method: Method::POST,
        path: Cow::Borrowed("{issuer}/revoke"),
        operation: "revoke",
        handler: Handler::Client(&revoke::NAMES, |asked| Box::pin(revoke::revoke(asked))),
    },
    Route {
        method: Method::GET,
        path: Cow::Borrowed("{issuer}/jwks"),
        operation: "getJwks",
        handler: Handler::Document(|asked| Box::pin(ready(metadata::jwks(&asked)))),
    },
    Route {
        method: Method::GET,
        path: Cow::Borrowed("{issuer}/authorize"),
        operation: "authorize",
        handler: Handler::Public(|asked| Box::pin(ready(metadata::authorize(&asked)))),
    },
    // MD-1: the same document at every place where a client may look for it.
    Route {
        method: Method::GET,
        path: Cow::Borrowed("/.well-known/oauth-authorization-server{issuer}"),
        operation: "getAuthorizationServerMetadata",
        handler: Handler::Document(|asked| Box::pin(ready(metadata::authorization_server(&asked)))),
    },
    Route {
        method: Method::GET,
        path: Cow::Borrowed("/.well-known/openid-configuration{issuer}"),
        operation: "getOpenidConfigurationInserted",
        handler: Handler::Document(|asked| Box::pin(ready(metadata::authorization_server(&asked)))),
    },
    Route {
        method: Method::GET,
        path: Cow::Borrowed("{issuer}/.well-known/openid-configuration"),
        operation: "getOpenidConfiguration",
        handler: Handler::Document(|asked| Box::pin(ready(metadata::authorization_server(&asked)))),
    },
    Route {
        method: Method::GET,
        path: Cow::Borrowed("/resources/{id}/oauth-protected-resource"),
        operation: "getProtectedResourceMetadata",
        handler: Handler::Document(|asked| Box::pin(ready(metadata::protected_resource(&asked)))),
    },
    Route {
        method: Method::POST,
        path: Cow::Borrowed("/access/v1/evaluation"),
        operation: "evaluate",
        handler: Handler::Gateway(|asked| Box::pin(authzen::evaluation(asked))),
    },
    Route {
        method: Method::POST,
        path: Cow::Borrowed("/access/v1/evaluations"),
        operation: "evaluateSeveral",
        handler: Handler::Gateway(|asked| Box::pin(authzen::evaluations(asked))),
    },
    Route {
        method: Method::GET,
        path: Cow::Borrowed("/.well-known/authzen-configuration"),
        operation: "getAuthzenConfiguration",
        handler: Handler::Document(|asked| Box::pin(ready(authzen::configuration(&asked)))),
    },
];

/// What answers at one listener.
#[derive(Clone)]
pub struct Doors(Arc<Inside>);

struct Inside {
    /// Where clients ask for every call: found by their whole path, without a router's work.
    asked_often: HashMap<String, Arc<Place>>,
    router: Router,
}

impl Doors {
    /// The doors of one side.
    pub fn of(deputy: &Deputy, side: Side) -> Doors {
        let places = places(deputy, side);
        let often = places.iter().filter(|(_, place)| place.is_asked_often());
        let asked_often = often.map(|(path, place)| (path.clone(), Arc::clone(place))).collect();
        Doors(Arc::new(Inside { asked_often, router: router(deputy, places) }))
    }

    fn routed(&self, peer: Peer, mut request: Request) -> Later<'static, Response> {
        request.extensions_mut().insert(peer);
        let answered = self.0.router.clone().call(request);
        Box::pin(async move { answered.await.unwrap_or_else(|never| match never {}) })
    }
}

impl Answers for Doors {
    fn answer(&self, peer: Peer, request: Request) -> impl Future<Output = Response> + Send {
        let often = self.0.asked_often.get(request.uri().path());
        match often.filter(|_| *request.method() == Method::POST) {
            Some(place) => Arc::clone(place).serve(peer, None, request),
            None => self.routed(peer, request),
        }
    }
}

/// The places of one side, by their paths as axum writes them.
fn places(deputy: &Deputy, side: Side) -> BTreeMap<String, Arc<Place>> {
    let issuer_path = &deputy.options().issuer_path;
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for route in side.routes() {
        let path = route.path_under(issuer_path);
        let place = places.entry(path).or_insert_with_key(|path| Place::new(deputy, path));
        // An issuer at the root has two of its well-known places at one path.
        if !place.routes.iter().any(|known| known.method == route.method) {
            place.routes.push(route);
        }
    }
    if side.has_admin() {
        let nowhere = format!("{}/{{*nowhere}}", admin::PREFIX);
        places.insert(nowhere.clone(), Place::new(deputy, &nowhere));
    }
    places.into_iter().map(|(path, place)| (path, Arc::new(place))).collect()
}

fn router(deputy: &Deputy, places: BTreeMap<String, Arc<Place>>) -> Router {
    let mut router = Router::new().fallback_service(at(Arc::new(Place::new(deputy, NOWHERE))));
    for (path, place) in places {
        let cors = place.is_document().then(cors);
        let answers = at(place);
        let answers = match cors {
            Some(cors) => answers.layer(cors),
            None => answers,
        };
        router = router.route(&path, answers);
    }
    router
}

/// What web pages may do with a document: read it, sending whatever header they like (MCP clients
/// send `MCP-Protocol-Version`, which a browser asks about first). Nothing else has CORS.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(cors::Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers(cors::Any)
        .max_age(PREFLIGHT_AGE)
}

/// How long a browser need not ask again.
const PREFLIGHT_AGE: Duration = Duration::from_hours(1);

/// What the log says in place of a path that no route has.
const NOWHERE: &str = "-";

fn at(place: Arc<Place>) -> MethodRouter {
    type Params = Result<RawPathParams, RawPathParamsRejection>;
    any(move |Extension(peer): Extension<Peer>, params: Params, request| {
        Arc::clone(&place).serve(peer, params.ok(), request)
    })
}

/// One path and what answers there.
struct Place {
    deputy: Deputy,
    path: String,
    routes: Vec<Route>,
}

impl Place {
    fn new(deputy: &Deputy, path: &str) -> Place {
        Place { deputy: deputy.clone(), path: path.to_owned(), routes: Vec::new() }
    }

    /// Answers with all that stands around a request.
    ///
    /// Not an async function: such a one holds what it is given twice, as it came and as it is used,
    /// and so do those that it calls. A request would carry, and copy, kilobytes.
    fn serve(
        self: Arc<Self>,
        peer: Peer,
        params: Option<RawPathParams>,
        request: Request,
    ) -> Later<'static, Response> {
        let (parts, body) = request.into_parts();
        Box::pin(async move {
            let frame = Frame::open(self.deputy.random(), &self.path, &parts);
            let (deputy, id, params) = (&self.deputy, frame.id(), params.as_ref());
            let asked = Asked { deputy, id, parts: &parts, peer: &peer, params };
            let answer = pin!(self.answer(&asked, body));
            frame.close(answer).await
        })
    }

    async fn answer(&self, asked: &Asked<'_>, body: Body) -> Response {
        let parts = asked.parts;
        if let Err(problem) = head::check(&parts.headers) {
            return self.rejected(&problem.into());
        }
        let Some(route) = self.routes.iter().find(|route| route.answers(&parts.method)) else {
            return self.refuse(&parts.uri);
        };
        match route.handler {
            Handler::Public(handler) | Handler::Document(handler) => handler(*asked).await,
            Handler::Client(names, handler) => client::answer(asked, body, names, handler).await,
            Handler::Gateway(handler) => client::answer_json(asked, body, handler).await,
            // Seldom, and large: the others' requests would carry the room for it along.
            Handler::Operator(route) => Box::pin(admin::answer(asked, body, route)).await,
        }
    }

    fn rejected(&self, problem: &error::Rejected) -> Response {
        if self.routes.iter().any(|route| matches!(route.handler, Handler::Gateway(_))) {
            error::message::rejected(problem)
        } else {
            error::rejected(problem)
        }
    }

    fn is_asked_often(&self) -> bool {
        let asks =
            |route: &Route| matches!(route.handler, Handler::Client(..) | Handler::Gateway(_));
        !self.path.contains('{') && self.routes.iter().any(asks)
    }

    fn is_document(&self) -> bool {
        self.routes.iter().any(|route| matches!(route.handler, Handler::Document(_)))
    }

    fn refuse(&self, uri: &Uri) -> Response {
        let is_admin = self.path.starts_with(admin::PREFIX);
        match (self.routes.is_empty(), is_admin) {
            (true, false) => error::not_found(),
            (false, false) => error::method_not_allowed(&self.allow()),
            (true, true) => admin::not_found(uri),
            (false, true) => admin::method_not_allowed(&self.allow()),
        }
    }

    fn allow(&self) -> String {
        let methods = self.routes.iter().map(|route| route.method.as_str());
        let mut methods: Vec<&str> = methods.collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }
}
