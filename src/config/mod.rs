//! Configuration: the file, the environment and the flags become one checked [`Settings`].
//!
//! Every problem is reported, not only the first, and each says which key, what is wrong and what
//! to write instead. Nothing here opens a socket, a database or a key.

mod explain;
mod sources;
#[cfg(test)]
mod tests;
mod values;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

pub use self::{
    explain::explain,
    values::{DatabaseUrl, Kek, LogFormat, LogLevel, PublicUrl},
};
use self::{
    sources::{Origin, Sources},
    values::Bad,
};

/// The commented file that holds every default; `deputy check-config --default` prints it.
pub const DEFAULT_FILE: &str = include_str!("deputy.toml");

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8420);
const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8421);

/// Everything an operator decides. Immutable once loaded; each layer gets its own options from it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The base of every URL handed out; no trailing slash, query or fragment.
    pub public_url: PublicUrl,
    /// Appended to `public_url` to form the issuer; begins with a slash, does not end with one.
    pub issuer_path: String,
    /// The address for clients.
    pub listen: SocketAddr,
    /// The address for admins; `None`: `listen` serves them too.
    pub admin_listen: Option<SocketAddr>,
    /// The database, with its password.
    pub database: DatabaseUrl,
    /// The directory of sealed keys and of the revocation epoch.
    pub keys_dir: PathBuf,
    /// Where the key-encryption key comes from.
    pub kek: Kek,
    /// Where another one comes from that opens and does not seal.
    pub kek_beside: Option<Kek>,
    /// Whether trusted issuers may be on loopback and without TLS.
    pub allow_loopback_issuers: bool,
    /// Certificates that vouch for issuers besides the system's: a PEM file.
    pub trusted_roots: Option<PathBuf>,
    /// Days that a signing key signs before the next one is made; 0 for ever.
    pub rotate_keys_days: u32,
    /// How many days the audit log is kept; 0 for ever.
    pub keep_audit_days: u32,
    /// Bounds on what strangers can make us hold or wait for.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
    origins: Vec<(&'static str, Origin)>,
}

impl Settings {
    /// Our issuer: the claim `iss` of every token we issue.
    pub fn issuer(&self) -> String {
        format!("{}{}", self.public_url, self.issuer_path)
    }
}

/// Bounds of the listeners; times in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: u32,
    /// For the head of a request to arrive.
    pub head_timeout_s: u32,
    /// From a request's head to its answer.
    pub request_timeout_s: u32,
    /// Between two requests.
    pub idle_timeout_s: u32,
    /// For requests in flight when stopping.
    pub drain_s: u32,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The shape of a line.
    pub format: LogFormat,
    /// The least severe level that is logged.
    pub level: LogLevel,
}

