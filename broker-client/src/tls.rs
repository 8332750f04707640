//! TLS files and their reloading.

use crate::Error;
use crate::watched::read_bounded;
use std::path::PathBuf;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use zeroize::Zeroizing;

/// Largest PEM file, in bytes.
const LIMIT: usize = 256 * 1024;

/// How the connection to the broker is protected: the CA that vouches for the broker and, with mTLS, who we are.
///
/// The files are PEM. They are read again when a call is made and a second has passed since the last reading; changed files
/// open a new connection for new calls.
#[derive(Clone, Debug)]
pub struct Tls {
    ca_file: PathBuf,
    identity: Option<(PathBuf, PathBuf)>,
    server_name: Option<String>,
}

/// The files' contents at one moment. Not printable: it holds the private key.
#[derive(PartialEq)]
pub(crate) struct Files {
    ca: Zeroizing<Vec<u8>>,
    identity: Option<(Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>)>,
}

impl Tls {
    /// Trusts the certificate authorities in this file and no others.
    pub fn ca_file(path: impl Into<PathBuf>) -> Self {
        Self { ca_file: path.into(), identity: None, server_name: None }
    }

    /// Shows this certificate chain, with this private key, to the broker (mTLS).
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// The name the broker's certificate must carry, when it is not the host of the address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    pub(crate) async fn read(&self) -> Result<Files, Error> {
        let identity = match &self.identity {
            Some((certificate, key)) => {
                Some((read_bounded(certificate, LIMIT).await?, read_bounded(key, LIMIT).await?))
            }
            None => None,
        };
        Ok(Files { ca: read_bounded(&self.ca_file, LIMIT).await?, identity })
    }

    pub(crate) fn config(&self, files: &Files) -> ClientTlsConfig {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(files.ca.as_slice()));
        if let Some((certificate, key)) = &files.identity {
            config = config.identity(Identity::from_pem(certificate.as_slice(), key.as_slice()));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        config
    }
}
