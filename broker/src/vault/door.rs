//! The vault: sealing for everybody, opening through one door.

use super::{Opened, VaultError, envelope::Envelope, sealing};
use crate::{
    audit::Audited,
    domain::{Clock, ExposeSecret, Kind, RecordKey, Rng, Sealed, SecretString, TenantId},
    keys::{KeyRing, TenantKeys},
    policy::{Permit, Purpose},
    trace::{self, step},
};
use std::{sync::Arc, time::Duration};

/// How long after its commit a proof opens (VA4).
pub const PROOF_LIFE: Duration = Duration::from_secs(5);

/// Seals and opens stored secrets.
pub struct Vault {
    keys: Arc<KeyRing>,
    pub(super) clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

/// Seals for one tenant; opens nothing.
pub struct Sealer {
    keys: Arc<TenantKeys>,
    rng: Arc<dyn Rng>,
}

impl Sealer {
    /// As [`Vault::seal`], for a record of this tenant.
    ///
    /// # Errors
    /// [`VaultError::TooBig`] over 64 KiB.
    pub fn seal<K: Kind>(&self, record: &RecordKey, secret: &SecretString) -> Result<Sealed<K>, VaultError> {
        sealing::seal(&self.keys, &*self.rng, record, secret.expose_secret().as_bytes())
    }
}

impl Vault {
    /// A vault over a key ring.
    pub fn new(keys: Arc<KeyRing>, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { keys, clock, rng }
    }

    /// Seals a secret for exactly one record, under a data key of its own.
    ///
    /// # Errors
    /// [`VaultError::TooBig`] over 64 KiB; [`VaultError::Key`] when the tenant's key cannot be used.
    pub async fn seal<K: Kind>(
        &self,
        record: &RecordKey,
        secret: SecretString,
    ) -> Result<Sealed<K>, VaultError> {
        let keys = self.keys.tenant_key(record.tenant()).await?;
        sealing::seal(&keys, &*self.rng, record, secret.expose_secret().as_bytes())
    }

    /// What seals for one tenant without waiting for anything, however long from now: its keys are at hand (RF5).
    ///
    /// # Errors
    /// [`VaultError::Key`] when the tenant's key cannot be used.
    pub async fn sealer(&self, tenant: &TenantId) -> Result<Sealer, VaultError> {
        let keys = self.keys.tenant_key(tenant).await?;
        Ok(Sealer { keys, rng: Arc::clone(&self.rng) })
    }

    /// The door. Spends the proof, and opens the one value its permit names: the AAD comes from the permit alone.
    ///
    /// # Errors
    /// [`VaultError::ProofVoid`] later than 5 seconds after the commit; [`VaultError::Tampered`] and
    /// [`VaultError::Envelope`] when the bytes are not the permit's; [`VaultError::Key`].
    pub async fn open<P: Purpose>(
        &self,
        proof: Audited<Permit<P>>,
        sealed: &Sealed<P::Secret>,
    ) -> Result<Opened<P>, VaultError> {
        let open = async {
            let keys = self.keys_for(proof.permit().key().tenant(), sealed).await?;
            self.open_with(&keys, proof, sealed)
        };
        trace::within(step!("vault open", broker.secret = P::Secret::COLUMN), open).await
    }

    /// The tenant's keys with the one that wraps `sealed`, which another replica may have made.
    async fn keys_for<K: Kind>(
        &self,
        tenant: &TenantId,
        sealed: &Sealed<K>,
    ) -> Result<Arc<TenantKeys>, VaultError> {
        let named = Envelope::parse(sealed.envelope())?.tenant_key;
        Ok(self.keys.tenant_key_that_knows(tenant, named).await?)
    }

    /// The part that never waits: a warm tenant key opens without I/O.
    fn open_with<P: Purpose>(
        &self,
        keys: &TenantKeys,
        proof: Audited<Permit<P>>,
        sealed: &Sealed<P::Secret>,
    ) -> Result<Opened<P>, VaultError> {
        // Measured here and not before the key was fetched: what counts is the moment of opening.
        let age = self.clock.monotonic().checked_sub(proof.committed_at());
        if age.is_none_or(|age| age > PROOF_LIFE) {
            return Err(VaultError::ProofVoid);
        }
        let (permit, event, position) = proof.into_parts();
        let plain = sealing::open(keys, permit.key(), sealed)?;
        let tenant = permit.key().tenant().clone();
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::Tampered)?;
        // `SecretString` boxes exactly these bytes and wipes them; `plain` wipes its own.
        Ok(Opened::new(SecretString::from(text), tenant, event, position, permit.facts().clone()))
    }

    /// Seals the same secret for another record of the same owner at the same provider, e.g. when a consent's
    /// waiting token becomes the connection's. Shows nothing.
    ///
    /// # Errors
    /// [`VaultError::OwnerDiffers`] unless owner, tenant and provider are equal; otherwise as for opening and sealing.
    pub async fn reseal<K: Kind>(
        &self,
        from: &RecordKey,
        sealed: &Sealed<K>,
        to: &RecordKey,
    ) -> Result<Sealed<K>, VaultError> {
        if from.owner != to.owner || from.provider != to.provider {
            return Err(VaultError::OwnerDiffers);
        }
        let keys = self.keys_for(from.tenant(), sealed).await?;
        let plain = sealing::open(&keys, from, sealed)?;
        sealing::seal(&keys, &*self.rng, to, &plain)
    }
}
