//! One request of an operator, read: who asks, the names in the path, the query, the body.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header::IF_MATCH},
};

use super::{Access, Problem, Route};
use crate::{
    base::{id::NotAnId, secret::Secret},
    http::{
        form::{Form, Names},
        head::{self, Authorization},
        routes,
        serve::body::{self, BODY_WAIT},
    },
    registry::operator::{Operator, Role},
    service::{
        Deputy,
        admin::{DocumentPage, Expected},
    },
    store::{Cursor, Page},
};

/// Items of a page unless the caller says otherwise.
const LIMIT_DEFAULT: u16 = 100;

/// A request of an operator who may make it.
#[derive(Debug)]
pub struct Asked {
    /// Who asks.
    pub operator: Operator,
    /// The body; empty where the route reads none.
    pub body: Bytes,
    path: Vec<(String, String)>,
    query: Vec<(&'static str, String)>,
    expected: Expected,
}

impl Asked {
    /// Reads a request. The operator is known before the body is read, so that a stranger costs
    /// nothing.
    pub(super) async fn read(
        asked: &routes::Asked<'_>,
        body: Body,
        route: &'static Route,
    ) -> Result<Asked, Problem> {
        let routes::Asked { deputy, parts, .. } = *asked;
        head::check(&parts.headers).map_err(|e| Problem::malformed(e.to_string()))?;
        deputy.coherent().await?;
        let operator = operator(deputy, route, &parts.headers)?;
        let path = path(asked)?;
        let query = query(route, parts.uri.query().unwrap_or_default())?;
        let expected = expected(&parts.headers)?;
        let body = match route.body_max {
            None => Bytes::new(),
            Some(limit) => {
                json_only(&parts.headers)?;
                body::read_body(body, limit, BODY_WAIT).await?
            }
        };
        Ok(Asked { operator, body, path, query, expected })
    }

    /// A name in the path, as text.
    pub fn name(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// A name in the path that must be an id; nothing else can be found.
    pub fn id<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, NotAnId>,
    ) -> Result<T, Problem> {
        let text = self.name(name);
        parse(text).map_err(|_| Problem::missing(&format!("`{text}`")))
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter that must be of some form.
    pub fn filter<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let parsed = self.query(name).map(parse).transpose();
        parsed.map_err(|e| Problem::parameter(name, e.to_string()))
    }

    /// The version that the caller means to replace.
    pub const fn expected(&self) -> Expected {
        self.expected
    }

    /// The page of a list in order of id.
    pub fn document_page(&self) -> Result<DocumentPage, Problem> {
        let after = self.query("after").map(str::to_owned);
        Ok(DocumentPage { after, limit: usize::from(self.limit()?) })
    }

    /// The page of a list in order of time.
    pub fn page(&self) -> Result<Page, Problem> {
        let cursor = |text: &str| Cursor::parse(text).ok_or("must be the `next` of another page");
        Ok(Page { after: self.filter("after", cursor)?, limit: self.limit()? })
    }

    /// How many items a page may have.
    pub fn limit(&self) -> Result<u16, Problem> {
        let most = Page::LIMIT_MAX;
        let read = |text: &str| {
            let limit = text.parse::<u16>().ok().filter(|limit| (1..=most).contains(limit));
            limit.ok_or_else(|| format!("must be a whole number from 1 to {most}"))
        };
        Ok(self.filter("limit", read)?.unwrap_or(LIMIT_DEFAULT))
    }
}

fn operator(deputy: &Deputy, route: &Route, headers: &HeaderMap) -> Result<Operator, Problem> {
    let token: Secret<String> = match head::authorization(headers) {
        Ok(Authorization::Bearer(token)) => token,
        Ok(Authorization::None | Authorization::Basic { .. } | Authorization::Other) | Err(_) => {
            return Err(Problem::unauthenticated());
        }
    };
    let operator = deputy.operator(&token).ok_or_else(Problem::unauthenticated)?;
    match (route.access, operator.role) {
        (Access::Read, Role::Admin | Role::Auditor) | (Access::Change, Role::Admin) => Ok(operator),
        (Access::Change, Role::Auditor) => {
            deputy.journal_forbidden(&operator, route.operation);
            Err(Problem::forbidden())
        }
    }
}

fn path(asked: &routes::Asked<'_>) -> Result<Vec<(String, String)>, Problem> {
    let params = asked.params;
    let params = params.ok_or_else(|| Problem::malformed("the path is not UTF-8".to_owned()))?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn query(route: &Route, text: &str) -> Result<Vec<(&'static str, String)>, Problem> {
    let names = Names { once: route.query, many: &[] };
    let form =
        Form::parse(text.as_bytes(), &names).map_err(|e| Problem::malformed(e.to_string()))?;
    if form.unknown() > 0 {
        let known = if route.query.is_empty() {
            "this operation has none".to_owned()
        } else {
            format!("they are `{}`", route.query.join("`, `"))
        };
        return Err(Problem::malformed(format!("an unknown query parameter: {known}")));
    }
    let value = |name: &&'static str| Some((*name, form.get(name)?.to_owned()));
    Ok(route.query.iter().filter_map(value).collect())
}

/// RFC 9110 section 13.1.1: `If-Match` compares strongly, so that a weak tag never matches.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(Expected::Any) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Expected::Any);
    }
    let version = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = version.and_then(|digits| digits.parse().ok());
    version.map(Expected::Version).ok_or_else(|| {
        Problem::malformed(
            "`If-Match` must be one ETag as it was answered, such as `\"3\"`".to_owned(),
        )
    })
}

fn json_only(headers: &HeaderMap) -> Result<(), Problem> {
    let content = head::content_type(headers).map_err(|e| Problem::malformed(e.to_string()))?;
    if content.is_some_and(|content| content.is_json()) {
        return Ok(());
    }
    Err(Problem::media_type())
}
