//! The documents that operators keep: clients, resources, tools, issuers, edges. Simple ones fit in
//! flags; every one can be given whole with `--file`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Whole;

/// What to do with clients.
#[derive(Debug, Subcommand)]
pub enum ClientVerb {
    /// List all
    List,
    /// Show one as it is stored
    Show {
        /// Such as `cl_support-agent`
        id: String,
    },
    /// Create one; its secret is shown once
    Create(ClientArgs),
    /// Replace one by a document
    Put {
        /// The client id
        id: String,
        /// The document.
        #[command(flatten)]
        whole: Whole,
    },
    /// Let it work again
    Enable {
        /// The client id
        id: String,
    },
    /// Stop it, and every chain it stands in
    Disable {
        /// The client id
        id: String,
    },
    /// List, add and delete secrets
    #[command(subcommand)]
    Secret(SecretVerb),
}

/// A client in flags.
#[derive(Args, Clone, Debug, Default)]
pub struct ClientArgs {
    /// The client id, such as `cl_support-agent`
    #[arg(required_unless_present = "file")]
    pub id: Option<String>,
    /// A name for people
    #[arg(long)]
    pub name: Option<String>,
    /// `client_secret_basic`, `client_secret_post` or `private_key_jwt`
    #[arg(long, value_name = "METHOD")]
    pub auth_method: Option<String>,
    /// The file with its public keys, a JWK Set, for `private_key_jwt`
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    pub jwks: Option<PathBuf>,
    /// Where it publishes its public keys, for `private_key_jwt`
    #[arg(long, value_name = "URL")]
    pub jwks_uri: Option<String>,
    /// Takes from it what older clients sign: the token endpoint as audience, and an hour's life
    #[arg(long)]
    pub legacy_assertions: bool,
    /// It gets tokens that are bound to its key (DPoP), and no others
    #[arg(long)]
    pub dpop_bound: bool,
    /// A gateway: it may ask AuthZEN questions without a token, under the access policies
    #[arg(long)]
    pub asks_without_token: bool,
    /// What signed introspection answers to it are signed with: `ES256`, `RS256` or `Ed25519`
    #[arg(long, value_name = "ALG")]
    pub introspection_alg: Option<String>,
    /// Makes it an agent with this URI, such as `urn:agent:support`
    #[arg(long, value_name = "URI")]
    pub agent_uri: Option<String>,
    /// The most it may do for people: `RESOURCE=SCOPE[,SCOPE…][#TOOL,…]`; repeat
    #[arg(long, value_name = "ENTRY", requires = "agent_uri")]
    pub allow: Vec<String>,
    /// The most it may do for itself, written as in `--allow`; repeat
    #[arg(long, value_name = "ENTRY", requires = "agent_uri")]
    pub allow_own: Vec<String>,
    /// The document.
    #[command(flatten)]
    pub whole: Whole,
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretVerb {
    /// List the live ones, without the secrets
    List {
        /// The client id
        id: String,
    },
    /// Add one; it is shown once
    Add {
        /// The client id
        id: String,
    },
    /// End one at once
    Delete {
        /// The client id
        id: String,
        /// The credential id
        credential: String,
    },
}

/// What to do with resources.
#[derive(Debug, Subcommand)]
pub enum ResourceVerb {
    /// List all
    List,
    /// Show one as it is stored
    Show {
        /// Its id
        id: String,
    },
    /// Create one
    Create(ResourceArgs),
    /// Replace one by a document
    Put {
        /// Its id
        id: String,
        /// The document.
        #[command(flatten)]
        whole: Whole,
    },
    /// Let it be a target again
    Enable {
        /// Its id
        id: String,
    },
    /// Stop every token for it
    Disable {
        /// Its id
        id: String,
    },
}

/// A resource in flags.
#[derive(Args, Clone, Debug, Default)]
pub struct ResourceArgs {
    /// Its short name, such as `refunds`
    #[arg(required_unless_present = "file")]
    pub id: Option<String>,
    /// Its canonical URI: the `aud` of its tokens
    #[arg(long)]
    pub uri: Option<String>,
    /// The client that asks about tokens for it
    #[arg(long, value_name = "CLIENT")]
    pub owner: Option<String>,
    /// A name for people
    #[arg(long)]
    pub name: Option<String>,
    /// A scope that it has; repeat
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// `call` (it asks about every call) or `scope`
    #[arg(long)]
    pub enforces: Option<String>,
    /// The longest life of its tokens, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub ttl: Option<i64>,
    /// Who checks the proofs of bound tokens: `no`, `itself` or `deputy`
    #[arg(long, value_name = "WHO")]
    pub dpop: Option<String>,
    /// What its tokens are signed with: `ES256`, `RS256` or `Ed25519`
    #[arg(long, value_name = "ALG")]
    pub token_alg: Option<String>,
    /// A denial may say which scope is missing, also of tools that do more than read
    #[arg(long)]
    pub step_up_hints: bool,
    /// It also accepts tokens without asking
    #[arg(long)]
    pub verifies_offline: bool,
    /// The document.
    #[command(flatten)]
    pub whole: Whole,
}

/// What to do with tools.
#[derive(Debug, Subcommand)]
pub enum ToolVerb {
    /// List the tools of a resource
    List {
        /// The resource's id
        resource: String,
    },
    /// Show one as it is stored
    Show {
        /// The resource's id
        resource: String,
        /// The tool
        name: String,
    },
    /// Take in what a server lists
    Import(ImportArgs),
    /// Create or replace one by a document
    Put {
        /// The resource's id
        resource: String,
        /// The tool
        name: String,
        /// The document.
        #[command(flatten)]
        whole: Whole,
    },
    /// Show what servers changed and nobody has accepted yet
    Changes,
    /// Accept a change: the tool can be delegated again
    Accept {
        /// The change.
        #[command(flatten)]
        change: ChangeArgs,
        /// The change is harmless: what was delegated before stays good
        #[arg(long)]
        with_older: bool,
    },
    /// Refuse a change: the tool stays as it was accepted, turned off
    Reject {
        /// The change.
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Let it be called again
    Enable {
        /// The resource's id
        resource: String,
        /// The tool
        name: String,
    },
    /// Deny every call of it
    Disable {
        /// The resource's id
        resource: String,
        /// The tool
        name: String,
    },
}

/// A change that waits, as `deputy tool changes` shows it.
#[derive(Args, Clone, Debug)]
pub struct ChangeArgs {
    /// The resource's id
    pub resource: String,
    /// The tool
    pub name: String,
    /// The digest that was shown: what you looked at is what you decide
    #[arg(long)]
    pub digest: String,
}

/// An import in flags.
#[derive(Args, Clone, Debug, Default)]
pub struct ImportArgs {
    /// The resource's id
    pub resource: String,
    /// The server's answer to `tools/list`; `-` reads standard input
    #[arg(long, value_name = "FILE", required_unless_present = "file", conflicts_with = "file")]
    pub tools: Option<PathBuf>,
    /// What a tool needs and does: `TOOL=EFFECT:SCOPE[,SCOPE…]`; repeat
    #[arg(long, value_name = "ASSIGNMENT")]
    pub assign: Vec<String>,
    /// Arguments whose values go on record with each call: `TOOL=POINTER[,POINTER…]`, none after
    /// the `=` to keep none; what is not said stays as it is; repeat
    #[arg(long, value_name = "KEEP", conflicts_with = "file")]
    pub keep: Vec<String>,
    /// A tool to leave out; repeat
    #[arg(long, value_name = "TOOL")]
    pub skip: Vec<String>,
    /// The document.
    #[command(flatten)]
    pub whole: Whole,
}

/// What to do with issuers.
#[derive(Debug, Subcommand)]
pub enum IssuerVerb {
    /// List all
    List,
    /// Show one as it is stored
    Show {
        /// Its alias
        alias: String,
    },
    /// Register one
    Create(IssuerArgs),
    /// Replace one by a document
    Put {
        /// Its alias
        alias: String,
        /// The document.
        #[command(flatten)]
        whole: Whole,
    },
    /// Trust it again
    Enable {
        /// Its alias
        alias: String,
    },
    /// Stop everything that grew from its tokens
    Disable {
        /// Its alias
        alias: String,
    },
}

/// An issuer in flags; grant rules need a document.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct IssuerArgs {
    /// The exact `iss` of its tokens
    #[arg(required_unless_present = "file")]
    pub issuer: Option<String>,
    /// Its short name; fixed from now on
    #[arg(long)]
    pub alias: Option<String>,
    /// Its subjects keep their own `sub`; fixed from now on
    #[arg(long)]
    pub primary: bool,
    /// Where its keys are, if not found by discovery
    #[arg(long, value_name = "URL")]
    pub jwks_uri: Option<String>,
    /// Accept access tokens with this audience; repeat
    #[arg(long, value_name = "AUDIENCE")]
    pub audience: Vec<String>,
    /// Accept ID tokens
    #[arg(long)]
    pub id_tokens: bool,
    /// The client id of one of our agents there: `CLIENT=THEIRS`; repeat
    #[arg(long, value_name = "PAIR")]
    pub agent: Vec<String>,
    /// Any of our agents may present its access tokens
    #[arg(long)]
    pub any_agent: bool,
    /// What its tokens are worth, whoever they are about: written as `--allow` of a client; repeat
    #[arg(long, value_name = "ENTRY")]
    pub grant: Vec<String>,
    /// The scope that an access token must carry for the grants to hold
    #[arg(long, value_name = "SCOPE", requires = "grant", conflicts_with = "any_scope")]
    pub foreign_scope: Option<String>,
    /// The grants hold whatever scope an access token carries
    #[arg(long, requires = "grant")]
    pub any_scope: bool,
    /// The document.
    #[command(flatten)]
    pub whole: Whole,
}

/// What to do with edges.
#[derive(Debug, Subcommand)]
pub enum EdgeVerb {
    /// List all
    List,
    /// Show one as it is stored
    Show {
        /// Who hands over
        from: String,
        /// Who receives
        to: String,
    },
    /// Create or replace one
    Put(EdgeArgs),
    /// Let authority through again
    Enable {
        /// Who hands over
        from: String,
        /// Who receives
        to: String,
    },
    /// Let nothing through
    Disable {
        /// Who hands over
        from: String,
        /// Who receives
        to: String,
    },
}

/// An edge in flags.
#[derive(Args, Clone, Debug, Default)]
pub struct EdgeArgs {
    /// Who hands over
    pub from: String,
    /// Who receives
    pub to: String,
    /// The most that may be handed over, written as `--allow` of a client; repeat
    #[arg(long, value_name = "ENTRY")]
    pub allow: Vec<String>,
    /// An effect that may be handed over; `read` and `write` unless said otherwise; repeat
    #[arg(long, value_name = "EFFECT", value_delimiter = ',')]
    pub effect: Vec<String>,
    /// The most actors of a chain that passes, the receiver included
    #[arg(long, value_name = "ACTORS")]
    pub max_depth: Option<i64>,
    /// The longest life of what is handed over
    #[arg(long, value_name = "SECONDS")]
    pub max_ttl: Option<i64>,
    /// The document.
    #[command(flatten)]
    pub whole: Whole,
}
