//! The values: text in, a checked type or a problem with its cure out. No file, no variable.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// What is wrong with a value and what to write instead.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) problem: String,
    pub(super) cure: String,
}

fn bad<T>(problem: impl Into<String>, cure: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { problem: problem.into(), cure: cure.into() })
}

/// The base of every URL we hand out, such as `https://deputy.example.com`: http or https, no
/// user, query, fragment or trailing slash, lower case, https unless the host is loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    loopback: bool,
}

impl PublicUrl {
    /// The URL without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the host is `localhost` or a loopback address: development.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    pub(super) fn of(listen: SocketAddr) -> PublicUrl {
        PublicUrl { text: format!("http://{listen}"), loopback: listen.ip().is_loopback() }
    }

    pub(super) fn parse(text: &str) -> Result<PublicUrl, Bad> {
        const CURE: &str = "write a URL such as `https://deputy.example.com`";
        let Some((scheme, rest)) = text.split_once("://") else {
            return bad(format!("`{text}` is not a URL"), CURE);
        };
        if scheme != "http" && scheme != "https" {
            return bad(format!("`{scheme}` is not http or https"), CURE);
        }
        // Never quoted below this line before it is known to hold no password.
        if rest.contains(['@', '?', '#']) {
            return bad("it has a user, a query or a fragment", CURE);
        }
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(slash).unwrap_or((rest, ""));
        if text.ends_with('/') {
            return bad("it ends in a slash", "leave the slash out");
        }
        if !path.is_empty() && !is_path(path) {
            return bad(format!("`{path}` is not a plain path"), CURE);
        }
        let Some(host) = host_of(authority) else {
            return bad(
                format!("`{authority}` is not a lower-case host with an optional port"),
                CURE,
            );
        };
        let loopback = host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if scheme == "http" && !loopback {
            return bad(
                format!("tokens would cross the network to `{host}` in the clear"),
                "write https, or a loopback address for development",
            );
        }
        Ok(PublicUrl { text: text.to_owned(), loopback })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`; `None` for anything else.
fn host_of(authority: &str) -> Option<&str> {
    if authority.starts_with('[') {
        let end = authority.find(']')?.checked_add(1)?;
        let (host, port) = authority.split_at_checked(end)?;
        let inner = host.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<std::net::Ipv6Addr>().ok()?;
        return (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(host);
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p)));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    let labels = host.split('.').all(|l| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-'));
    let right = host.len() <= 253 && host.bytes().all(plain) && labels;
    (right && port.is_none_or(is_port)).then_some(host)
}

fn is_port(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse::<u16>().is_ok()
}

/// `/a/b`: non-empty segments of unreserved characters, none of them `.` or `..`.
fn is_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(plain);
    text.len() <= 128 && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

/// A path below `public_url` that no other endpoint uses.
pub(super) fn issuer_path(text: &str) -> Result<String, Bad> {
    const CURE: &str = "write a path such as `/oauth2`";
    const TAKEN: [&str; 8] = [
        ".well-known",
        "access",
        "admin",
        "console",
        "forward-auth",
        "health",
        "metrics",
        "resources",
    ];
    if !is_path(text) {
        return bad(format!("`{text}` is not a plain path without a trailing slash"), CURE);
    }
    let first = text.split('/').nth(1).unwrap_or_default();
    if TAKEN.contains(&first) {
        return bad(format!("`/{first}` belongs to other endpoints"), CURE);
    }
    Ok(text.to_owned())
}

/// `IP:PORT`.
pub(super) fn address(text: &str) -> Result<SocketAddr, Bad> {
    let cure = "write an IP address and a port, such as `127.0.0.1:8420`";
    text.parse().or_else(|_| bad(format!("`{text}` is not an address to listen on"), cure))
}

/// A path of the file system.
pub(super) fn path(text: &str) -> Result<PathBuf, Bad> {
    if text.is_empty() { bad("the path is empty", "write a path") } else { Ok(text.into()) }
}

/// `true` or `false`.
pub(super) fn flag(text: &str) -> Result<bool, Bad> {
    text.parse().or_else(|_| bad(format!("`{text}` is neither"), "write `true` or `false`"))
}

/// A whole number from `low` to `high`.
pub(super) fn whole(text: &str, low: u32, high: u32) -> Result<u32, Bad> {
    match text.parse() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => bad(
            format!("`{text}` is out of range or not a number"),
            format!("write a whole number from {low} to {high}"),
        ),
    }
}

/// How many days something is kept: 0 for ever, else longer than what it is explained by.
pub(super) fn keep_days(text: &str) -> Result<u32, Bad> {
    match text.parse() {
        Ok(days @ (0 | 8..=36_500)) => Ok(days),
        _ => bad(
            format!("`{text}` is out of range or not a number"),
            "write 0 for ever, or a whole number of days from 8 to 36500",
        ),
    }
}

/// The URL of the database. Printed without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole URL, password included, for the one line that connects.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(text: &str) -> Result<DatabaseUrl, Bad> {
        const CURE: &str = "write `sqlite:deputy.db` or `postgres://USER:PASSWORD@HOST/DATABASE`";
        let sqlite = text.strip_prefix("sqlite:").map(|file| file.trim_start_matches("//"));
        let postgres =
            text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        match (sqlite, postgres) {
            (Some(""), _) => bad("it names no file", CURE),
            (Some(file), _) if file.starts_with(":memory:") || file.contains("mode=memory") => {
                bad("revocations would be forgotten at every start", "name a file")
            }
            (None, Some("")) => bad("it names no server", CURE),
            (None, None) => bad("it is neither SQLite nor PostgreSQL", CURE),
            _ => Ok(DatabaseUrl(text.to_owned())),
        }
    }
}

