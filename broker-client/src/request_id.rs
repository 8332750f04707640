//! Ids that make a repeated request recognisable.

use crate::Error;
use crate::random::Random;
use std::fmt::Write as _;

/// Makes ids of 128 random bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestIds(Random);

impl RequestIds {
    pub(crate) fn next(&self) -> Result<String, Error> {
        let bytes: [u8; 16] = self.0.bytes()?;
        Ok(bytes.iter().fold(String::with_capacity(32), |mut id, byte| {
            // Writing into a String cannot fail.
            let _ = write!(id, "{byte:02x}");
            id
        }))
    }
}
