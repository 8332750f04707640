//! Ids that make a repeated request recognisable.

use crate::Error;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt::Write as _;

/// Makes ids of 128 random bits.
#[derive(Clone, Debug)]
pub(crate) struct RequestIds(SystemRandom);

impl Default for RequestIds {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the client takes randomness from the system"
    )]
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl RequestIds {
    pub(crate) fn next(&self) -> Result<String, Error> {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes).map_err(|_| Error::configuration("the system gives no randomness"))?;
        Ok(bytes.iter().fold(String::with_capacity(32), |mut id, byte| {
            // Writing into a String cannot fail.
            let _ = write!(id, "{byte:02x}");
            id
        }))
    }
}
