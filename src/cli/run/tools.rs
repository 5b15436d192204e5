//! Commands about tools and about the changes that their servers make.

use super::{Object, Request, Session, Trouble, compose, object, show};
use crate::{
    cli::args::{ChangeArgs, ToolVerb},
    registry::change::Settlement,
};

impl Session<'_> {
    pub(super) async fn tool(&mut self, verb: ToolVerb) -> Result<(), Trouble> {
        match verb {
            ToolVerb::List { resource } => {
                self.list(&["resources", &resource, "tools"], show::tools).await
            }
            ToolVerb::Show { resource, name } => {
                self.show(&["resources", &resource, "tools", &name]).await
            }
            ToolVerb::Import(args) => {
                let body = compose::import(&args)?;
                let path = ["resources", &args.resource, "tools", "import"];
                let answer = self.ask(Request::post(&path, Some(body))).await?;
                if !self.shown_as_json(&answer) {
                    show::imported(object(&answer)?, self.out);
                }
                Ok(())
            }
            ToolVerb::Put { resource, name, whole } => {
                self.put(&["resources", &resource, "tools", &name], &whole).await
            }
            ToolVerb::Changes => self.list(&["tool-changes"], show::tool_changes).await,
            ToolVerb::Accept { change, with_older } => {
                let settlement =
                    if with_older { Settlement::AcceptWithOlder } else { Settlement::Accept };
                self.settle(&change, settlement).await
            }
            ToolVerb::Reject { change } => self.settle(&change, Settlement::Reject).await,
            ToolVerb::Enable { resource, name } => {
                self.switch(&["resources", &resource, "tools", &name], true).await
            }
            ToolVerb::Disable { resource, name } => {
                self.switch(&["resources", &resource, "tools", &name], false).await
            }
        }
    }

    async fn settle(&mut self, change: &ChangeArgs, settlement: Settlement) -> Result<(), Trouble> {
        let ChangeArgs { resource, name, digest } = change;
        let order: Object = [("digest", digest.as_str()), ("settlement", settlement.as_str())]
            .into_iter()
            .collect();
        let path = ["resources", resource, "tools", name, "change"];
        let answer = self.ask(Request::post(&path, Some(order))).await?;
        if !self.shown_as_json(&answer) {
            self.out.line(&format!("{resource} {name}: {}", settlement.as_str()));
        }
        Ok(())
    }
}
