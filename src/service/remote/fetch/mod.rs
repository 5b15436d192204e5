//! The one guarded fetcher for everything outbound. It dials only what it has checked, carries
//! nothing of ours (no cookies, credentials, proxies, referrers) and brings back at most a capped
//! number of bytes. What those bytes mean is decided elsewhere.

use std::{
    error::Error,
    io,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Certificate, Client, ClientBuilder, StatusCode, Url, header, redirect, retry};

use super::{
    address::Reach,
    error::{FetchError, shown},
    fetch::resolve::{Guard, Names, NoSuchName, Refused, SystemNames},
};

pub mod resolve;

/// What a fetcher may do and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Development only: whether addresses of this machine may be fetched, by plain http too.
    pub allow_loopback_http: bool,
    /// The longest that resolving, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// The longest that one fetch may take, last byte included.
    pub total_timeout: Duration,
    /// The most bytes of one body.
    pub max_bytes: usize,
}

impl Default for Options {
    /// Public https only, 2 s to connect, 5 s in all, 256 KiB: several hundred keys fit, and a
    /// caller who waits for a first fetch still hears of it before its own deadline.
    fn default() -> Options {
        Options {
            allow_loopback_http: false,
            connect_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(5),
            max_bytes: 256 * 1024,
        }
    }
}

/// Certificates of authorities that vouch for servers besides the system's.
#[derive(Clone, Debug, Default)]
pub struct Roots(Vec<Certificate>);

/// What should have been certificates is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds no certificate in PEM")]
pub struct NotRoots;

impl Roots {
    /// Reads the certificates of a PEM file, at least one.
    pub fn from_pem(pem: &[u8]) -> Result<Roots, NotRoots> {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|_| NotRoots)?;
        if certificates.is_empty() { Err(NotRoots) } else { Ok(Roots(certificates)) }
    }
}

/// The longest URL that is fetched: twice what any issuer in use needs.
pub const URL_BYTES_MAX: usize = 2_048;

/// Fetches documents by https. Cheap to share; opens a new connection for every fetch, so that
/// every dial is preceded by its own check.
pub struct Fetcher {
    options: Options,
    names: Arc<dyn Names>,
    roots: Roots,
    /// Built at the first https fetch: reading the system's root certificates takes long, and a
    /// machine without them can still develop against loopback.
    https: OnceLock<Result<Client, FetchError>>,
    http: OnceLock<Result<Client, FetchError>>,
}

impl Fetcher {
    /// A fetcher that uses the system's resolver and root certificates.
    pub fn new(options: Options) -> Fetcher {
        Fetcher::with_names(options, Arc::new(SystemNames))
    }

    /// A fetcher that asks `names` for addresses; every answer is checked all the same.
    pub fn with_names(options: Options, names: Arc<dyn Names>) -> Fetcher {
        let roots = Roots::default();
        Fetcher { options, names, roots, https: OnceLock::new(), http: OnceLock::new() }
    }

    /// The same, believing servers that `roots` vouch for as well.
    #[must_use]
    pub fn trusting(self, roots: Roots) -> Fetcher {
        Fetcher { roots, https: OnceLock::new(), ..self }
    }

    /// What this fetcher may do.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The body behind `url`, if it answers 200 within the caps of [`Options`].
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let (url, reach) = self.admit(url)?;
        let client = match reach {
            Reach::Loopback => self.http.get_or_init(|| self.http_client()),
            Reach::Global | Reach::GlobalOrLoopback => {
                self.https.get_or_init(|| self.https_client(reach))
            }
        };
        let client = client.as_ref().map_err(Clone::clone)?;
        let response = client
            .get(url.clone())
            .header(header::ACCEPT, "application/json, application/jwk-set+json")
            .send()
            .await
            .map_err(|error| explain(&url, &error))?;
        self.body(&url, response).await
    }

    /// Reads and judges the URL: what it is, and how far a fetch of it may reach.
    fn admit(&self, raw: &str) -> Result<(Url, Reach), FetchError> {
        let bad = |why| FetchError::BadUrl { url: shown(raw), why };
        if raw.len() > URL_BYTES_MAX {
            return Err(bad("it is longer than 2,048 bytes"));
        }
        let url = Url::parse(raw).map_err(|_| bad("it is not an absolute URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it carries a user name or password"));
        }
        if url.fragment().is_some() {
            return Err(bad("it has a fragment"));
        }
        let local = self.options.allow_loopback_http;
        let reach = match url.scheme() {
            "https" if local => Reach::GlobalOrLoopback,
            "https" => Reach::Global,
            "http" if local => Reach::Loopback,
            _ => return Err(bad("only https is fetched")),
        };
        // The transport dials a literal without asking the resolver, so it is judged here.
        let host = url.host_str().ok_or_else(|| bad("it has no host"))?;
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            if !local {
                return Err(bad("its host is an IP address; use a host name"));
            }
            if !Reach::Loopback.allows(address) {
                return Err(FetchError::RefusedAddress { host: host.to_owned(), address });
            }
        }
        Ok((url, reach))
    }

    fn https_client(&self, reach: Reach) -> Result<Client, FetchError> {
        self.builder(reach)
            .https_only(true)
            .tls_certs_merge(self.roots.0.iter().cloned())
            .build()
            .map_err(|error| FetchError::NoRoots { why: innermost(&error) })
    }

    /// Plain http needs no root certificates, so none are read and none are trusted.
    fn http_client(&self) -> Result<Client, FetchError> {
        self.builder(Reach::Loopback)
            .tls_certs_only([])
            .build()
            .map_err(|error| FetchError::NoRoots { why: innermost(&error) })
    }

    fn builder(&self, reach: Reach) -> ClientBuilder {
        // Another part of the process may have installed a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(concat!("deputy/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Guard::new(reach, Arc::clone(&self.names)))
            .connect_timeout(self.options.connect_timeout)
            .timeout(self.options.total_timeout)
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            // Another dependency could switch a decoder on; a small answer must stay small.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
    }

    async fn body(&self, url: &Url, response: reqwest::Response) -> Result<Vec<u8>, FetchError> {
        let status = response.status();
        if status.is_redirection() {
            return Err(FetchError::Redirect { url: shown(url.as_str()), status: status.as_u16() });
        }
        if status != StatusCode::OK {
            return Err(FetchError::Status { url: shown(url.as_str()), status: status.as_u16() });
        }
        let max_bytes = self.options.max_bytes;
        let too_large = || FetchError::TooLarge { url: shown(url.as_str()), max_bytes };
        let mut response = response;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| explain(url, &error))? {
            if body.len().saturating_add(chunk.len()) > max_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The transport's error as one of ours. The most telling cause wins.
fn explain(url: &Url, error: &reqwest::Error) -> FetchError {
    let host = url.host_str().unwrap_or_default().to_owned();
    if let Some(Refused(address)) = cause(error) {
        FetchError::RefusedAddress { host, address: *address }
    } else if cause::<NoSuchName>(error).is_some() {
        FetchError::Dns { host }
    } else if let Some(tls) = cause::<rustls::Error>(error) {
        FetchError::Tls { host, why: shown(&tls.to_string()) }
    } else if error.is_timeout() {
        FetchError::Timeout { host }
    } else {
        FetchError::Connection { host, why: innermost(error) }
    }
}

/// The first error of type `E` below `error`. An `io::Error` that wraps another error skips it in
/// `source()`, so it is opened here.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// The sentence of the deepest cause.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    shown(&last.to_string())
}

#[cfg(test)]
mod tests;
