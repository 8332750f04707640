//! Randomness, from one place.

use crate::Error;
use ring::rand::{SecureRandom as _, SystemRandom};

/// The system's randomness.
#[derive(Clone, Debug)]
pub(crate) struct Random(SystemRandom);

impl Default for Random {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the client takes randomness from the system"
    )]
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Random {
    pub(crate) fn bytes<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).map_err(|_| Error::configuration("the system gives no randomness"))?;
        Ok(bytes)
    }
}
