//! A tenant's further keys: made by one process, met by the others.

use super::{
    KeyError, KeyRing, SecretKey, TenantKeys,
    file_keyring::Further,
    key_ring::{in_order, unwrap_all, wrapping},
    known_rows::{ABSENT_FOR, is_key_id},
    random_key_id,
};
use crate::{
    domain::{TenantId, WrappedKey},
    storage::StoreError,
};
use std::{sync::Arc, time::Duration};

impl KeyRing {
    /// A tenant's keys for something that the key `id` wraps. A key is stored before its first use: one that is not known here is looked for
    /// once, and if nobody made it, not again for 10 seconds. Then whatever names it does not open.
    ///
    /// # Errors
    /// See [`Self::tenant_key`]: where it had to be looked for and could not be, [`KeyError::Unavailable`].
    pub async fn tenant_key_that_knows(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<Arc<TenantKeys>, KeyError> {
        let keys = self.tenant_key(tenant).await?;
        if keys.knows(id) || !is_key_id(id) {
            return Ok(keys);
        }
        let named = (tenant.clone(), id.to_owned());
        let seen = self.absent.get(&named);
        if seen.is_some_and(|at| self.clock.monotonic().saturating_sub(at) < ABSENT_FOR) {
            return Ok(keys);
        }
        let keys = self.reread_tenant_key(tenant).await?;
        if !keys.knows(id) {
            tracing::error!(%tenant, key = id, "a sealed value names a key that nobody has made");
            self.absent.insert(named, self.clock.monotonic());
        }
        Ok(keys)
    }

    /// Looks whether tenants whose keys are in memory got further ones, and reads those. What cannot be read stays as it is.
    ///
    /// # Errors
    /// [`KeyError`]: the last that was met. One tenant's keys keep nobody else's from being read.
    pub async fn notice_further_keys(&self) -> Result<(), KeyError> {
        let mut noticed = Ok(());
        for (tenant, keys) in self.store.counts().await.map_err(KeyError::Unavailable)? {
            let Ok(tenant) = TenantId::parse(&tenant) else { continue };
            let known = self.tenants.get(&tenant).map(|aged| aged.value.ids().count() as u64);
            if known.is_some_and(|known| known != keys) {
                match self.reread_tenant_key(&tenant).await {
                    Ok(_) => tracing::info!(%tenant, "the tenant has another key, which wraps from now on"),
                    Err(error) => noticed = Err(error),
                }
            }
        }
        noticed
    }

    /// A fresh key for a tenant, wrapped by the root key that wraps, and the id of the one it follows; not yet stored. It sorts as the
    /// newest whatever the clock says. A tenant that has none gets its first one before, which is stored.
    ///
    /// # Errors
    /// See [`Self::tenant_key`]: nobody gets a further key while the ones there are cannot be used.
    pub async fn further_tenant_key(&self, tenant: &TenantId) -> Result<(WrappedKey, String), KeyError> {
        // A first key comes by the insert that lets one replica win. Were this one stored as the first, another replica's, made meanwhile,
        // could sort after it, and whom that one named would be renamed.
        let known = self.tenant_key(tenant).await?;
        let stored = self.store.tenant_keys(tenant.as_str()).await.map_err(KeyError::Unavailable)?;
        unwrap_all(&self.root, tenant.as_str(), &stored)?;
        let (id, key) = (random_key_id(&*self.rng), SecretKey::random(&*self.rng));
        let ends = stored.first().zip(stored.last());
        let (newest, first) = ends.ok_or_else(|| KeyError::Unknown { key: known.newest().to_owned() })?;
        let created_at = newest.created_at.plus(Duration::from_micros(1)).max(self.clock.now());
        let further = Further { first: &first.id, created_at };
        let row = WrappedKey {
            wrapped: self.root.wrap(wrapping(tenant.as_str(), &id, Some(further)), &key, &*self.rng),
            id,
            tenant: tenant.as_str().to_owned(),
            subject: String::new(),
            wrapped_by: self.root.primary().to_owned(),
            created_at,
        };
        Ok((row, newest.id.clone()))
    }

    /// Wraps a tenant's keys (`""` = the system's) with the root key that wraps, where another does; how many it was.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] and [`KeyError::Tampered`] where one does not unwrap: those before it are wrapped anew.
    pub async fn rewrap_by_root(&self, tenant: &str) -> Result<u64, KeyError> {
        let mut rewrapped = 0;
        let stored = self.store.tenant_keys(tenant).await.map_err(KeyError::Unavailable)?;
        for (row, what) in in_order(tenant, &stored) {
            if row.wrapped_by == self.root.primary() {
                continue;
            }
            let key = self.root.unwrap(what, &row.wrapped_by, &row.wrapped)?;
            let wrapped = self.root.wrap(what, &key, &*self.rng);
            rewrapped += u64::from(self.replace(row, self.root.primary(), &wrapped).await?);
        }
        Ok(rewrapped)
    }

    /// The stored keys that another root key wraps than the one that wraps, of the system (tenant `""`) and of every tenant there is in
    /// the database.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`].
    pub async fn wrapped_by_other_roots(&self) -> Result<Vec<WrappedKey>, KeyError> {
        let mut found = Vec::new();
        for (tenant, _) in self.store.counts().await.map_err(KeyError::Unavailable)? {
            let keys = self.store.tenant_keys(&tenant).await.map_err(KeyError::Unavailable)?;
            found.extend(keys.into_iter().filter(|key| key.wrapped_by != self.root.primary()));
        }
        Ok(found)
    }

    /// Wraps a person's key with the tenant's newest; whether it was still what was read.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] and [`KeyError::Tampered`] when it does not unwrap.
    pub async fn rewrap_subject_key(&self, keys: &TenantKeys, row: &WrappedKey) -> Result<bool, KeyError> {
        let key = keys.unwrap_subject_key(row)?;
        let (by, wrapped) = keys.wrap_subject_key(&row.subject, &key, &*self.rng);
        self.replace(row, &by, &wrapped).await
    }

    async fn replace(&self, row: &WrappedKey, by: &str, wrapped: &[u8]) -> Result<bool, KeyError> {
        let done: Result<bool, StoreError> = self.store.rewrap(row, by, wrapped).await;
        done.map_err(KeyError::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{RealmId, Reason, Subject, Timestamp},
        keys::{
            FileKeyring,
            testing::{MemoryKeys, ROOT, SeededRng, clock, ring},
        },
    };
    use std::sync::atomic::Ordering::SeqCst;

    fn acme() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn alice() -> Subject {
        Subject { tenant: acme(), realm: RealmId::parse("staff").unwrap(), id: "alice".to_owned() }
    }

    /// Another replica's ring over the same keys.
    async fn beside(store: &Arc<MemoryKeys>, seed: u64) -> KeyRing {
        let rng = SeededRng::default();
        for _ in 0..seed {
            random_key_id(&rng);
        }
        KeyRing::open(FileKeyring::of("root", ROOT), store.clone(), clock(), Arc::new(rng)).await.unwrap()
    }

    /// What `broker keys rotate` leaves in the database.
    async fn rotate(by: &KeyRing, store: &MemoryKeys) -> WrappedKey {
        let (key, _) = by.further_tenant_key(&acme()).await.unwrap();
        store.rows.lock().unwrap().push(key.clone());
        key
    }

    /// Proves: VA5
    #[tokio::test]
    async fn va5_a_key_that_another_replica_wraps_with_is_looked_for_once_and_used() {
        let (here, store, _) = ring().await;
        let older = here.tenant_key(&acme()).await.unwrap().newest().to_owned();
        let other = beside(&store, 100).await;
        let key = rotate(&other, &store).await;
        assert_eq!(here.tenant_key(&acme()).await.unwrap().newest(), older, "it is in memory");
        let before = store.reads.load(SeqCst);
        for _ in 0..3 {
            let keys = here.tenant_key_that_knows(&acme(), &key.id).await.unwrap();
            assert_eq!(keys.ids().collect::<Vec<_>>(), [key.id.as_str(), older.as_str()]);
        }
        assert_eq!(store.reads.load(SeqCst), before + 1);
        assert_eq!(here.tenant_key(&acme()).await.unwrap().newest(), key.id, "and it wraps from now on");
        assert_eq!(here.pseudonym(&alice()).await.unwrap(), other.pseudonym(&alice()).await.unwrap());
    }

    /// Proves: VA5, VA6
    #[tokio::test]
    async fn va5_va6_a_key_that_nobody_made_costs_one_read_and_one_that_cannot_be_looked_for_is_unavailable()
    {
        let (here, store, clock) = ring().await;
        here.tenant_key(&acme()).await.unwrap();
        let nobodys = "key_00000000000000000000000000";
        store.down.store(true, SeqCst);
        let down = here.tenant_key_that_knows(&acme(), nobodys).await.err().unwrap();
        assert!(matches!(down, KeyError::Unavailable(_)), "{down}");
        store.down.store(false, SeqCst);
        let before = store.reads.load(SeqCst);
        for named in [nobodys, nobodys, "no key's name"] {
            assert!(!here.tenant_key_that_knows(&acme(), named).await.unwrap().knows(named));
        }
        assert_eq!(store.reads.load(SeqCst), before + 1);
        clock.advance(ABSENT_FOR);
        here.tenant_key_that_knows(&acme(), nobodys).await.unwrap();
        assert_eq!(store.reads.load(SeqCst), before + 2);
    }

    /// Proves: VA5
    #[tokio::test]
    async fn va5_a_further_key_is_noticed_by_who_has_the_older_ones_in_memory() {
        let (here, store, _) = ring().await;
        here.tenant_key(&acme()).await.unwrap();
        let key = rotate(&beside(&store, 100).await, &store).await;
        here.notice_further_keys().await.unwrap();
        assert_eq!(here.tenant_key(&acme()).await.unwrap().newest(), key.id);
        let before = store.reads.load(SeqCst);
        here.notice_further_keys().await.unwrap();
        assert_eq!(store.reads.load(SeqCst), before + 1, "nothing is read again");
        store.down.store(true, SeqCst);
        here.notice_further_keys().await.expect_err("it cannot be asked");
        assert_eq!(here.tenant_key(&acme()).await.unwrap().newest(), key.id, "what is here stays");
    }

    /// Proves: VA5
    #[tokio::test]
    async fn va5_a_further_key_is_the_newest_whatever_the_clock_says() {
        let (here, store, clock) = ring().await;
        let first = rotate(&here, &store).await;
        clock.set_wall(Timestamp::from_unix_seconds(1_000_000));
        let (second, previous) = here.further_tenant_key(&acme()).await.unwrap();
        assert!(second.created_at > first.created_at && previous == first.id);
        // What is there must open: else nobody could read what it wraps together with the older ones.
        store.rows.lock().unwrap().iter_mut().for_each(|row| row.wrapped[20] ^= 1);
        assert!(matches!(here.further_tenant_key(&acme()).await, Err(KeyError::Tampered { .. })));
    }

    /// A replica meets a tenant for the first time while somebody gives it a further key.
    ///
    /// Proves: VA5
    #[tokio::test]
    async fn va5_a_key_for_a_tenant_that_has_none_renames_nobody_who_is_met_meanwhile() {
        let (here, store, earlier) = ring().await;
        earlier.set_wall(Timestamp::from_unix_seconds(1_700_000_000));
        let (key, first) = here.further_tenant_key(&acme()).await.unwrap();
        let other = beside(&store, 100).await;
        let name = other.pseudonym(&alice()).await.unwrap();
        store.rows.lock().unwrap().push(key.clone());
        let later = beside(&store, 200).await;
        assert_eq!(later.pseudonym(&alice()).await.unwrap(), name);
        let keys = later.tenant_key(&acme()).await.unwrap();
        assert_eq!(keys.ids().collect::<Vec<_>>(), [key.id, first]);
        // Keys that vanished while this one knows them are no reason to begin anew.
        store.rows.lock().unwrap().retain(|row| row.tenant.is_empty());
        assert!(matches!(here.further_tenant_key(&acme()).await, Err(KeyError::Unknown { .. })));
    }

    /// Proves: VA5
    #[tokio::test]
    async fn va5_a_persons_key_that_another_replica_wrapped_anew_still_opens() {
        let (here, store, _) = ring().await;
        let sealed = here.subject_key(&alice()).await.unwrap();
        let other = beside(&store, 100).await;
        let key = rotate(&other, &store).await;
        let keys = other.reread_tenant_key(&acme()).await.unwrap();
        let pseudonym = other.pseudonym(&alice()).await.unwrap();
        let row = store.rows.lock().unwrap().iter().find(|row| row.subject == pseudonym).unwrap().clone();
        assert!(other.rewrap_subject_key(&keys, &row).await.unwrap());
        assert!(!other.rewrap_subject_key(&keys, &row).await.unwrap(), "it is no more what was read");
        let stored = store.rows.lock().unwrap().iter().find(|row| row.subject == pseudonym).unwrap().clone();
        assert_eq!((stored.id.as_str(), &stored.wrapped_by), (sealed.id(), &key.id));
        // This one has the older keys in memory.
        let opened = here.subject_key_of(&acme(), &pseudonym).await.unwrap().unwrap();
        assert_eq!(opened.id(), sealed.id());
    }

    /// Whoever can write to the database gives the tenant's keys another order: then they serve nobody, also after a change of the root
    /// key.
    ///
    /// Proves: VA5, VA11
    #[tokio::test]
    async fn va5_va11_keys_whose_order_was_edited_are_not_used() {
        let (here, store, clock) = ring().await;
        for _ in 0..2 {
            rotate(&here, &store).await;
            clock.advance(Duration::from_secs(60));
        }
        let both = || FileKeyring::both(("root-2", [9; 32]), ("root", ROOT));
        for rewrapped in [false, true] {
            let open = || KeyRing::open(both(), store.clone(), clock.clone(), Arc::new(SeededRng::default()));
            let sound = open().await.unwrap();
            if rewrapped {
                assert_eq!(sound.rewrap_by_root("acme").await.unwrap(), 3);
            }
            sound.tenant_key(&acme()).await.unwrap();
            let stored = store.rows.lock().unwrap().clone();
            let of_acme: Vec<_> = (0..stored.len()).filter(|n| stored[*n].tenant == "acme").collect();
            let [first, second, third] = of_acme[..] else { panic!("three keys") };
            for (one, other) in [(first, second), (second, third), (first, third)] {
                {
                    let mut rows = store.rows.lock().unwrap();
                    (rows[one].created_at, rows[other].created_at) =
                        (stored[other].created_at, stored[one].created_at);
                }
                for refused in [
                    open().await.unwrap().tenant_key(&acme()).await.map(drop),
                    sound.further_tenant_key(&acme()).await.map(drop),
                    sound.reread_tenant_key(&acme()).await.map(drop),
                ] {
                    let refused = refused.expect_err("another order");
                    assert!(matches!(refused, KeyError::Tampered { .. }), "{refused}");
                    assert_eq!(refused.reason(), Reason::KeyUnavailable);
                }
                if !rewrapped {
                    sound.rewrap_by_root("acme").await.expect_err("it would make the order hold");
                }
                store.rows.lock().unwrap().clone_from(&stored);
            }
            // Nor can the key that names people be taken away, so that another names them.
            store.rows.lock().unwrap().remove(first);
            assert!(matches!(
                open().await.unwrap().tenant_key(&acme()).await,
                Err(KeyError::Tampered { .. })
            ));
            store.rows.lock().unwrap().clone_from(&stored);
        }
    }

    /// Proves: VA1, VA5
    #[tokio::test]
    async fn va5_another_root_key_wraps_the_tenants_keys_and_the_older_one_is_needed_no_more() {
        let (here, store, _) = ring().await;
        here.tenant_key(&acme()).await.unwrap();
        let both = || FileKeyring::both(("root-2", [9; 32]), ("root", ROOT));
        let ring =
            KeyRing::open(both(), store.clone(), clock(), Arc::new(SeededRng::default())).await.unwrap();
        for (n, tenant) in ["", "acme"].into_iter().enumerate() {
            assert_eq!(ring.wrapped_by_other_roots().await.unwrap().len(), 2 - n);
            assert_eq!(ring.rewrap_by_root(tenant).await.unwrap(), 1);
            assert_eq!(ring.rewrap_by_root(tenant).await.unwrap(), 0);
        }
        assert_eq!(ring.wrapped_by_other_roots().await.unwrap(), []);
        let alone = FileKeyring::of("root-2", [9; 32]);
        let alone =
            KeyRing::open(alone, store.clone(), clock(), Arc::new(SeededRng::default())).await.unwrap();
        assert_eq!(alone.audit_keys().current(), here.audit_keys().current());
        let newest = alone.tenant_key(&acme()).await.unwrap().newest().to_owned();
        assert_eq!(here.tenant_key(&acme()).await.unwrap().newest(), newest);
    }
}
