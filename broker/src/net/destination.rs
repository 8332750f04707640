//! A named place that the broker talks to, and what is allowed there and nowhere else (NE3).

use super::{Cidr, address::may_connect};
use std::{net::IpAddr, path::PathBuf};
use url::Host;

/// One destination: a provider, an issuer, a sink. Allowances never reach beyond it.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Destination {
    /// Its name in errors and logs.
    pub name: String,
    /// Addresses that are not public and yet may be connected to. Empty = public only.
    pub allowed_networks: Vec<Cidr>,
    /// File with extra CA certificates (PEM), trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether `http://` and loopback addresses may be used together: for a peer on this machine.
    pub loopback_http: bool,
}

impl Destination {
    /// Whether an address that `host` resolved to may be connected to.
    pub(super) fn allows(&self, host: &str, address: IpAddr) -> bool {
        if self.loopback_http && is_localhost(host) {
            // RFC 6761 §6.3: the name promises loopback, and plain HTTP relies on that promise.
            return address.is_loopback();
        }
        may_connect(address, &self.allowed_networks)
    }

    /// Whether plain HTTP to `host` stays on this machine and is allowed.
    pub(super) fn allows_plain_http(&self, host: &Host<&str>) -> bool {
        self.loopback_http
            && match host {
                Host::Ipv4(address) => address.is_loopback(),
                Host::Ipv6(address) => address.is_loopback(),
                Host::Domain(name) => is_localhost(name),
            }
    }
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost")
}
