//! The HTTP client for the notes API.

use rustls::RootCertStore;
use std::sync::Arc;

/// Follows no redirects: a grant goes to the address it is for and nowhere else. Speaks plain HTTP, or TLS to servers that one
/// of `roots` vouches for.
///
/// # Errors
/// When the TLS or HTTP stack refuses its settings.
#[expect(clippy::disallowed_methods, reason = "an example outside the broker and its net room")]
pub fn http_client(
    roots: RootCertStore,
) -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
    Ok(builder.redirect(reqwest::redirect::Policy::none()).no_proxy().build()?)
}
