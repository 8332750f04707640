//! `listeners`: where the broker is reached (NE4).

use super::check::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Where the broker listens.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListeners {
    /// For MCP servers, auditors and operators: gRPC.
    grpc: RawListener,
    /// For people: consent pages and sign-in.
    web: RawListener,
    /// For the platform: liveness, readiness and metrics.
    ops: RawListener,
    /// How long new connections and calls are still taken after SIGTERM, while readiness fails already: as long as load balancers need
    /// to notice. Default none, at most 1m.
    drain_delay: Option<String>,
}

/// One listener.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawListener {
    /// IP address and port, such as 127.0.0.1:7443.
    address: String,
    /// TLS, accepted by the broker itself. Required off loopback unless `terminated_by_mesh` is true.
    tls: Option<RawTls>,
    /// Whether a service mesh or sidecar accepts TLS in front of this listener. Default false.
    #[serde(default)]
    terminated_by_mesh: bool,
}

/// TLS of one listener. Files are read again when they change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawTls {
    /// Certificate chain, PEM.
    certificate_file: String,
    /// Private key, PEM.
    key_file: String,
    /// Certificates of the authorities whose client certificates are accepted, PEM.
    client_ca_file: Option<String>,
}

/// Where the broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// gRPC.
    pub grpc: Listener,
    /// Pages.
    pub web: Listener,
    /// Operations.
    pub ops: Listener,
    /// From SIGTERM until nothing new is taken.
    pub drain_delay: Duration,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// TLS accepted here; `None` on loopback or behind a mesh.
    pub tls: Option<ListenerTls>,
    /// A mesh accepts TLS in front.
    pub terminated_by_mesh: bool,
}

/// TLS of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// Certificate chain, PEM.
    pub certificate_file: PathBuf,
    /// Private key, PEM.
    pub key_file: PathBuf,
    /// Client authorities, PEM.
    pub client_ca_file: Option<PathBuf>,
}

pub(super) fn check(raw: &RawListeners, check: &mut Check<'_>) -> Option<Listeners> {
    let grpc = listener("listeners.grpc", &raw.grpc, check);
    let web = listener("listeners.web", &raw.web, check);
    let ops = listener("listeners.ops", &raw.ops, check);
    let drain_delay = check.duration("listeners.drain_delay", raw.drain_delay.as_ref(), Duration::ZERO);
    let drain_delay = check.at_most("listeners.drain_delay", drain_delay, Duration::from_secs(60));
    let listeners = Listeners { grpc: grpc?, web: web?, ops: ops?, drain_delay };
    let taken = |a: &Listener, b: &Listener| a.address == b.address && a.address.port() != 0;
    if taken(&listeners.grpc, &listeners.web) {
        check.problem("listeners.web.address", "is the same as listeners.grpc.address");
    }
    if taken(&listeners.grpc, &listeners.ops) || taken(&listeners.web, &listeners.ops) {
        check.problem("listeners.ops.address", "is the same as another listener's");
    }
    Some(listeners)
}

fn listener(path: &str, raw: &RawListener, check: &mut Check<'_>) -> Option<Listener> {
    let Ok(address) = raw.address.parse::<SocketAddr>() else {
        check.problem(&format!("{path}.address"), "is not an IP address and port such as 127.0.0.1:7443");
        return None;
    };
    if raw.tls.is_some() && raw.terminated_by_mesh {
        check.problem(&format!("{path}.terminated_by_mesh"), "contradicts tls: set one of them");
    }
    if !address.ip().is_loopback() && raw.tls.is_none() && !raw.terminated_by_mesh {
        let message =
            "is not loopback and has no TLS: set tls, or terminated_by_mesh: true if a mesh accepts it";
        check.problem(&format!("{path}.address"), message);
    }
    let tls = raw.tls.as_ref().map(|tls| ListenerTls {
        certificate_file: check.file(&format!("{path}.tls.certificate_file"), &tls.certificate_file),
        key_file: check.file(&format!("{path}.tls.key_file"), &tls.key_file),
        client_ca_file: (tls.client_ca_file.as_ref())
            .map(|file| check.file(&format!("{path}.tls.client_ca_file"), file)),
    });
    Some(Listener { address, tls, terminated_by_mesh: raw.terminated_by_mesh })
}