impl Default for DatabaseUrl {
    fn default() -> DatabaseUrl {
        DatabaseUrl("sqlite:deputy.db".to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    /// Scheme, user, host and database; passwords, also in the query, become `…`. A `@` anywhere
    /// hides all before it but the user: rather too much than a piece of a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str(&self.0) };
        let Some((login, place)) = rest.rsplit_once('@') else {
            return write_place(f, &format!("{scheme}://"), rest);
        };
        let user = login.split([':', '?', '/']).next().unwrap_or_default();
        let secret = if user.len() < login.len() { ":…" } else { "" };
        write_place(f, &format!("{scheme}://{user}{secret}@"), place)
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, before: &str, place: &str) -> fmt::Result {
    let (base, query) = place.split_once('?').map_or((place, None), |(b, q)| (b, Some(q)));
    write!(f, "{before}{base}")?;
    for (position, pair) in query.into_iter().flat_map(|q| q.split('&')).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mark = if position == 0 { '?' } else { '&' };
        let value = if name.contains("pass") { "…" } else { value };
        write!(f, "{mark}{name}={value}")?;
    }
    Ok(())
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Where the key that seals the others comes from. The key itself is never configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kek {
    /// A file in `keys_dir`, made on first start.
    KeysDir,
    /// A variable of this name.
    Env(String),
    /// A mounted file.
    File(PathBuf),
}

impl Kek {
    pub(super) fn parse(text: &str) -> Result<Kek, Bad> {
        let variable = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        match text.split_once(':') {
            None if text == "keys_dir" => Ok(Kek::KeysDir),
            Some(("env", name)) if !name.is_empty() && name.bytes().all(variable) => {
                Ok(Kek::Env(name.to_owned()))
            }
            Some(("file", file)) if !file.is_empty() => Ok(Kek::File(file.into())),
            // Not quoted: someone may have written the key itself.
            _ => bad(
                "it names no source of the key",
                "write `keys_dir`, `env:VARIABLE` or `file:PATH`; never the key itself",
            ),
        }
    }
}

impl Kek {
    /// The same where there is no such file by itself.
    pub(super) fn parse_given(text: &str) -> Result<Kek, Bad> {
        match Kek::parse(text)? {
            Kek::KeysDir => bad(
                "the key in the keys directory is the one that seals",
                "write `env:VARIABLE` or `file:PATH`; never the key itself",
            ),
            given => Ok(given),
        }
    }
}

impl fmt::Display for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kek::KeysDir => f.write_str("keys_dir"),
            Kek::Env(name) => write!(f, "env:{name}"),
            Kek::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

macro_rules! words { ($($(#[$doc:meta])* $name:ident, $cure:literal {
    $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*
})*) => { $(
    $(#[$doc])*
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum $name { $($(#[$variant_doc])* $variant,)* }

    impl $name {
        /// The word that the configuration uses.
        pub const fn as_str(self) -> &'static str {
            match self { $($name::$variant => $text,)* }
        }

        pub(super) fn parse(text: &str) -> Result<$name, Bad> {
            match text {
                $($text => Ok($name::$variant),)*
                _ => bad(format!("`{text}` is none of them"), $cure),
            }
        }
    }
)* } }

words! {
    /// The shape of a log line.
    LogFormat, "write `text` or `json`" {
        /// For people.
        Text = "text",
        /// For machines.
        Json = "json",
    }
    /// The least severe level that is logged.
    LogLevel, "write `error`, `warn`, `info`, `debug` or `trace`" {
        /// What needs a person.
        Error = "error",
        /// What may soon need one.
        Warn = "warn",
        /// What happened.
        Info = "info",
        /// What we did about it.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}
