//! Static workload secrets: random, recognisable, kept only as hashes (ID2).

use crate::domain::{Rng, SecretString, sha256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// What every static secret begins with, so that scanners find a leaked one.
pub const SECRET_PREFIX: &str = "bws_";

/// A freshly made secret. Shown once to the operator; the broker keeps the hash.
pub struct StaticSecret {
    /// What the workload sends.
    pub secret: SecretString,
    /// What the configuration holds.
    pub sha256: [u8; 32],
}

impl StaticSecret {
    /// Makes a secret with 256 random bits.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut bytes = [0; 32];
        rng.fill(&mut bytes);
        let secret = format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        Self { sha256: Self::hash(&secret), secret: secret.into() }
    }

    /// The hash that the configuration holds for a secret.
    pub fn hash(secret: &str) -> [u8; 32] {
        sha256(secret.as_bytes())
    }
}

/// Equality in time that does not depend on where the first difference is.
pub(super) fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y))) == 0
}
