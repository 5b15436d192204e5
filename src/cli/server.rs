//! `deputy serve`, `check-config` and `migrate`: settings into a running server, and nothing more.

use std::{
    env, fs, io,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustix::process::DumpableBehavior;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::{EnvFilter, fmt};

use super::{Out, ServerArgs};
use crate::{
    base::{secret::Secret, time::Seconds},
    config::{self, ConfigProblem, Kek, Limits, LogFormat, Settings},
    http::{self, Listeners, form, serve},
    service::{Ambient, Deputy, Options, keys, remote::fetch::Roots, secret_file},
    store::Store,
};

/// The configuration file that is read when none is named.
const DEFAULT_CONFIG: &str = "deputy.toml";

/// Why the server did not start, or how it ended badly: one sentence for a person.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration; each problem with its key and its cure.
    #[error("{}", problems(.0))]
    Config(Vec<ConfigProblem>),
    /// The key-encryption key.
    #[error("`kek_from`: {0}; it must hold 32 bytes in base64url")]
    Kek(String),
    /// The key that PostgreSQL knows us by.
    #[error("`sslkey` of the database's URL: {0}")]
    ClientKey(String),
    /// The certificates that vouch for issuers.
    #[error("`trusted_roots`: {0}; it must be a PEM file with at least one certificate")]
    Roots(String),
    /// A port that is taken, for example.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, #[source] io::Error),
    /// The service.
    #[error("{}", chain(.0))]
    Service(#[from] crate::service::Fault),
    /// The database.
    #[error("{}", chain(.0))]
    Store(#[from] crate::store::Error),
    /// The runtime.
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn problems(problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A failure and everything that caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}

/// Runs the server until SIGTERM or SIGINT.
pub async fn serve(args: ServerArgs, out: &mut Out) -> Result<ExitCode, ServerError> {
    let restored = args.restored;
    let settings = settings(args)?;
    logging(&settings);
    // A core dump of this process would hold every key that it has open.
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    let listeners = listeners(&settings).await?;
    let first_start = !settings.keys_dir.join(keys::ADMIN_TOKEN_FILE).exists();
    let options = Options { restored, ..options(&settings)? };
    let deputy = Deputy::start(options, Ambient::system()).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new connections, requests in flight are finished");
    };
    let running = http::start(deputy, listeners, limits(&settings.limits), stop)?;
    announce(&settings, &running, first_start, out);
    let drained = running.ended().await?;
    if drained.cut > 0 {
        tracing::warn!(connections = drained.cut, "connections were cut after the drain time");
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the configuration that holds, or what is wrong with it.
pub fn check_config(args: ServerArgs, out: &mut Out) -> Result<ExitCode, ServerError> {
    let settings = settings(args)?;
    options(&settings)?;
    out.raw(config::explain(&settings).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Brings the database schema up to date.
pub async fn migrate(args: ServerArgs, out: &mut Out) -> Result<ExitCode, ServerError> {
    let settings = settings(args)?;
    Store::migrate(settings.database.expose()).await?;
    out.line(&format!("the schema of {} is up to date", settings.database));
    Ok(ExitCode::SUCCESS)
}

/// Says which migrations are pending, and runs none.
pub async fn check_schema(args: ServerArgs, out: &mut Out) -> Result<ExitCode, ServerError> {
    let settings = settings(args)?;
    let pending = Store::pending(settings.database.expose()).await?;
    if pending.is_empty() {
        out.line(&format!("the schema of {} is up to date", settings.database));
        return Ok(ExitCode::SUCCESS);
    }
    for name in pending {
        out.line(&format!("pending: {name}"));
    }
    Ok(ExitCode::FAILURE)
}

fn settings(args: ServerArgs) -> Result<Settings, ServerError> {
    let named = args.config.clone();
    let found = || Some(PathBuf::from(DEFAULT_CONFIG)).filter(|path| path.exists());
    let path = named.or_else(found);
    let settings = config::load(path.as_deref(), |name| env::var(name).ok(), args.overrides())
        .map_err(ServerError::Config)?;
    // The driver reads it by itself, and does not look who else can.
    let driver = || env::var_os("PGSSLKEY").map(PathBuf::from);
    if let Some(path) = client_key(settings.database.expose()).or_else(driver) {
        secret_file::read(&path).map_err(|error| ServerError::ClientKey(unread(&path, &error)))?;
    }
    Ok(settings)
}

/// The file with the private key by which PostgreSQL is to know us, if the URL names one.
fn client_key(database: &str) -> Option<PathBuf> {
    let (_, query) = database.split_once('?')?;
    let mut pairs = query.split('&').rev().filter_map(|pair| pair.split_once('='));
    let (_, path) = pairs.find(|(name, _)| matches!(*name, "sslkey" | "ssl-key"))?;
    let path = form::decode(path.as_bytes()).ok()?;
    // The driver takes a key itself as well.
    (!path.trim_start().starts_with("-----BEGIN")).then(|| PathBuf::from(&*path))
}

fn logging(settings: &Settings) {
    let filter = EnvFilter::new(settings.log.level.as_str());
    // A line that cannot be written is lost: told of on the same full disk it would be a panic.
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    match settings.log.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

async fn listeners(settings: &Settings) -> Result<Listeners, ServerError> {
    let bind = async |address: std::net::SocketAddr| {
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| ServerError::Listen(address.to_string(), error))
    };
    let protocol = bind(settings.listen).await?;
    let admin = match settings.admin_listen {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    Ok(Listeners { protocol, admin })
}

/// What the service is told of the settings.
pub fn options(settings: &Settings) -> Result<Options, ServerError> {
    Ok(Options {
        public_url: settings.public_url.as_str().to_owned(),
        issuer_path: settings.issuer_path.clone(),
        database: settings.database.expose().to_owned(),
        keys_dir: settings.keys_dir.clone(),
        kek: kek(&settings.kek)?,
        kek_beside: settings.kek_beside.as_ref().map(kek).transpose()?.flatten(),
        allow_loopback_issuers: settings.allow_loopback_issuers,
        trusted_roots: roots(settings.trusted_roots.as_deref())?,
        rotate_keys_every: (settings.rotate_keys_days > 0)
            .then(|| Seconds::new(settings.rotate_keys_days.saturating_mul(86_400))),
        keep_audit: (settings.keep_audit_days > 0)
            .then(|| Seconds::new(settings.keep_audit_days.saturating_mul(86_400))),
        restored: false,
    })
}

/// The key-encryption key where it is not in the keys directory.
fn kek(source: &Kek) -> Result<Option<Secret<[u8; 32]>>, ServerError> {
    let text = match source {
        Kek::KeysDir => return Ok(None),
        Kek::Env(name) => env::var(name)
            .map(Secret::new)
            .map_err(|_| ServerError::Kek(format!("the variable `{name}` is not set")))?,
        Kek::File(path) => {
            secret_file::read(path).map_err(|error| ServerError::Kek(unread(path, &error)))?
        }
    };
    let bytes = URL_SAFE_NO_PAD.decode(text.expose().trim()).ok().and_then(|b| b.try_into().ok());
    let malformed = || ServerError::Kek(format!("what `{source}` holds is not a key"));
    bytes.map(Secret::new).map(Some).ok_or_else(malformed)
}

/// The certificates that vouch for issuers besides the system's.
fn roots(path: Option<&Path>) -> Result<Roots, ServerError> {
    let Some(path) = path else { return Ok(Roots::default()) };
    let pem = read(path).map_err(ServerError::Roots)?;
    Roots::from_pem(pem.as_bytes())
        .map_err(|error| ServerError::Roots(format!("`{}`: {error}", path.display())))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| unread(path, &error))
}

fn unread(path: &Path, error: &io::Error) -> String {
    format!("`{}` cannot be read: {error}", path.display())
}

fn limits(limits: &Limits) -> serve::Options {
    let seconds = |s: u32| Duration::from_secs(s.into());
    serve::Options {
        max_connections: limits.connections,
        header_read_timeout: seconds(limits.head_timeout_s),
        request_timeout: seconds(limits.request_timeout_s),
        idle_timeout: seconds(limits.idle_timeout_s),
        drain: seconds(limits.drain_s),
        ..serve::Options::default()
    }
}

/// Says where everything is. The admin token itself is shown only on its first day, and only to
/// somebody who looks at a terminal.
fn announce(settings: &Settings, running: &http::Running, first_start: bool, out: &mut Out) {
    let token = settings.keys_dir.join(keys::ADMIN_TOKEN_FILE);
    out.line(&format!("issuer       {}", settings.issuer()));
    out.line(&format!("listening    {}", running.url));
    if settings.admin_listen.is_some() {
        out.line(&format!("admin        {}", running.admin_url));
    }
    out.line(&format!("database     {}", settings.database));
    out.line(&format!("admin token  in {}", token.display()));
    if first_start
        && io::stdout().is_terminal()
        && let Ok(token) = fs::read_to_string(&token)
    {
        out.line(&format!("             {} (shown once)", token.trim()));
    }
}
