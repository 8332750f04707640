//! DNS with the filter behind it: only addresses that passed are handed to the connector, so what was checked is
//! what is connected to.

use super::Destination;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// A name has no address that may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("refused address {0}")]
pub(super) struct RefusedAddress(pub(super) IpAddr);

/// Turns a host name into addresses.
#[async_trait::async_trait]
pub(crate) trait Lookup: Send + Sync + 'static {
    /// All addresses of `host`.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

#[async_trait::async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// The resolver of one destination.
pub(super) struct Filtered {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) destination: Arc<Destination>,
}

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, destination) = (self.lookup.clone(), self.destination.clone());
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let (passed, refused): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|address| destination.allows(name.as_str(), *address));
            if passed.is_empty()
                && let Some(address) = refused.first()
            {
                return Err(RefusedAddress(*address).into());
            }
            Ok(Box::new(passed.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
