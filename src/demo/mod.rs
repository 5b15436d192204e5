//! `deputy demo`: the story of a support agent, a billing agent and an injected instruction, with
//! real parts over loopback HTTP: an OpenID issuer, Deputy on SQLite, two MCP servers, two agents.
//! `deputy demo policy` goes on where that one ends: what a policy stops although it was delegated.
//! Deputy is started by the function that `serve` uses and is otherwise spoken to like a stranger.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use crate::cli::Story;

use self::{
    deputy::Deputy,
    issuer::{Issuer, IssuerError},
    scenes::Stage,
    setup::Admin,
    story::{Mood, Narrator},
    wire::Wire,
};

mod agent;
mod deputy;
pub mod issuer;
mod keep;
mod mcp_server;
mod policy;
mod scenes;
mod setup;
mod story;
mod trail;
mod wire;

/// What the command line says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave everything running at the end, and print requests to try.
    pub keep: bool,
    /// Which story.
    pub story: Story,
}

/// Why the story could not be told at all. A step that comes out wrong is not one of these.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No socket.
    #[error("cannot listen on loopback: {0}")]
    Listen(io::Error),
    /// No place for the database.
    #[error("cannot make a directory for the database: {0}")]
    Home(io::Error),
    /// Deputy did not come up.
    #[error("Deputy did not start: {0}")]
    Deputy(String),
    /// The identity provider failed.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// No HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Client(reqwest::Error),
    /// No answer.
    #[error("no answer from `{url}`: {source}")]
    Http {
        /// What was asked.
        url: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// The admin API refused something it must accept.
    #[error("`{request}` was answered {status}: {body}")]
    Refused {
        /// The request.
        request: String,
        /// The status.
        status: u16,
        /// The problem.
        body: String,
    },
    /// An answer lacks something.
    #[error("an answer of Deputy lacks `{member}`")]
    Missing {
        /// What it lacks.
        member: &'static str,
    },
    /// The gate before an MCP server cannot work.
    #[error(transparent)]
    Gate(#[from] deputy_client::error::SetupError),
    /// An MCP server does not answer over its pipe.
    #[error("the MCP server did not list its tools: {0}")]
    Mcp(String),
}

/// Tells the story on standard output. Success only if every step came out as it must.
pub async fn run(options: Options) -> ExitCode {
    let mut out = io::stdout();
    let colour = out.is_terminal();
    match tell(&mut out, colour, options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "deputy demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the story to `out`; whether every step came out as it must.
pub async fn tell(
    out: &mut (dyn Write + Send),
    colour: bool,
    options: Options,
) -> Result<bool, DemoError> {
    // A provider may be there already: one is as good as the other.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut narrator = Narrator::new(out, colour);
    narrator.title(match options.story {
        Story::Injection => "deputy demo: who is acting for whom, asked on every single call",
        Story::Policy => "deputy demo policy: what stays forbidden, whatever was delegated",
    });
    let issuer = Issuer::start("idp").await?;
    let deputy = Deputy::start().await?;
    let wire = Wire::new()?;
    let admin = Admin { wire, base: deputy.url(), token: deputy.admin_token()? };
    let cast = setup::stage(&admin, &issuer).await?;
    let mut stage = Stage { narrator, cast, issuer, admin };
    stage.playbill(&deputy.home());
    match options.story {
        Story::Injection => {
            if let Some(txn) = stage.tell().await? {
                stage.audit(&txn).await?;
            }
        }
        Story::Policy => stage.tell_of_policies().await?,
    }
    let perfect = stage.ending();
    if options.keep {
        stage.keep().await?;
    }
    drop(stage);
    deputy.stop().await;
    Ok(perfect)
}

impl Stage<'_> {
    /// The parts, and where they are.
    fn playbill(&mut self, home: &str) {
        let n = &mut self.narrator;
        n.gap();
        n.say("Every part is real and on this machine; they speak HTTP to each other:");
        let parts = [
            ("identity", self.issuer.url(), "OpenID issuer: discovery, rotating keys"),
            ("deputy", self.admin.base.clone(), "this program; SQLite"),
            ("tickets", self.cast.tickets.uri.clone(), "MCP server (rmcp): tickets.get"),
            (
                "refunds",
                self.cast.refunds.uri.clone(),
                "MCP server (rmcp): refunds.list, .export, .issue",
            ),
        ];
        for (label, url, what) in parts {
            n.row(Mood::Plain, label, &format!("{url:<36}{what}"));
        }
        n.row(Mood::Plain, "database", home);
        n.gap();
        n.say(
            "An administrator has registered them through the admin API: people of the group \
             `support` may read tickets and refunds; the support agent may work for them, and may \
             hand refund questions over to the billing agent.",
        );
    }

    fn ending(&mut self) -> bool {
        let n = &mut self.narrator;
        let (steps, wrong) = n.score();
        n.gap();
        let (mood, text) = if wrong == 0 {
            (Mood::Granted, format!("All {steps} steps came out as they must."))
        } else {
            (
                Mood::Warning,
                format!("{wrong} of {steps} steps came out differently: see `!! WRONG`."),
            )
        };
        n.row(mood, "the end", &text);
        wrong == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(story: Story) -> String {
        let mut out = Vec::new();
        let options = Options { story, ..Options::default() };
        let perfect = tell(&mut out, false, options).await;
        let page = String::from_utf8(out).unwrap();
        assert!(matches!(perfect, Ok(true)), "{perfect:?}\n{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
        page
    }

    #[tokio::test]
    async fn the_story_comes_out_as_it_must() {
        let page = told(Story::Injection).await;
        assert!(page.contains("DENIED     tool_not_delegated"), "{page}");
    }

    #[tokio::test]
    async fn the_story_of_policies_comes_out_as_it_must() {
        let page = told(Story::Policy).await;
        assert!(page.contains("DENIED     policy_forbids"), "{page}");
        assert!(page.contains("refund-limit  delegation/refunds.cedar:2"), "{page}");
    }
}
