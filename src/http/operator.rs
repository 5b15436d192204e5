//! Letting operators in: a bearer token, a role, and only then the body.

use axum::{body::Body, http::HeaderMap, response::Response};

use super::{
    error::{self, Stranger},
    head::{self, Authorization},
    routes::{Asked, Later},
    serve::body::{BODY_WAIT, read_body},
};
use crate::{
    base::secret::Fingerprint,
    engine::snapshot::{Operator, Role},
    service::Deputy,
};

/// Bytes of a document: room for the `tools/list` of a large MCP server.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Lets `handler` answer an operator of at least `role`.
pub async fn answer(
    mut asked: Asked<'_>,
    body: Body,
    role: Role,
    handler: for<'a> fn(Asked<'a>, Operator) -> Later<'a, Response>,
) -> Response {
    let operator = match operator(asked.deputy, &asked.parts.headers, role) {
        Ok(operator) => operator,
        Err(stranger) => return error::stranger(stranger),
    };
    asked.body = match read_body(body, DOCUMENT_BYTES_MAX, BODY_WAIT).await {
        Ok(body) => body,
        Err(problem) => return error::rejected_operator(&problem.into()),
    };
    handler(asked, operator).await
}

fn operator(deputy: &Deputy, headers: &HeaderMap, role: Role) -> Result<Operator, Stranger> {
    let token = match head::authorization(headers) {
        Ok(Authorization::Bearer(token)) => token,
        Ok(Authorization::None) => return Err(Stranger::Absent),
        Ok(Authorization::Basic { .. } | Authorization::Other) | Err(_) => {
            return Err(Stranger::Wrong);
        }
    };
    let snapshot = deputy.snapshot();
    let operator = snapshot.config.operator(&Fingerprint::of(token.expose().as_bytes()));
    let operator = operator.ok_or(Stranger::Wrong)?;
    if may(operator.role, role) { Ok(operator.clone()) } else { Err(Stranger::Role) }
}

/// Whether somebody with the role `has` may do what `needs` may.
const fn may(has: Role, needs: Role) -> bool {
    match (has, needs) {
        (Role::Admin, Role::Admin | Role::Auditor) | (Role::Auditor, Role::Auditor) => true,
        (Role::Auditor, Role::Admin) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_may_read_and_not_change() {
        assert!(may(Role::Admin, Role::Admin));
        assert!(may(Role::Admin, Role::Auditor));
        assert!(may(Role::Auditor, Role::Auditor));
        assert!(!may(Role::Auditor, Role::Admin));
    }
}
