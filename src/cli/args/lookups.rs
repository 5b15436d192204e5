//! What operators look up and end: delegations, revocations, the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Connection;

/// What to do with delegations.
#[derive(Debug, Subcommand)]
pub enum DelegationVerb {
    /// List them, newest first
    List(DelegationArgs),
    /// Show one with its claims
    Show {
        /// Its id, which is the token's `jti`
        id: String,
    },
    /// End one with everything below it
    Revoke {
        /// Its id
        id: String,
    },
}

/// Which delegations.
#[derive(Args, Clone, Debug, Default)]
pub struct DelegationArgs {
    /// For this user: the `sub` at the issuer
    #[arg(long, value_name = "SUB")]
    pub user: Option<String>,
    /// The user's issuer; may be left out where only one is trusted
    #[arg(long, value_name = "URL", requires = "user")]
    pub issuer: Option<String>,
    /// Held by this client
    #[arg(long)]
    pub client: Option<String>,
    /// Of this transaction
    #[arg(long)]
    pub transaction: Option<String>,
    /// Grown directly from this one
    #[arg(long)]
    pub parent: Option<String>,
    /// Only those that are worth something now
    #[arg(long)]
    pub live: bool,
    /// How many
    #[arg(long, default_value_t = 50)]
    pub limit: u16,
    /// Go on from here: what the last list said
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

/// What to revoke.
#[derive(Debug, Subcommand)]
pub enum RevokeVerb {
    /// One delegation with everything below it
    Delegation {
        /// Its id
        id: String,
    },
    /// Everything grown from one user token through one agent
    Transaction {
        /// Its id
        id: String,
    },
    /// Everything for one user
    User {
        /// The `sub` at the issuer
        sub: String,
        /// The user's issuer; may be left out where only one is trusted
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
    },
    /// Everything that one agent stands in
    Agent {
        /// The client id
        id: String,
    },
    /// Everything for one resource
    Resource {
        /// Its id
        id: String,
    },
    /// Every authority over one tool
    Tool {
        /// The resource's id
        resource: String,
        /// The tool
        name: String,
    },
    /// Everything for the users of one issuer
    Issuer {
        /// Its exact `iss`
        issuer: String,
    },
    /// Everything that was ever issued; nobody need log in again
    Everything,
}

/// Which decision.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// Where the admin API is.
    #[command(flatten)]
    pub connection: Connection,
    /// The decision's id: `decision.id` of the answer, or of `deputy audit list`
    pub decision: String,
}

/// What is supposed.
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Where the admin API is.
    #[command(flatten)]
    pub connection: Connection,
    /// The user: the `sub` at the issuer
    #[arg(long, value_name = "SUB")]
    pub user: String,
    /// The alias of the user's issuer; may be left out where only one is trusted
    #[arg(long, value_name = "ALIAS")]
    pub issuer: Option<String>,
    /// What the user's token would say besides, such as `{"groups":["support"],"scope":"assist"}`
    #[arg(long, value_name = "JSON")]
    pub claims: Option<String>,
    /// The user would bring an ID token instead of an access token
    #[arg(long)]
    pub id_token: bool,
    /// An agent; repeat it for each, in the order in which they come in
    #[arg(long = "agent", value_name = "CLIENT", required = true)]
    pub agents: Vec<String>,
    /// The resource's id
    #[arg(long)]
    pub resource: String,
    /// The tool
    #[arg(long)]
    pub tool: String,
    /// The arguments of the call
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub arguments: String,
    /// What the agents ask for; else exactly this call
    #[arg(long, value_name = "JSON")]
    pub details: Option<String>,
    /// The scopes that the last agent asks for
    #[arg(long)]
    pub scope: Option<String>,
}

/// What to do with operators.
#[derive(Debug, Subcommand)]
pub enum OperatorVerb {
    /// List all, without their tokens
    List,
    /// Make one; its token is shown once
    Create {
        /// A name for good: the audit log knows it by that
        name: String,
        /// `admin` may do everything, `auditor` reads everything and changes nothing
        #[arg(long)]
        role: String,
    },
    /// Give one a new token, shown once; the old one opens nothing any more
    Token {
        /// Its name
        name: String,
    },
    /// End one at once
    End {
        /// Its name
        name: String,
    },
}

/// What to do with our signing keys.
#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// List the published ones
    List,
    /// Make the next one: published at once, signing ten minutes later
    Rotate,
    /// Seal all of them under the key-encryption key that `kek_from` names: then the other one can go
    Reseal,
    /// Take a key that others may have out at once, and end everything that was ever issued
    Retire {
        /// Which: its `kid`
        kid: String,
        /// Only say what that would end
        #[arg(long)]
        dry_run: bool,
    },
}

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// List events, newest first
    List(Box<AuditArgs>),
    /// Prove that nobody touched it: every hash chain, against every signed checkpoint
    Verify(EvidenceArgs),
    /// Write it out as JSON lines that prove themselves, with `verify --file`, where no server is
    Export {
        /// To this file; to standard output otherwise
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Without names and values that lead to a person
        #[arg(long)]
        without_persons: bool,
    },
    /// Destroy what leads to a person; every chain still holds
    Erase {
        /// The `sub` at the issuer
        #[arg(long, value_name = "SUB")]
        user: String,
        /// The user's issuer; may be left out where only one is trusted
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// Only say what that would destroy
        #[arg(long)]
        dry_run: bool,
    },
    /// Sign how far it is now, and print that: noted elsewhere, it shows later that nothing before it
    /// was rewritten
    Checkpoint,
}

/// Where the audit log is, and what an auditor knows already.
#[derive(Args, Clone, Debug, Default)]
pub struct EvidenceArgs {
    /// Read an export instead of asking a server
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The signing keys, as a JWK Set that came by another way; otherwise those in the file
    #[arg(long, value_name = "FILE", requires = "file")]
    pub keys: Option<PathBuf>,
    /// A checkpoint that was noted earlier: the log must have it
    #[arg(long, value_name = "FILE", requires = "file")]
    pub checkpoint: Option<PathBuf>,
}

/// Which events.
#[derive(Args, Clone, Debug, Default)]
pub struct AuditArgs {
    /// For this user: the `sub` at the issuer
    #[arg(long, value_name = "SUB")]
    pub user: Option<String>,
    /// The user's issuer; may be left out where only one is trusted
    #[arg(long, value_name = "URL", requires = "user")]
    pub issuer: Option<String>,
    /// Asked by this client
    #[arg(long)]
    pub client: Option<String>,
    /// With this agent anywhere in the chain
    #[arg(long)]
    pub agent: Option<String>,
    /// About this tool
    #[arg(long)]
    pub tool: Option<String>,
    /// Of this transaction
    #[arg(long)]
    pub transaction: Option<String>,
    /// `exchange`, `decision`, `revocation`, `configuration`, `inquiry` or `unauthenticated`
    #[arg(long)]
    pub kind: Option<String>,
    /// `granted` or `refused`
    #[arg(long)]
    pub outcome: Option<String>,
    /// The id that an answer told its caller to quote
    #[arg(long)]
    pub error_id: Option<String>,
    /// The id of a decision
    #[arg(long)]
    pub decision: Option<String>,
    /// Not earlier than this, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    pub since: Option<i64>,
    /// How many
    #[arg(long, default_value_t = 50)]
    pub limit: u16,
    /// Go on from here: what the last list said
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}
