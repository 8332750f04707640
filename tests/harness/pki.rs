//! A throw-away certificate authority and the files it fills.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Issues certificates for tests.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// With a key of its own.
    ///
    /// # Panics
    /// When no key can be made.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"),
        )
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes its certificate to a file.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.pem()).expect("written");
    }

    /// Writes a fresh key and a certificate for 127.0.0.1, or replaces those that are there.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn issue(&self, files: &KeyFiles) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        std::fs::write(&files.certificate, certificate.pem()).expect("written");
        std::fs::write(&files.key, key.serialize_pem()).expect("written");
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl KeyFiles {
    /// `<name>.crt` and `<name>.key` in a directory.
    pub fn named(directory: &Path, name: &str) -> KeyFiles {
        let path = |extension: &str| directory.join(name).with_extension(extension);
        KeyFiles { certificate: path("crt"), key: path("key") }
    }
}
