//! The key ring: everything the broker encrypts or MACs with, by purpose.

use super::{
    AeadKeys, AuditKeys, FileKeyring, KeyError, SealedCookies, SecretKey, SubjectKey, Subkey, TenantKeys,
    file_keyring::{Further, Wrapping},
    random_key_id,
    system_key::SystemKeys,
};
use crate::{
    domain::{Canonical, Clock, ConsentId, ParentId, Rng, RowKey, Subject, TenantId, sha256},
    storage::{StoreError, WrappedKey, WrappedKeys},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use std::{sync::Arc, time::Duration};
use zeroize::Zeroize;

/// How many unwrapped keys are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct KeyRingLimits {
    /// A cached key is read again after this long.
    pub max_age: Duration,
    /// Most tenants cached.
    pub tenants: u64,
    /// Most subjects cached.
    pub subjects: u64,
}

impl Default for KeyRingLimits {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(300), tenants: 10_000, subjects: 50_000 }
    }
}

/// Most tenant keys remembered as absent.
const MOST_ABSENT: u64 = 10_000;

/// Something loaded, and the monotonic reading when it was.
pub(super) struct Aged<T> {
    pub(super) value: Arc<T>,
    at: Duration,
}

impl<T> Clone for Aged<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), at: self.at }
    }
}

/// The key ring. One per process.
pub struct KeyRing {
    pub(super) root: FileKeyring,
    pub(super) store: Arc<dyn WrappedKeys>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    max_age: Duration,
    rows: RowKey,
    audit: AuditKeys,
    cookies: SealedCookies,
    spool: AeadKeys,
    handles: Vec<hmac::Key>,
    claims: hmac::Key,
    pub(super) tenants: moka::sync::Cache<TenantId, Aged<TenantKeys>>,
    /// Tenant keys that nobody has made, and the monotonic reading when they were last looked for.
    pub(super) absent: moka::sync::Cache<(TenantId, String), Duration>,
    relay: AeadKeys,
    counts: hmac::Key,
    subjects: moka::sync::Cache<Subject, Aged<SubjectKey>>,
}

impl KeyRing {
    /// Loads the system keys, or makes the first one.
    ///
    /// # Errors
    /// [`KeyError`]: the store cannot be reached, or a system key does not unwrap. Never a fresh key instead.
    pub async fn open(
        root: FileKeyring,
        store: Arc<dyn WrappedKeys>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, KeyError> {
        Self::open_with(root, store, clock, rng, KeyRingLimits::default()).await
    }

    /// The same with limits of one's own.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn open_with(
        root: FileKeyring,
        store: Arc<dyn WrappedKeys>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        limits: KeyRingLimits,
    ) -> Result<Self, KeyError> {
        let keys = load_or_create(&root, &*store, &*clock, &*rng, "").await?;
        let system = SystemKeys { keys };
        let rows = with_row_keys(&system, RowKey::new);
        let hmacs = |subkey| system.derive(subkey).iter().map(|(_, key)| key.hmac()).collect::<Vec<_>>();
        Ok(Self {
            rows,
            audit: AuditKeys::new(&system.derive(Subkey::Audit)),
            cookies: SealedCookies::new(AeadKeys::new(system.derive(Subkey::Cookie)), rng.clone()),
            spool: AeadKeys::new(system.derive(Subkey::Spool)),
            handles: hmacs(Subkey::ConsentHandle),
            claims: hmacs(Subkey::RequestClaim).swap_remove(0),
            relay: AeadKeys::new(system.derive(Subkey::Relay)),
            counts: hmacs(Subkey::CallCount).swap_remove(0),
            tenants: moka::sync::Cache::new(limits.tenants),
            subjects: moka::sync::Cache::new(limits.subjects),
            absent: moka::sync::Cache::new(MOST_ABSENT),
            max_age: limits.max_age,
            root,
            store,
            clock,
            rng,
        })
    }

    /// How many root keys there are, of which one wraps.
    pub fn root_keys(&self) -> usize {
        self.root.ids().count()
    }

    /// Makes and checks row MACs.
    pub fn row_key(&self) -> RowKey {
        self.rows.clone()
    }

    /// Reads the system keys again, for what they check rows with: another replica may have made one.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`]; where one does not unwrap, all stays as it was.
    pub async fn reread_row_keys(&self) -> Result<(), KeyError> {
        let stored = self.store.tenant_keys("").await.map_err(KeyError::Unavailable)?;
        if stored.is_empty() {
            return Err(KeyError::SystemKeyGone);
        }
        let system = SystemKeys { keys: unwrap_all(&self.root, "", &stored)? };
        with_row_keys(&system, |keys| self.rows.renew(keys));
        Ok(())
    }

    /// Makes and checks the audit log's MACs.
    pub fn audit_keys(&self) -> AuditKeys {
        self.audit.clone()
    }

    /// Seals and opens cookies.
    pub fn cookies(&self) -> &SealedCookies {
        &self.cookies
    }

