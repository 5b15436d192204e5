//! What may be written on the command line. Reading only; nothing runs here.

mod documents;
mod lookups;
mod policies;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::{
    documents::{
        ChangeArgs, ClientArgs, ClientVerb, EdgeArgs, EdgeVerb, ImportArgs, IssuerArgs, IssuerVerb,
        ResourceArgs, ResourceVerb, SecretVerb, ToolVerb,
    },
    lookups::{
        AuditArgs, AuditVerb, DelegationArgs, DelegationVerb, EvidenceArgs, ExplainArgs, KeyVerb,
        OperatorVerb, RevokeVerb, SimulateArgs,
    },
    policies::{PolicyVerb, Since},
};
use crate::config::Overrides;

/// A delegation token service for AI agents and the MCP servers they call.
#[derive(Debug, Parser)]
#[command(name = "deputy", version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything that `deputy` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(ServerArgs),
    /// Tell a whole story on this machine, with real parts
    #[cfg(feature = "demo")]
    Demo {
        /// Which one
        #[arg(value_enum, default_value_t)]
        story: Story,
        /// Leave everything running at the end, and print requests to try
        #[arg(long)]
        keep: bool,
    },
    /// Bring the database schema up to date, then stop
    Migrate {
        /// Only say what would be done; the exit code is 0 if nothing
        #[arg(long)]
        check: bool,
        /// Where the database is.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print the configuration that holds, and where each value came from
    CheckConfig(ServerArgs),
    /// Everything that operators do, through the admin API.
    #[command(flatten)]
    Admin(AdminCommand),
}

/// The stories that there are.
#[cfg(feature = "demo")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Story {
    /// An injected agent is stopped, a chain is revoked
    #[default]
    Injection,
    /// A policy stops what was delegated: only watched first, then enforced, then gone back from
    Policy,
}

/// Settings of the server; each beats its variable, which beats the file.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerArgs {
    /// The configuration file
    #[arg(long, env = "DEPUTY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where clients reach Deputy
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// The address for clients
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// The address for operators
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<String>,
    /// `sqlite:FILE` or `postgres://…`
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// The directory of sealed keys
    #[arg(long, value_name = "DIRECTORY")]
    pub keys_dir: Option<String>,
    /// The database was restored from a backup: end everything that was issued before (once)
    #[arg(long)]
    pub restored: bool,
    /// `text` or `json`
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// `error`, `warn`, `info`, `debug` or `trace`
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl ServerArgs {
    /// The flags, for the configuration.
    pub fn overrides(self) -> Overrides {
        Overrides {
            public_url: self.public_url,
            listen: self.listen,
            admin_listen: self.admin_listen,
            database: self.database,
            keys_dir: self.keys_dir,
            log_format: self.log_format,
            log_level: self.log_level,
        }
    }
}

/// Where the admin API is, and how its answers are shown.
#[derive(Args, Clone, Debug)]
pub struct Connection {
    /// The address of the admin API
    #[arg(long, env = "DEPUTY_URL", default_value = "http://127.0.0.1:8420", global = true)]
    pub url: String,
    /// The file that holds the admin token; else `DEPUTY_ADMIN_TOKEN`, else keys/admin-token
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// Print the JSON of the answer
    #[arg(long, global = true)]
    pub json: bool,
}

/// A noun of the admin API.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Clients: agents, resource servers, or both
    Client(Noun<ClientVerb>),
    /// Resources: the protected servers
    Resource(Noun<ResourceVerb>),
    /// Tools of a resource
    Tool(Noun<ToolVerb>),
    /// Trusted issuers
    Issuer(Noun<IssuerVerb>),
    /// Edges: who may hand authority to whom
    Edge(Noun<EdgeVerb>),
    /// Policies in Cedar: what is forbidden although it is within every ceiling
    Policy(Noun<PolicyVerb>),
    /// Delegations: the tokens that were issued
    Delegation(Noun<DelegationVerb>),
    /// End delegations and bar their sources, before this command returns
    Revoke(RevokeNoun),
    /// Why a call was decided as it was: every step, and what would have been enough
    Explain(ExplainArgs),
    /// Whether a call would be allowed, without a token; exit code 1 if not
    Simulate(Box<SimulateArgs>),
    /// The audit log
    Audit(Noun<AuditVerb>),
    /// Our signing keys
    Key(Noun<KeyVerb>),
    /// Operators: who may use the admin API
    Operator(Noun<OperatorVerb>),
}

/// What to do with a noun.
#[derive(Args, Debug)]
pub struct Noun<V: Subcommand> {
    /// Where the admin API is.
    #[command(flatten)]
    pub connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub verb: V,
}

/// What to revoke, or only to look at.
#[derive(Args, Debug)]
pub struct RevokeNoun {
    /// End nothing: show which live delegations, users, agents and servers it would hit
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Where, and what.
    #[command(flatten)]
    pub noun: Noun<RevokeVerb>,
}

/// A whole document instead of flags.
#[derive(Args, Clone, Debug, Default)]
pub struct Whole {
    /// The document as JSON; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}
