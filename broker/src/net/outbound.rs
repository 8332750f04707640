//! Makes the clients.

use super::{
    Destination, HttpClient, NetError,
    resolver::{Filtered, Lookup, SystemLookup},
    tls,
};
use crate::domain::Clock;
use std::{sync::Arc, time::Duration};

/// How long connecting, TLS included, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The one way out of the broker.
pub struct Outbound {
    clock: Arc<dyn Clock>,
    lookup: Arc<dyn Lookup>,
}

impl Outbound {
    /// With the system's resolver. Certificates are judged by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_lookup(clock, Arc::new(SystemLookup))
    }

    pub(crate) fn with_lookup(clock: Arc<dyn Clock>, lookup: Arc<dyn Lookup>) -> Self {
        Self { clock, lookup }
    }

    /// A client for one destination: no redirects, no proxies from the environment, no cookies, no referrer, no
    /// retries, no compression. Reads CA files and keeps connections, so make it once and keep it.
    ///
    /// # Errors
    /// [`NetError::Misconfigured`].
    #[expect(clippy::disallowed_methods, reason = "the one place where an HTTP client is made")]
    pub fn client(&self, destination: &Destination) -> Result<HttpClient, NetError> {
        let destination = Arc::new(destination.clone());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(&destination, self.clock.clone())?)
            .dns_resolver(Filtered { lookup: self.lookup.clone(), destination: destination.clone() })
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("broker/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| NetError::Misconfigured("the HTTP client cannot be built"))?;
        Ok(HttpClient::new(http, destination))
    }
}
