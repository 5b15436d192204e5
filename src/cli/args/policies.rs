//! Policies: kept as files in a repository, put into force together.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do with policies. A directory of them has `delegation/*.cedar`, `access/*.cedar` and
/// `access/schema.cedarschema`, or some of it.
#[derive(Debug, Subcommand)]
pub enum PolicyVerb {
    /// Show the active policies
    Show {
        /// Another version than the active one, with its texts
        #[arg(value_name = "VERSION")]
        number: Option<u64>,
        /// The texts too
        #[arg(long)]
        texts: bool,
    },
    /// Put the policies of a directory into force, in the place of all that are active
    Apply {
        /// The directory
        dir: PathBuf,
    },
    /// Whether the policies of a directory would validate; nothing is changed
    Validate {
        /// The directory
        dir: PathBuf,
    },
    /// List the versions, newest first
    History,
    /// Show what is different between two versions
    Diff {
        /// The older one; the one before the active one unless said otherwise
        from: Option<u64>,
        /// The newer one; the active one unless said otherwise
        to: Option<u64>,
    },
    /// Put the texts of an earlier version into force
    Rollback {
        /// Which version; the one before the active one unless said otherwise
        #[arg(long, value_name = "VERSION")]
        to: Option<u64>,
    },
}
