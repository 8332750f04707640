//! The connection to the broker: dialled on first use, made anew when its TLS files change.

use crate::tls::{Files, Tls};
use crate::watched::REREAD_EVERY;
use crate::{Clock, Error};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

pub(crate) enum Link {
    Plain(Channel),
    Tls { endpoint: Endpoint, tls: Tls, current: Mutex<Current> },
}

pub(crate) struct Current {
    read_at: Duration,
    files: Files,
    channel: Channel,
}

impl Link {
    pub(crate) async fn new(address: &str, tls: Option<Tls>, clock: &dyn Clock) -> Result<Self, Error> {
        if address.contains('@') {
            return Err(Error::configuration("a credential does not belong into the address"));
        }
        let refuse = |what: &str| Error::configuration(format!("{address}: {what}"));
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| refuse("is not an address"))?;
        let endpoint = endpoint
            .user_agent(concat!("broker-client/", env!("CARGO_PKG_VERSION")))
            .map_err(|_| refuse("user agent"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE);
        match (endpoint.uri().scheme_str(), tls) {
            (Some("http"), None) if is_loopback(endpoint.uri().host()) => {
                Ok(Self::Plain(endpoint.connect_lazy()))
            }
            (Some("http"), None) => Err(refuse("without TLS only a loopback address is allowed")),
            (Some("https"), Some(tls)) => {
                let files = tls.read().await?;
                let channel = dial(&endpoint, &tls, &files)?;
                let current = Mutex::new(Current { read_at: clock.monotonic(), files, channel });
                Ok(Self::Tls { endpoint, tls, current })
            }
            (Some("https"), None) => Err(refuse("https needs a CA file")),
            _ => Err(refuse("needs https, or http without TLS on a loopback address")),
        }
    }

    /// The channel for a call made now. Files that became unreadable or do not fit together leave the old channel in place,
    /// with a warning in the log: a certificate and its key are replaced one after the other.
    pub(crate) async fn channel(&self, clock: &dyn Clock) -> Channel {
        let (endpoint, tls, current) = match self {
            Self::Plain(channel) => return channel.clone(),
            Self::Tls { endpoint, tls, current } => (endpoint, tls, current),
        };
        let mut current = current.lock().await;
        let now = clock.monotonic();
        if now.saturating_sub(current.read_at) >= REREAD_EVERY {
            current.read_at = now;
            if let Err(error) = reload(endpoint, tls, &mut current).await {
                tracing::warn!(%error, "TLS files cannot be used; keeping the connection as it was");
            }
        }
        current.channel.clone()
    }
}

async fn reload(endpoint: &Endpoint, tls: &Tls, current: &mut Current) -> Result<(), Error> {
    let files = tls.read().await?;
    if files != current.files {
        current.channel = dial(endpoint, tls, &files)?;
        current.files = files;
    }
    Ok(())
}

fn dial(endpoint: &Endpoint, tls: &Tls, files: &Files) -> Result<Channel, Error> {
    let configured = endpoint.clone().tls_config(tls.config(files));
    Ok(configured
        .map_err(|_| Error::configuration("the TLS files do not hold what is needed"))?
        .connect_lazy())
}

fn is_loopback(host: Option<&str>) -> bool {
    let host = host.unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
