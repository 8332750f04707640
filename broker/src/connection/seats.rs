//! How many callers one provider may keep waiting (RF12, AV4): one that hangs must not hold every call the broker serves.

use crate::domain::{ProviderId, TenantId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many seats for each tenant at each provider. Both are configured, so there are few.
pub(super) struct Seats {
    each: usize,
    taken: Mutex<HashMap<(TenantId, ProviderId), Arc<Semaphore>>>,
}

impl Seats {
    pub(super) fn new(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// A seat until it is dropped; `None` when all are taken.
    pub(super) fn take(&self, tenant: &TenantId, provider: &ProviderId) -> Option<OwnedSemaphorePermit> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = taken
            .entry((tenant.clone(), provider.clone()))
            .or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Arc::clone(seats).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: RF12
    #[test]
    fn rf12_each_tenant_has_its_own_seats_at_each_provider() {
        let (acme, other) = (TenantId::parse("acme").unwrap(), TenantId::parse("other").unwrap());
        let (notes, mail) = (ProviderId::parse("notes").unwrap(), ProviderId::parse("mail").unwrap());
        let seats = Seats::new(2);
        let held = [seats.take(&acme, &notes).unwrap(), seats.take(&acme, &notes).unwrap()];
        assert!(seats.take(&acme, &notes).is_none());
        assert!(seats.take(&acme, &mail).is_some() && seats.take(&other, &notes).is_some());
        drop(held);
        assert!(seats.take(&acme, &notes).is_some());
    }
}
