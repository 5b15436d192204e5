//! Policies: kept as files in a repository, put into force together.

use std::path::PathBuf;

use clap::Subcommand;

/// A moment, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So many seconds before now.
    Ago(u32),
    /// Seconds since 1970.
    At(i64),
}

impl Since {
    fn parse(text: &str) -> Result<Since, String> {
        let units = [('m', 60_u32), ('h', 3_600), ('d', 86_400)];
        let unit = units.iter().find_map(|(unit, s)| Some((text.strip_suffix(*unit)?, s)));
        let since = match unit {
            Some((number, seconds)) => {
                number.parse::<u32>().ok().and_then(|n| n.checked_mul(*seconds)).map(Since::Ago)
            }
            None => text.parse().ok().map(Since::At),
        };
        since.ok_or_else(|| "write `90m`, `24h`, `7d`, or seconds since 1970".to_owned())
    }
}

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
    /// What the policies of a directory would have changed about recorded decisions
    Replay {
        /// The directory
        dir: PathBuf,
        /// No decision that is older: `90m`, `24h`, `7d`, or seconds since 1970
        #[arg(long, value_name = "TIME", value_parser = Since::parse)]
        since: Option<Since>,
        /// At most so many decisions, the newest
        #[arg(long, default_value_t = 1_000)]
        limit: u16,
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
        /// Which version; the one before the active one unless said otherwise, so that twice is there
        /// and back again
        #[arg(long, value_name = "VERSION")]
        to: Option<u64>,
    },
}