    /// Seals and opens what is spooled to disk.
    pub fn spool(&self) -> &AeadKeys {
        &self.spool
    }

    /// Seals and opens what replicas tell each other through Redis.
    pub fn relay(&self) -> &AeadKeys {
        &self.relay
    }

    /// The name that Redis counts a caller's calls under: who it is cannot be guessed from it.
    pub fn call_count(&self, message: &Canonical) -> [u8; 32] {
        mac(&self.counts, message)
    }

    /// A MAC of a request id's lookup key or fingerprint, so that a stolen table cannot be searched by guessing.
    pub fn request_claim(&self, message: &Canonical) -> [u8; 32] {
        mac(&self.claims, message)
    }

    /// The handle in a consent's link: 256 bits as base64url, made again whenever the link is shown again (CO1).
    pub fn consent_handle(&self, consent: &ConsentId) -> String {
        handle(&self.handles[0], consent)
    }

    /// The handle in a parent page's link, made like a consent's and never one.
    pub fn parent_handle(&self, parent: &ParentId) -> String {
        let mut message = Canonical::new("broker.v1 parent page handle");
        message.text(parent.as_str());
        URL_SAFE_NO_PAD.encode(mac(&self.handles[0], &message))
    }

    /// The handle of an existing consent, which an older key may have made; `None` when no key here did.
    pub fn consent_handle_for(&self, consent: &ConsentId, handle_hash: &[u8; 32]) -> Option<String> {
        self.handles
            .iter()
            .map(|key| handle(key, consent))
            .find(|text| sha256(text.as_bytes()) == *handle_hash)
    }

    /// A tenant's keys, from memory while they are young enough, else read and unwrapped; made on first use.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] when they have to be read and cannot be; [`KeyError::Unknown`] and
    /// [`KeyError::Tampered`] when they do not unwrap.
    pub async fn tenant_key(&self, tenant: &TenantId) -> Result<Arc<TenantKeys>, KeyError> {
        if let Some(keys) = self.young(self.tenants.get(tenant)) {
            return Ok(keys);
        }
        self.reread_tenant_key(tenant).await
    }

    /// The same, read now: what others made meanwhile is there.
    ///
    /// # Errors
    /// See [`Self::tenant_key`]; then those in memory stay as they were.
    pub async fn reread_tenant_key(&self, tenant: &TenantId) -> Result<Arc<TenantKeys>, KeyError> {
        let loaded =
            Box::pin(load_or_create(&self.root, &*self.store, &*self.clock, &*self.rng, tenant.as_str()))
                .await?;
        let value = Arc::new(TenantKeys::new(tenant.as_str(), loaded));
        self.tenants.insert(tenant.clone(), Aged { value: value.clone(), at: self.clock.monotonic() });
        Ok(value)
    }

    /// The person's stable name in the audit log: HMAC-SHA-256 under a tenant subkey, 64 hex digits.
    ///
    /// # Errors
    /// See [`Self::tenant_key`].
    pub async fn pseudonym(&self, subject: &Subject) -> Result<String, KeyError> {
        Ok(self.tenant_key(&subject.tenant).await?.pseudonym(subject))
    }

    /// The person's own key, made on first use.
    ///
    /// # Errors
    /// See [`Self::tenant_key`].
    pub async fn subject_key(&self, subject: &Subject) -> Result<Arc<SubjectKey>, KeyError> {
        if let Some(key) = self.young(self.subjects.get(subject)) {
            return Ok(key);
        }
        let tenant = self.tenant_key(&subject.tenant).await?;
        let value = Arc::new(Box::pin(self.load_or_create_subject_key(subject, &tenant)).await?);
        self.subjects.insert(subject.clone(), Aged { value: value.clone(), at: self.clock.monotonic() });
        Ok(value)
    }

    /// The key of a person known by pseudonym only, for showing an event's personal fields to an auditor; `None` when
    /// there is none, or it was destroyed. Never makes one.
    ///
    /// # Errors
    /// See [`Self::tenant_key`].
    pub async fn subject_key_of(
        &self,
        tenant: &TenantId,
        pseudonym: &str,
    ) -> Result<Option<SubjectKey>, KeyError> {
        self.stored_subject_key(tenant, pseudonym).await
    }

    async fn load_or_create_subject_key(
        &self,
        subject: &Subject,
        tenant: &TenantKeys,
    ) -> Result<SubjectKey, KeyError> {
        let pseudonym = tenant.pseudonym(subject);
        if let Some(key) = self.stored_subject_key(&subject.tenant, &pseudonym).await? {
            return Ok(key);
        }
        let key = SubjectKey { id: random_key_id(&*self.rng), key: SecretKey::random(&*self.rng) };
        let (wrapped_by, wrapped) = tenant.wrap_subject_key(&pseudonym, &key, &*self.rng);
        let row = WrappedKey {
            id: key.id.clone(),
            tenant: subject.tenant.as_str().to_owned(),
            subject: pseudonym.clone(),
            wrapped_by,
            wrapped,
            created_at: self.clock.now(),
        };
        match self.store.insert(&row, false).await {
            Ok(()) => Ok(key),
            Err(StoreError::Exists) => self
                .stored_subject_key(&subject.tenant, &pseudonym)
                .await?
                .ok_or(KeyError::Unknown { key: row.id }),
            Err(error) => Err(KeyError::Unavailable(error)),
        }
    }

