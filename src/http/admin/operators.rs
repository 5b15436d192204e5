//! Who may use this API.

use super::{Answered, Asked, PREFIX, Reply};
use crate::{
    base::{compose::ObjectWriter, id::OperatorName},
    registry::operator::Operator,
    service::{Deputy, admin::NewToken},
};

/// All operators, without their tokens.
pub fn list(deputy: &Deputy) -> Reply {
    let all: Vec<String> = deputy.operators().iter().map(|one| summary(one).finish()).collect();
    Reply::list(&all, None)
}

/// A new operator; its token is in this answer and in no other.
pub async fn create(deputy: Deputy, asked: Asked) -> Answered {
    let new = deputy.create_operator(&asked.operator, &asked.body).await?;
    let place = format!("{PREFIX}/operators/{}", new.operator.name);
    Ok(Reply::ok(with_token(&new)).created(place))
}

/// A new token for an operator; the old one opens nothing any more.
pub async fn replace_token(deputy: Deputy, asked: Asked) -> Answered {
    let name = asked.id("name", OperatorName::parse)?;
    let new = deputy.replace_operator_token(&asked.operator, &name).await?;
    Ok(Reply::ok(with_token(&new)))
}

/// Ends an operator at once.
pub async fn end(deputy: Deputy, asked: Asked) -> Answered {
    let name = asked.id("name", OperatorName::parse)?;
    deputy.end_operator(&asked.operator, &name).await?;
    Ok(Reply::done())
}

fn with_token(new: &NewToken) -> String {
    summary(&new.operator).text("admin_token", new.token.expose()).finish()
}

fn summary(operator: &Operator) -> ObjectWriter {
    ObjectWriter::new()
        .text("name", operator.name.as_str())
        .text("role", operator.role.as_str())
        .flag("enabled", operator.enabled)
}
