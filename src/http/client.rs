//! How a client presents itself: with a form in `Authorization` or in the body, one way only; with
//! JSON in `Authorization` alone.
//! Whether its credentials are good is the service's to say.

#[cfg(test)]
mod tests;

use axum::{
    body::{Body, Bytes},
    http::HeaderMap,
    response::Response,
};

use super::{
    error::{self, Rejected},
    form::{Form, Names},
    head::{self, Authorization},
    routes::{self, Later},
    serve::body::{BODY_BYTES_MAX, BODY_WAIT, read_body},
};
use crate::{
    base::secret::Secret,
    engine::authenticate::{ClientRefusal, PresentedAssertion, PresentedClient, PresentedSecret},
    model::client::AuthMethod,
    service::{Deputy, Failure, token::Caller},
};

/// A client's request, as a handler gets it. Has no `Debug`: forms carry secrets.
pub struct Asked<'a> {
    /// The service.
    pub deputy: &'a Deputy,
    /// Who asks: unproved.
    pub caller: Caller,
    /// What it asks.
    pub form: Form<'a>,
    /// The head of its request.
    pub headers: &'a HeaderMap,
}

/// Reads the form, finds the client's credentials and lets `handler` answer.
pub async fn answer(
    asked: &routes::Asked<'_>,
    body: Body,
    names: &'static Names,
    handler: for<'a> fn(Asked<'a>) -> Later<'a, Result<Response, Failure>>,
) -> Response {
    let read = read(asked, body).await;
    let read = read.as_deref().map_err(Clone::clone).and_then(|body| {
        Ok((Form::parse(body, names)?, head::authorization(&asked.parts.headers)?))
    });
    let (form, authorization) = match read {
        Ok(read) => read,
        Err(problem) => return error::rejected(&problem),
    };
    // RFC 6749 section 5.2: challenge only who tried this way.
    let challenged = !matches!(authorization, Authorization::None);
    let caller = Caller { presented: presented(authorization, &form), source: asked.source() };
    let headers = &asked.parts.headers;
    let answer = handler(Asked { deputy: asked.deputy, caller, form, headers }).await;
    answer.unwrap_or_else(|failure| error::failure(&failure, challenged, asked.id))
}

/// A client's JSON request, as a handler gets it. Has no `Debug`: bodies carry tokens.
pub struct JsonAsked<'a> {
    /// The service.
    pub deputy: &'a Deputy,
    /// Who asks: unproved.
    pub caller: Caller,
    /// What it asks: nothing is parsed yet.
    pub body: Bytes,
}

/// Reads the body, finds the client's credentials and lets `handler` answer. There is no place for
/// a secret in such a body, so only HTTP Basic can succeed.
pub async fn answer_json(
    asked: &routes::Asked<'_>,
    body: Body,
    handler: for<'a> fn(JsonAsked<'a>) -> Later<'a, Result<Response, Failure>>,
) -> Response {
    let read = async {
        let content_type = head::content_type(&asked.parts.headers)?;
        if !content_type.is_some_and(|content_type| content_type.is_json()) {
            return Err(Rejected::NotJson);
        }
        let authorization = head::authorization(&asked.parts.headers)?;
        Ok((read_body(body, BODY_BYTES_MAX, BODY_WAIT).await?, authorization))
    };
    let (body, authorization) = match read.await {
        Ok(read) => read,
        Err(problem) => return error::message::rejected(&problem),
    };
    let presented = match authorization {
        Authorization::None => Err(ClientRefusal::Absent),
        Authorization::Bearer(_) | Authorization::Other => Err(ClientRefusal::Wrong),
        Authorization::Basic { id, secret } => Ok(PresentedClient::Secret(PresentedSecret {
            id,
            secret,
            method: AuthMethod::ClientSecretBasic,
        })),
    };
    let caller = Caller { presented, source: asked.source() };
    let answer = handler(JsonAsked { deputy: asked.deputy, caller, body }).await;
    answer.unwrap_or_else(|failure| error::message::failure(&failure, asked.id))
}

async fn read(asked: &routes::Asked<'_>, body: Body) -> Result<Bytes, Rejected> {
    // TE-9. No parameter of ours may stand there, so nothing may.
    if asked.parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Rejected::Query);
    }
    if !is_form(&asked.parts.headers)? {
        return Err(Rejected::NotAForm);
    }
    Ok(read_body(body, BODY_BYTES_MAX, BODY_WAIT).await?)
}

fn is_form(headers: &HeaderMap) -> Result<bool, Rejected> {
    Ok(head::content_type(headers)?.is_some_and(|content_type| content_type.is_form()))
}

/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Finds the one set of credentials. RFC 6749 section 2.3: not more than one method.
fn presented(
    authorization: Authorization,
    form: &Form<'_>,
) -> Result<PresentedClient, ClientRefusal> {
    let id = form.get("client_id");
    let secret = form.get("client_secret");
    let assertion = form.get("client_assertion");
    let kind = form.get("client_assertion_type");
    let asserts = assertion.is_some() || kind.is_some();
    match (authorization, id, secret, asserts) {
        (Authorization::None, id, None, true) => match (assertion, kind) {
            (Some(jwt), Some(ASSERTION_TYPE)) => {
                let jwt = Secret::new(jwt.to_owned());
                let id = id.map(str::to_owned);
                Ok(PresentedClient::Assertion(PresentedAssertion { jwt, id }))
            }
            (Some(_) | None, Some(_) | None) => Err(ClientRefusal::Wrong),
        },
        (Authorization::None, Some(id), Some(secret), false) => {
            Ok(PresentedClient::Secret(PresentedSecret {
                id: id.to_owned(),
                secret: Secret::new(secret.to_owned()),
                method: AuthMethod::ClientSecretPost,
            }))
        }
        (Authorization::None, _, _, false) => Err(ClientRefusal::Absent),
        (_, _, Some(_), _) | (_, _, _, true) => Err(ClientRefusal::TwoMethods),
        (Authorization::Basic { id, secret }, beside, None, false) => {
            if beside.is_some_and(|beside| beside != id) {
                return Err(ClientRefusal::Contradiction);
            }
            let method = AuthMethod::ClientSecretBasic;
            Ok(PresentedClient::Secret(PresentedSecret { id, secret, method }))
        }
        (Authorization::Bearer(_) | Authorization::Other, _, None, false) => {
            Err(ClientRefusal::Wrong)
        }
    }
}
