//! Randomness for tokens, codes and session ids.

use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};

/// The operating system's generator.
#[expect(clippy::disallowed_methods, reason = "the one place where the demo's servers take randomness")]
pub(crate) fn system() -> SystemRandom {
    SystemRandom::new()
}

/// `prefix` followed by 256 random bits, URL-safe.
///
/// # Panics
/// When the operating system has no randomness to give: there is no safe way on.
pub(crate) fn token(prefix: &str) -> String {
    let mut bytes = [0_u8; 32];
    system().fill(&mut bytes).expect("the operating system gives random bytes");
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))
}
