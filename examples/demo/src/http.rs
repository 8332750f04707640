//! Plain HTTP clients for the parts outside the broker.

use std::sync::Arc;

use reqwest::redirect::Policy;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The trusted certificates are not PEM certificates.
    #[error("a trusted certificate cannot be read")]
    Certificate,
    /// The TLS or HTTP stack refused its settings.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// An HTTP/1.1 client that follows no redirects, uses no proxy and trusts exactly the certificates in `trusted_pem`.
///
/// # Errors
/// When a certificate cannot be read.
#[expect(clippy::disallowed_methods, reason = "the demo's parts stand outside the broker and its net room")]
pub fn client(trusted_pem: &[u8]) -> Result<reqwest::Client, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trusted_pem) {
        let certificate = certificate.map_err(|_| ClientError::Certificate)?;
        roots.add(certificate).map_err(|_| ClientError::Certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
    let builder = builder.http1_only().redirect(Policy::none()).no_proxy();
    builder.build().map_err(|error| ClientError::Setup(error.to_string()))
}