    async fn stored_subject_key(
        &self,
        tenant: &TenantId,
        pseudonym: &str,
    ) -> Result<Option<SubjectKey>, KeyError> {
        let stored = self.store.subject_key(tenant.as_str(), pseudonym).await;
        match stored.map_err(KeyError::Unavailable)? {
            // The row must be the one asked for: its own columns are bound when it is unwrapped.
            Some(row) if row.subject == pseudonym && row.tenant == tenant.as_str() => {
                self.tenant_key_that_knows(tenant, &row.wrapped_by).await?.unwrap_subject_key(&row).map(Some)
            }
            Some(row) => Err(KeyError::Tampered { key: row.id }),
            None => Ok(None),
        }
    }

    fn young<T>(&self, cached: Option<Aged<T>>) -> Option<Arc<T>> {
        cached.filter(|c| self.clock.monotonic().saturating_sub(c.at) < self.max_age).map(|c| c.value)
    }
}

/// Wipes them afterwards.
fn with_row_keys<T>(system: &SystemKeys, take: impl FnOnce(&[(String, [u8; 32])]) -> T) -> T {
    let mut keys: Vec<_> =
        system.derive(Subkey::RowMac).into_iter().map(|(id, key)| (id, *key.expose())).collect();
    let taken = take(&keys);
    keys.iter_mut().for_each(|(_, key)| key.zeroize());
    taken
}

fn mac(key: &hmac::Key, message: &Canonical) -> [u8; 32] {
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(key, message.finish()).as_ref());
    tag
}

fn handle(key: &hmac::Key, consent: &ConsentId) -> String {
    let mut message = Canonical::new("broker.v1 consent handle");
    message.text(consent.as_str());
    URL_SAFE_NO_PAD.encode(mac(key, &message))
}

async fn load_or_create(
    root: &FileKeyring,
    store: &dyn WrappedKeys,
    clock: &dyn Clock,
    rng: &dyn Rng,
    tenant: &str,
) -> Result<Vec<(String, SecretKey)>, KeyError> {
    let stored = store.tenant_keys(tenant).await.map_err(KeyError::Unavailable)?;
    if !stored.is_empty() {
        return unwrap_all(root, tenant, &stored);
    }
    let (id, key) = (random_key_id(rng), SecretKey::random(rng));
    let row = WrappedKey {
        wrapped: root.wrap(wrapping(tenant, &id, None), &key, rng),
        id,
        tenant: tenant.to_owned(),
        subject: String::new(),
        wrapped_by: root.primary().to_owned(),
        created_at: clock.now(),
    };
    match store.insert(&row, true).await {
        Ok(()) => Ok(vec![(row.id, key)]),
        Err(StoreError::Exists) => {
            let stored = store.tenant_keys(tenant).await.map_err(KeyError::Unavailable)?;
            if stored.is_empty() {
                Err(KeyError::Unknown { key: row.id })
            } else {
                unwrap_all(root, tenant, &stored)
            }
        }
        Err(error) => Err(KeyError::Unavailable(error)),
    }
}

/// The stored keys, newest first. All or none: a ring with a gap would quarantine rows that are in order.
pub(super) fn unwrap_all(
    root: &FileKeyring,
    tenant: &str,
    stored: &[WrappedKey],
) -> Result<Vec<(String, SecretKey)>, KeyError> {
    in_order(tenant, stored)
        .map(|(row, what)| Ok((row.id.clone(), root.unwrap(what, &row.wrapped_by, &row.wrapped)?)))
        .collect()
}

/// What each stored key, newest first, must have been wrapped as to stand where it does: the oldest as the tenant's first, which names
/// people, the others at their time after it. So an edited order does not unwrap. The system gets no further keys by command: its keys
/// are not ordered.
pub(super) fn in_order<'a>(
    tenant: &'a str,
    stored: &'a [WrappedKey],
) -> impl Iterator<Item = (&'a WrappedKey, Wrapping<'a>)> {
    let oldest = stored.last().filter(|_| !tenant.is_empty());
    stored.iter().map(move |row| {
        let first = oldest.filter(|first| first.id != row.id);
        let further = first.map(|first| Further { first: &first.id, created_at: row.created_at });
        (row, wrapping(tenant, &row.id, further))
    })
}

pub(super) fn wrapping<'a>(tenant: &'a str, key: &'a str, further: Option<Further<'a>>) -> Wrapping<'a> {
    let purpose = if tenant.is_empty() { "system" } else { "tenant" };
    Wrapping { purpose, tenant, key, further }
}
