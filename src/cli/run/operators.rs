//! Operators: who may use the admin API.

use super::{Request, Session, Trouble, show};
use crate::{base::json::Object, cli::args::OperatorVerb};

impl Session<'_> {
    pub(super) async fn operator(&mut self, verb: OperatorVerb) -> Result<(), Trouble> {
        match verb {
            OperatorVerb::List => {
                let answer = self.ask(Request::get(&["operators"])).await?;
                self.page(&answer, show::operators);
            }
            OperatorVerb::Create { name, role } => {
                let mut body = Object::new();
                body.insert("name", name);
                body.insert("role", role);
                let made = self.ask(Request::post(&["operators"], Some(body))).await?;
                self.secret(&made, "name", "admin_token");
            }
            OperatorVerb::Token { name } => {
                let made = self.ask(Request::post(&["operators", &name, "token"], None)).await?;
                self.secret(&made, "name", "admin_token");
            }
            OperatorVerb::End { name } => {
                self.ask(Request::delete(&["operators", &name])).await?;
                self.say(&format!("ended the operator {name}"));
            }
        }
        Ok(())
    }
}
