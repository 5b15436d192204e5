//! What operators ask about calls: why one was decided as it was, and how one would be.

use super::{Session, items_of, object};
use crate::{
    base::json::{Object, Value},
    cli::{
        api::{Request, Trouble},
        args::SimulateArgs,
        compose, explained,
    },
};

impl Session<'_> {
    /// Why a call was decided as it was.
    pub(super) async fn explain(&mut self, decision: &str) -> Result<(), Trouble> {
        let answer = self.ask(Request::get(&["decisions", decision])).await?;
        let explained = object(&answer)?;
        if !self.shown_as_json(&answer) {
            explained::decision(explained, self.out);
        }
        Ok(())
    }

    /// Whether a call would be allowed.
    pub(super) async fn simulate(&mut self, args: SimulateArgs) -> Result<bool, Trouble> {
        let issuer = match &args.issuer {
            Some(alias) => alias.clone(),
            None => self.only_alias().await?,
        };
        let question = compose::question(&args, &issuer)?;
        let answer = self.ask(Request::post(&["simulations"], Some(question))).await?;
        let simulated = object(&answer)?;
        if !self.shown_as_json(&answer) {
            explained::simulation(simulated, self.out);
        }
        Ok(simulated.get("allowed").and_then(Value::as_bool) == Some(true))
    }

    /// The alias of the only trusted issuer.
    async fn only_alias(&mut self) -> Result<String, Trouble> {
        let answer = self.ask(Request::get(&["issuers"])).await?;
        let alias = |issuer: &Value| text(issuer.as_object()?, "alias");
        let known: Vec<String> = items_of(&answer).iter().filter_map(alias).collect();
        match known.as_slice() {
            [only] => Ok(only.clone()),
            all => Err(Trouble::Usage(format!("name the --issuer: one of {}", all.join(", ")))),
        }
    }
}

fn text(object: &Object, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}
