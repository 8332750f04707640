//! Sealing what cannot be had a second time.

use super::{Vault, VaultError};
use crate::domain::{Kind, Reason, RecordKey, Sealed, SecretString, Timestamp};
use std::time::Duration;

impl Vault {
    /// Seals what a provider gave once and has forgotten since: a key that cannot be had right now is waited for, until `until`.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_patiently<K: Kind>(
        &self,
        record: &RecordKey,
        secret: SecretString,
        until: Timestamp,
    ) -> Result<Sealed<K>, VaultError> {
        loop {
            let error = match self.seal::<K>(record, secret.clone()).await {
                Ok(sealed) => return Ok(sealed),
                Err(error) => error,
            };
            let passing = matches!(error.reason(), Reason::KeyUnavailable | Reason::StoreUnavailable);
            if !passing || self.clock.now() >= until {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
