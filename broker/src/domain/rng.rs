//! Randomness as an argument.

use ring::rand::SecureRandom;

/// Where the broker draws randomness. Passed in everywhere; the globals are banned in `clippy.toml`.
pub trait Rng: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable bytes.
    ///
    /// # Panics
    /// When the operating system gives none: a broker without randomness must not go on.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator.
pub struct SystemRng(ring::rand::SystemRandom);

impl Default for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system generator is taken")]
    fn default() -> Self {
        Self(ring::rand::SystemRandom::new())
    }
}

impl Rng for SystemRng {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("the operating system's random generator failed");
    }
}
