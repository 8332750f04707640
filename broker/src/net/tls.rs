//! TLS as a client: rustls on ring, the system's roots, certificates judged by the passed clock. Verification cannot
//! be switched off (NE2).

use super::{Destination, NetError};
use crate::domain::Clock;
use rustls::{
    ClientConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    time_provider::TimeProvider,
};
use rustls_platform_verifier::Verifier;
use std::{fmt, path::Path, sync::Arc, time::Duration};

/// The passed clock, as rustls wants it.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// The client configuration for `destination`: the system's roots and the destination's own.
///
/// # Errors
/// [`NetError::Misconfigured`] when the CA file cannot be read or holds no certificate, or when there are no roots
/// at all (except for a loopback peer, where every handshake then fails).
pub(super) fn client_config(
    destination: &Destination,
    clock: Arc<dyn Clock>,
) -> Result<ClientConfig, NetError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider.clone(), Arc::new(Time(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|_| NetError::Misconfigured("the TLS provider has no usable protocol version"))?;
    let extra = destination.ca_file.as_deref().map_or_else(|| Ok(Vec::new()), read_certificates)?;
    let mut config = match verifier(extra, provider) {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
        Err(_) if destination.loopback_http => builder.with_root_certificates(rustls::RootCertStore::empty()),
        Err(error) => return Err(error),
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The same for one that speaks neither HTTP nor ALPN.
///
/// # Errors
/// As of every destination: [`NetError::Misconfigured`].
pub fn plain_client(destination: &Destination, clock: Arc<dyn Clock>) -> Result<ClientConfig, NetError> {
    let mut config = client_config(destination, clock)?;
    config.alpn_protocols.clear();
    Ok(config)
}

fn verifier(
    extra: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Verifier, NetError> {
    Verifier::new_with_extra_roots(extra, provider)
        .map_err(|_| NetError::Misconfigured("no trusted CA certificates could be loaded"))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, NetError> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).and_then(|certificates| certificates.collect());
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(NetError::Misconfigured("the CA file cannot be read or holds no PEM certificate")),
    }
}
