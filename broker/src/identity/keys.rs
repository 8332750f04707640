//! An issuer's verification keys. Every key has one algorithm, fixed when it is loaded; a token can only agree with it.

use super::TokenError;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). Symmetric ones and `none` do not exist here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Es256, Self::Es384, Self::Rs256, Self::Ps256, Self::EdDsa];

    /// The `alg` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Reads an `alg` value, byte for byte; `None` when it is not one of these.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == text)
    }
}

/// The public half of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point, or the 32 bytes of Ed25519.
    Bytes(Vec<u8>),
}

/// One key that can verify.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub kid: Option<String>,
    pub algorithm: Algorithm,
    pub public: Public,
}

impl Key {
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let done = match (&self.public, self.algorithm) {
            (Public::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            (Public::Rsa { n, e }, Algorithm::Ps256) => RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PSS_2048_8192_SHA256,
                message,
                signature,
            ),
            (Public::Bytes(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Public::Bytes(point), Algorithm::Es384) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            (Public::Bytes(point), Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature)
            }
            _ => Err(ring::error::Unspecified),
        };
        done.map_err(|_| TokenError::BadSignature)
    }
}

/// What an issuer publishes, as far as it is usable.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct KeySet(pub Vec<Key>);

impl KeySet {
    /// The one key that may have signed: by `kid`, else the only one of that algorithm.
    pub fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, TokenError> {
        let Some(kid) = kid else {
            let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
            let first = fitting.next().ok_or(TokenError::UnknownKey)?;
            return if fitting.next().is_none() { Ok(first) } else { Err(TokenError::AmbiguousKey) };
        };
        let named =
            self.0.iter().find(|key| key.kid.as_deref() == Some(kid)).ok_or(TokenError::UnknownKey)?;
        if named.algorithm == algorithm { Ok(named) } else { Err(TokenError::AlgorithmMismatch) }
    }
}
