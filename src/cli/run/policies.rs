//! Commands about policies.

use std::{path::Path, process::ExitCode};

use super::{Object, Request, Session, Trouble, Value, object};
use crate::{
    base::time::{Clock, Seconds},
    cli::{
        args::{PolicyVerb, Since},
        policies::{self, Folder},
        replayed, show,
    },
};

/// Where the active set is.
const ACTIVE: [&str; 1] = ["policies"];

impl Session<'_> {
    pub(super) async fn policy(&mut self, verb: PolicyVerb) -> Result<ExitCode, Trouble> {
        match verb {
            PolicyVerb::Show { number: None, texts } => self.show_policies(texts).await,
            PolicyVerb::Show { number: Some(version), .. } => self.show_version(version).await,
            PolicyVerb::Apply { dir } => return self.apply(&dir).await,
            PolicyVerb::Validate { dir } => return self.validate(&dir).await,
            PolicyVerb::Replay { dir, since, limit } => {
                return self.replay(&dir, since, limit).await;
            }
            PolicyVerb::History => self.list(&["policies", "versions"], show::versions).await,
            PolicyVerb::Diff { from, to } => self.difference(from, to).await,
            PolicyVerb::Rollback { to } => self.roll_back(to).await,
        }
        .map(|()| ExitCode::SUCCESS)
    }

    async fn show_policies(&mut self, texts: bool) -> Result<(), Trouble> {
        let answer = self.ask(Request::get(&ACTIVE)).await?;
        let set = object(&answer)?;
        if !self.shown_as_json(&answer) {
            self.out.line(&format!("version {}: {}", version(set), policies::counted(set)));
            policies::show(set, self.out);
            if texts {
                policies::show_texts(set, self.out);
            }
        }
        Ok(())
    }

    async fn show_version(&mut self, version: u64) -> Result<(), Trouble> {
        let answer =
            self.ask(Request::get(&["policies", "versions", &version.to_string()])).await?;
        let set = object(&answer)?;
        if !self.shown_as_json(&answer) {
            show::versions(std::slice::from_ref(&answer), self.out);
            policies::show_texts(set, self.out);
        }
        Ok(())
    }

    /// Reads the active set, so that it can be said what changes, and replaces that very version.
    async fn apply(&mut self, dir: &Path) -> Result<ExitCode, Trouble> {
        let folder = Folder::read(dir)?;
        let before = self.ask(Request::get(&ACTIVE)).await?;
        let before = object(&before)?;
        let mut draft = folder.draft();
        draft.insert("version", before.get("version").cloned().unwrap_or(Value::Null));
        let asked = self.ask(Request::put(&ACTIVE, draft)).await;
        let Some(answer) = self.unless_faulty(&folder, asked)? else {
            return Ok(ExitCode::FAILURE);
        };
        let after = object(&answer)?;
        if self.shown_as_json(&answer) {
            return Ok(ExitCode::SUCCESS);
        }
        for change in policies::changes(before, after) {
            self.out.line(&change);
        }
        policies::warnings(after, self.out);
        let state = if version(before) == version(after) { "still active" } else { "active" };
        let counted = policies::counted(after);
        self.out.line(&format!("version {} is {state}: {counted}", version(after)));
        Ok(ExitCode::SUCCESS)
    }

    async fn validate(&mut self, dir: &Path) -> Result<ExitCode, Trouble> {
        let folder = Folder::read(dir)?;
        let request = Request::post(&["policies", "validate"], Some(folder.draft()));
        let asked = self.ask(request).await;
        let Some(answer) = self.unless_faulty(&folder, asked)? else {
            return Ok(ExitCode::FAILURE);
        };
        let valid = object(&answer)?;
        if !self.shown_as_json(&answer) {
            policies::warnings(valid, self.out);
            self.out.line(&format!("valid: {}", policies::counted(valid)));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn replay(
        &mut self,
        dir: &Path,
        since: Option<Since>,
        limit: u16,
    ) -> Result<ExitCode, Trouble> {
        let folder = Folder::read(dir)?;
        let mut order = Object::new();
        order.insert("policies", folder.draft());
        order.insert("limit", i64::from(limit));
        if let Some(since) = since {
            order.insert(
                "since",
                match since {
                    Since::At(seconds) => seconds,
                    Since::Ago(seconds) => {
                        Clock::System.wall().minus(Seconds::new(seconds)).epoch_s()
                    }
                },
            );
        }
        let asked = self.ask(Request::post(&["policies", "replay"], Some(order))).await;
        let Some(answer) = self.unless_faulty(&folder, asked)? else {
            return Ok(ExitCode::FAILURE);
        };
        let replayed = object(&answer)?;
        if !self.shown_as_json(&answer) {
            replayed::show(replayed, self.out);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The answer, unless it is that the set has faults: those are shown, each with its line.
    fn unless_faulty(
        &mut self,
        folder: &Folder,
        asked: Result<Value, Trouble>,
    ) -> Result<Option<Value>, Trouble> {
        match asked {
            Ok(answer) => Ok(Some(answer)),
            Err(Trouble::Refused { errors, .. }) if errors.iter().any(|e| e.place.is_some()) => {
                for wrong in &errors {
                    folder.complain(wrong, self.out);
                }
                let noun = if errors.len() == 1 { "fault" } else { "faults" };
                let count = errors.len();
                self.out.trouble(&format!("deputy: {count} {noun}; nothing was changed"));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    async fn difference(&mut self, from: Option<u64>, to: Option<u64>) -> Result<(), Trouble> {
        let active = self.ask(Request::get(&ACTIVE)).await?;
        let active = object(&active)?;
        let newest = version(active);
        let to = to.unwrap_or(newest);
        let from = from.unwrap_or(to.saturating_sub(1));
        let before = self.texts_of(from, (newest, active)).await?;
        let after = self.texts_of(to, (newest, active)).await?;
        policies::difference((from, &before), (to, &after), self.out);
        Ok(())
    }

    async fn texts_of(
        &mut self,
        wanted: u64,
        (newest, active): (u64, &Object),
    ) -> Result<Object, Trouble> {
        if wanted == newest {
            return Ok(active.clone());
        }
        if wanted == 0 {
            return Ok(Object::new());
        }
        let answer = self.ask(Request::get(&["policies", "versions", &wanted.to_string()])).await?;
        object(&answer).cloned()
    }

    async fn roll_back(&mut self, to: Option<u64>) -> Result<(), Trouble> {
        let mut order = Object::new();
        if let Some(to) = to {
            order.insert("version", i64::try_from(to).unwrap_or(i64::MAX));
        }
        let answer = self.ask(Request::post(&["policies", "rollback"], Some(order))).await?;
        let set = object(&answer)?;
        if !self.shown_as_json(&answer) {
            self.out.line(&format!(
                "version {} is active, with the texts of version {}: {}",
                version(set),
                show::text(set, "rolled_back_to"),
                policies::counted(set)
            ));
        }
        Ok(())
    }
}

fn version(set: &Object) -> u64 {
    let version = set.get("version").and_then(Value::as_i64).unwrap_or_default();
    version.unsigned_abs()
}
