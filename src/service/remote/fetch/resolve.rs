//! Names become addresses here, once per fetch, and every address is checked before the transport
//! sees any: what is checked is what is dialled, so a name that changes its answer gains nothing.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::service::remote::address::Reach;

/// What a lookup will answer.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Where addresses come from.
pub trait Names: Send + Sync {
    /// All addresses of `host`.
    fn lookup(&self, host: &str) -> Lookup;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

impl Names for SystemNames {
    fn lookup(&self, host: &str) -> Lookup {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The most addresses of one name that are tried: past a few, trying on only spends the deadline.
pub const ADDRESSES_MAX: usize = 8;

/// An address that is out of reach.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` may not be dialled")]
pub struct Refused(pub IpAddr);

/// The name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
pub struct NoSuchName;

/// The resolver that the transport is given: looks up, checks, and hands over what it checked.
pub struct Guard {
    reach: Reach,
    names: Arc<dyn Names>,
}

impl Guard {
    /// A guard that lets through only what `reach` allows.
    pub fn new(reach: Reach, names: Arc<dyn Names>) -> Guard {
        Guard { reach, names }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        let lookup = self.names.lookup(name.as_str());
        Box::pin(async move {
            let found = lookup.await.map_err(|_| NoSuchName)?;
            admit(reach, found)
        })
    }
}

/// All addresses, or none: one refused address refuses the name, because whoever mixes public and
/// private answers is trying which of them gets dialled.
fn admit(
    reach: Reach,
    found: Vec<IpAddr>,
) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    if let Some(refused) = found.iter().find(|address| !reach.allows(**address)) {
        return Err(Refused(*refused).into());
    }
    if found.is_empty() {
        return Err(NoSuchName.into());
    }
    // Port 0 makes the transport use the port of the URL.
    Ok(Box::new(found.into_iter().take(ADDRESSES_MAX).map(|ip| SocketAddr::new(ip, 0))))
}
