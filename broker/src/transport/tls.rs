//! Certificates from files, read again when they change: a renewed certificate needs no restart.

use super::listener::TlsSource;
use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Where a listener's certificate is.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Client authorities, PEM: clients must then show a certificate of theirs.
    pub client_ca: Option<PathBuf>,
    /// The application protocols offered, best first.
    pub alpn: &'static [&'static str],
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{}: {source}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The parts do not fit together.
    #[error("the certificate in {} cannot be used: {source}", .path.display())]
    Unusable {
        /// The certificate file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The client authorities cannot be used.
    #[error("the client authorities in {} cannot be used", .0.display())]
    ClientCa(PathBuf),
}

/// Yields the current configuration, reading the files again when one of them changed.
///
/// # Errors
/// [`TlsError`] when the files cannot be used now. Later a bad file is logged and the old certificate stays.
pub fn source(files: TlsFiles) -> Result<TlsSource, TlsError> {
    let current = ArcSwap::new(load(&files)?);
    let seen = Mutex::new(stamps(&files));
    Ok(Arc::new(move || {
        let now = stamps(&files);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen != now {
            match load(&files) {
                Ok(config) => current.store(config),
                Err(error) => {
                    tracing::error!(%error, "a changed certificate cannot be used; the old one stays")
                }
            }
            *seen = now;
        }
        current.load_full()
    }))
}

fn stamps(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let paths = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    paths.into_iter().flatten().map(|path| path.metadata().and_then(|m| m.modified()).ok()).collect()
}

fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let unusable = |source| TlsError::Unusable { path: files.certificate.clone(), source };
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem(&files.key))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|_| TlsError::ClientCa(path.clone()))?;
            }
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|_| TlsError::ClientCa(path.clone()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = files.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrap = |source| TlsError::Pem { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(wrap)?.collect::<Result<_, _>>().map_err(wrap)
}