/// What flags said; a flag wins over a variable, a variable over the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--public-url`
    pub public_url: Option<String>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--admin-listen`
    pub admin_listen: Option<String>,
    /// `--database`
    pub database: Option<String>,
    /// `--keys-dir`
    pub keys_dir: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
    /// `--log-level`
    pub log_level: Option<String>,
}

/// One thing that is wrong with the configuration. Never quotes a value that may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigProblem {
    /// The key, or the file when no key is to blame.
    pub key: String,
    /// Where the value stands: a line of the file, a variable, a flag.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}): {}; {}", self.key, self.place, self.problem, self.cure)
    }
}

/// Reads `path` (no file when `None`), then the variables `DEPUTY_*` through `env`, then the flags.
/// An empty variable counts as unset.
pub fn load(
    path: Option<&Path>,
    env: impl Fn(&str) -> Option<String>,
    overrides: Overrides,
) -> Result<Settings, Vec<ConfigProblem>> {
    let mut reader = Reader { sources: Sources::new(env, overrides), ..Reader::default() };
    if let Some(path) = path {
        reader.problems = reader.sources.add_file(path);
    }
    reader.settings()
}

#[derive(Default)]
struct Reader {
    sources: Sources,
    problems: Vec<ConfigProblem>,
    origins: Vec<(&'static str, Origin)>,
}

impl Reader {
    fn settings(mut self) -> Result<Settings, Vec<ConfigProblem>> {
        let listen = self.take("listen", values::address).unwrap_or(DEFAULT_LISTEN);
        let public_url = self.public_url(listen);
        let loopback = public_url.is_loopback();
        let admin_listen = self.admin_listen(listen);
        let issuer_path = self.take("issuer_path", values::issuer_path);
        let database = self.take("database", DatabaseUrl::parse).unwrap_or_default();
        let keys_dir = self.take("keys_dir", values::path).unwrap_or_else(|| "keys".into());
        let kek = self.take("kek_from", Kek::parse).unwrap_or(Kek::KeysDir);
        let kek_beside = self.take("kek_beside_from", Kek::parse_given);
        let allow_loopback_issuers =
            self.take("allow_loopback_issuers", values::flag).unwrap_or(loopback);
        let trusted_roots = self.take("trusted_roots", values::path);
        let rotate_keys_days =
            self.take("rotate_keys_days", |text| values::whole(text, 0, 3_650)).unwrap_or(30);
        let keep_audit_days = self.take("keep_audit_days", values::keep_days).unwrap_or(0);
        let limits = self.limits();
        let log = Log {
            format: self.take("log.format", LogFormat::parse).unwrap_or(LogFormat::Text),
            level: self.take("log.level", LogLevel::parse).unwrap_or(LogLevel::Info),
        };
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Settings {
            public_url,
            issuer_path: issuer_path.unwrap_or_else(|| "/oauth2".to_owned()),
            listen,
            admin_listen,
            database,
            keys_dir,
            kek,
            kek_beside,
            allow_loopback_issuers,
            trusted_roots,
            rotate_keys_days,
            keep_audit_days,
            limits,
            log,
            origins: self.origins,
        })
    }

    fn limits(&mut self) -> Limits {
        let mut whole = |key, low, high, default| {
            self.take(key, |text| values::whole(text, low, high)).unwrap_or(default)
        };
        Limits {
            connections: whole("limits.connections", 1, 1_000_000, 10_000),
            head_timeout_s: whole("limits.head_timeout_s", 1, 60, 10),
            request_timeout_s: whole("limits.request_timeout_s", 1, 300, 30),
            idle_timeout_s: whole("limits.idle_timeout_s", 1, 3_600, 75),
            drain_s: whole("limits.drain_s", 0, 300, 10),
        }
    }

    /// Set, or following `listen` where that cannot mislead: a loopback address with a known port.
    fn public_url(&mut self, listen: SocketAddr) -> PublicUrl {
        let given = self.sources.find("public_url").is_some();
        if !given && (!listen.ip().is_loopback() || listen.port() == 0) {
            self.problems.push(ConfigProblem {
                key: "public_url".to_owned(),
                place: "not set".to_owned(),
                problem: format!("nothing says how clients reach `{listen}`"),
                cure: "write the URL clients use, such as `https://deputy.example.com`".to_owned(),
            });
        }
        self.take("public_url", PublicUrl::parse).unwrap_or_else(|| PublicUrl::of(listen))
    }

    /// Admin routes never appear on a public address unless that is said in so many words.
    fn admin_listen(&mut self, listen: SocketAddr) -> Option<SocketAddr> {
        match self.take("admin_listen", values::address) {
            Some(same) if same == listen => None,
            Some(other) => Some(other),
            None if listen.ip().is_loopback() => None,
            None => Some(DEFAULT_ADMIN_LISTEN),
        }
    }

    /// The value of `key` where it is set and right; what is wrong is remembered.
    fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Bad>,
    ) -> Option<T> {
        let Some(found) = self.sources.find(key) else {
            self.origins.push((key, Origin::Default));
            return None;
        };
        match parse(&found.text) {
            Ok(value) => {
                self.origins.push((key, found.origin));
                Some(value)
            }
            Err(Bad { problem, cure }) => {
                let place = found.origin.to_string();
                self.problems.push(ConfigProblem { key: key.to_owned(), place, problem, cure });
                None
            }
        }
    }
}
