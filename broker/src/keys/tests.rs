use super::{
    FileKeyring, KeyError, KeyRing, KeyringError, SecretKey,
    file_keyring::{Further, Wrapping, is_private},
    testing::{MemoryKeys, ROOT, SeededRng, clock, ring},
};
use crate::{
    domain::{
        Clock, ConsentId, RealmId, Reason, Rule, RuleKind, Subject, SystemRng, Target, TenantId, Timestamp,
    },
    storage::{WrappedKey, WrappedKeys},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

fn subject(realm: &str, id: &str) -> Subject {
    Subject {
        tenant: TenantId::parse("acme").unwrap(),
        realm: RealmId::parse(realm).unwrap(),
        id: id.to_owned(),
    }
}

fn write(dir: &Path, mode: u32, text: &str) -> PathBuf {
    let path = dir.join("keys.json");
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn one_key(bytes: &[u8]) -> String {
    format!(r#"{{"keys":[{{"id":"k1","key":"{}"}}]}}"#, STANDARD.encode(bytes))
}

async fn reopen(store: &Arc<MemoryKeys>, root: [u8; 32]) -> Result<KeyRing, KeyError> {
    let root = FileKeyring::of("root", root);
    KeyRing::open(root, store.clone(), clock(), Arc::new(SystemRng::default())).await
}

/// Proves: VA7
#[test]
fn va7_a_generated_key_file_is_private_new_and_loads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let made = FileKeyring::generate(&path, &SystemRng::default()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let loaded = FileKeyring::load(&path).unwrap();
    assert_eq!(made.primary(), loaded.primary());
    let what = Wrapping { purpose: "tenant", tenant: "acme", key: "key_1", further: None };
    let key = SecretKey::random(&SystemRng::default());
    let wrapped = made.wrap(what, &key, &SystemRng::default());
    assert_eq!(loaded.unwrap(what, made.primary(), &wrapped).ok().unwrap().expose(), key.expose());
    let again = FileKeyring::generate(&path, &SystemRng::default());
    assert!(matches!(again, Err(KeyringError::Exists { .. })));
    let text = std::fs::read_to_string(&path).unwrap();
    let secret = text.split('"').nth(9).unwrap();
    assert_eq!(secret.len(), 44);
    assert!(!format!("{loaded:?}").contains(secret));
}

/// Proves: VA7
#[test]
fn va7_key_files_that_make_encryption_a_pretence_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let counted: Vec<u8> = (0..32).collect();
    let period: Vec<u8> = [7u8, 9, 200, 31].repeat(8);
    let published = data_encoding::HEXLOWER
        .decode(b"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
        .unwrap();
    let guessable: [&[u8]; 6] =
        [&[0; 32], &[0xaa; 32], &counted, &period, &published, b"change-me-change-me-change-me-32"];
    for key in guessable {
        let refused = FileKeyring::load(&write(dir.path(), 0o600, &one_key(key))).unwrap_err();
        assert!(matches!(refused, KeyringError::Guessable { .. }), "{refused}");
    }
    for length in [0, 16, 31, 33, 64] {
        let refused =
            FileKeyring::load(&write(dir.path(), 0o600, &one_key(&vec![0x3c; length]))).unwrap_err();
        assert!(matches!(refused, KeyringError::WrongLength { length: l, .. } if l == length), "{refused}");
    }
    let good = one_key(&ROOT);
    for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o601] {
        let refused = FileKeyring::load(&write(dir.path(), mode, &good)).unwrap_err();
        assert!(matches!(refused, KeyringError::OpenToOthers { mode: m, .. } if m == mode), "{refused}");
        assert!(refused.to_string().contains("chmod 600"));
    }
    for mode in [0o600, 0o400] {
        FileKeyring::load(&write(dir.path(), mode, &good)).unwrap();
    }
}

/// Proves: VA7
#[test]
fn va7_a_key_file_is_its_owners_or_lent_by_root_to_a_group() {
    let (root, me, other) = (0, 65_532, 1000);
    for (mode, owner, we) in
        [(0o600, me, me), (0o400, root, root), (0o440, root, me), (0o640, root, me), (0o400, other, me)]
    {
        assert!(is_private(mode, owner, we), "{mode:o} of {owner} for {we}");
    }
    let refused = [
        // A group that the owner, who is nobody special, let in.
        (0o440, me, me),
        (0o440, other, me),
        (0o640, root, root),
        // A group that may write, and everybody.
        (0o460, root, me),
        (0o660, root, me),
        (0o450, root, me),
        (0o444, root, me),
        (0o441, root, me),
        (0o404, root, me),
    ];
    for (mode, owner, we) in refused {
        assert!(!is_private(mode, owner, we), "{mode:o} of {owner} for {we}");
    }
}

/// Proves: VA7
#[test]
fn va7_malformed_key_files_are_typed_errors_that_show_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let secret = STANDARD.encode(ROOT);
    let key = |id: &str| format!(r#"{{"id":"{id}","key":"{secret}"}}"#);
    let cases = [
        (String::new(), "malformed"),
        (r#"{"keys":[]}"#.to_owned(), "holds no key"),
        (format!(r#"{{"keys":[{},{}]}}"#, key("a"), key("a")), "twice"),
        (format!(r#"{{"keys":[{}],"keys":[{}]}}"#, key("a"), key("b")), "malformed"),
        (format!(r#"{{"keys":[{}],"extra":"{secret}"}}"#, key("a")), "malformed"),
        (format!(r#"{{"keys":[{{"id":"a","key":"{secret}","note":""}}]}}"#), "malformed"),
        (format!(r#"{{"keys":["{secret}"]}}"#), "malformed"),
        (format!(r#"{{"keys":[{}]}}"#, key("A b")), "its id must be"),
        (format!(r#"{{"keys":[{{"id":"a","key":"{}"}}]}}"#, &secret[1..]), "not base64"),
        (format!(r#"{{"keys":[{}]}} {secret}"#, key("a")), "malformed"),
        (" ".repeat(70_000), "larger than"),
    ];
    for (text, expected) in cases {
        let refused = FileKeyring::load(&write(dir.path(), 0o600, &text)).unwrap_err();
        let (shown, debug) = (refused.to_string(), format!("{refused:?}"));
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains(&secret[1..20]) && !debug.contains(&secret[1..20]), "{shown}");
    }
    assert!(matches!(FileKeyring::load(&dir.path().join("none")), Err(KeyringError::Io { .. })));
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(FileKeyring::load(dir.path()), Err(KeyringError::NotAFile { .. })));
}

/// Proves: VA1
#[test]
fn va1_a_wrapped_key_is_bound_to_its_purpose_tenant_and_id() {
    let root = FileKeyring::of("root", ROOT);
    let what = Wrapping { purpose: "tenant", tenant: "acme", key: "key_1", further: None };
    let key = SecretKey::random(&SystemRng::default());
    let wrapped = root.wrap(what, &key, &SystemRng::default());
    assert!(root.unwrap(what, "root", &wrapped).is_ok());
    for other in [
        Wrapping { purpose: "system", ..what },
        Wrapping { tenant: "umbrella", ..what },
        Wrapping { key: "key_2", ..what },
        Wrapping { further: Some(Further { first: "key_0", created_at: clock().now() }), ..what },
    ] {
        assert!(matches!(root.unwrap(other, "root", &wrapped), Err(KeyError::Tampered { .. })));
    }
    assert!(matches!(root.unwrap(what, "other", &wrapped), Err(KeyError::Unknown { .. })));
    assert!(matches!(root.unwrap(what, "root", &wrapped[..59]), Err(KeyError::Tampered { .. })));
}

/// Proves: VA12, CO1
#[tokio::test]
async fn va12_a_reopened_ring_has_the_same_subkeys_and_each_purpose_its_own() {
    let (first, store, _) = ring().await;
    let second = reopen(&store, ROOT).await.unwrap();
    let consent = ConsentId::random(&SystemRng::default());
    let handle = first.consent_handle(&consent);
    assert_eq!(handle, second.consent_handle(&consent));
    assert_eq!(handle.len(), 43);
    assert_ne!(handle, first.consent_handle(&ConsentId::random(&SystemRng::default())));
    let mut hash = [0; 32];
    hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, handle.as_bytes()).as_ref());
    assert_eq!(second.consent_handle_for(&consent, &hash), Some(handle));
    assert_eq!(second.consent_handle_for(&consent, &[0; 32]), None);
    let rule = Rule {
        epoch: 1,
        kind: RuleKind::Block,
        target: Target::Tenant(TenantId::parse("acme").unwrap()),
        at: Timestamp::from_micros(1),
    };
    assert!(first.row_key().tag(rule).check(&second.row_key()).is_ok());
    let tag = first.audit_keys().sign(b"x");
    assert!(second.audit_keys().verify(first.audit_keys().current(), b"x", &tag));
    assert!(!second.audit_keys().verify("key_other", b"x", &tag));
    let keys = [super::Subkey::RowMac, super::Subkey::Cookie, super::Subkey::Spool, super::Subkey::Audit];
    let system =
        super::system_key::SystemKeys { keys: vec![("k".into(), SecretKey::from_slice(&ROOT).unwrap())] };
    let mut derived: Vec<_> = keys.iter().map(|s| *system.derive(*s)[0].1.expose()).collect();
    derived.push(ROOT);
    derived.sort_unstable();
    derived.dedup();
    assert_eq!(derived.len(), 5);
}

/// Proves: VA6, VA7
#[tokio::test]
async fn va6_a_ring_never_falls_back_to_a_fresh_key() {
    let (_, store, _) = ring().await;
    let rows = store.rows.lock().unwrap().len();
    let mut other = ROOT;
    other[0] ^= 1;
    assert!(matches!(reopen(&store, other).await, Err(KeyError::Tampered { .. })));
    store.rows.lock().unwrap()[0].wrapped_by = "gone".into();
    assert!(matches!(reopen(&store, ROOT).await, Err(KeyError::Unknown { .. })));
    store.rows.lock().unwrap()[0].wrapped_by = "root".into();
    store.rows.lock().unwrap()[0].wrapped[20] ^= 1;
    assert!(matches!(reopen(&store, ROOT).await, Err(KeyError::Tampered { .. })));
    store.down.store(true, Ordering::SeqCst);
    let down = reopen(&store, ROOT).await.err().unwrap();
    assert_eq!(down.reason(), Reason::StoreUnavailable);
    assert_eq!(store.rows.lock().unwrap().len(), rows, "nothing was made instead");
}

/// Storage that shows no key until somebody else has made one: the loser of a race.
struct Racing(MemoryKeys, std::sync::atomic::AtomicBool);

#[async_trait::async_trait]
impl WrappedKeys for Racing {
    async fn tenant_keys(&self, tenant: &str) -> Result<Vec<WrappedKey>, crate::storage::StoreError> {
        let first = !self.1.swap(true, Ordering::SeqCst);
        if first { Ok(Vec::new()) } else { self.0.tenant_keys(tenant).await }
    }
    async fn subject_key(&self, t: &str, p: &str) -> Result<Option<WrappedKey>, crate::storage::StoreError> {
        self.0.subject_key(t, p).await
    }
    async fn insert(&self, key: &WrappedKey, first: bool) -> Result<(), crate::storage::StoreError> {
        self.0.insert(key, first).await
    }
    async fn rewrap(
        &self,
        was: &WrappedKey,
        by: &str,
        to: &[u8],
    ) -> Result<bool, crate::storage::StoreError> {
        self.0.rewrap(was, by, to).await
    }
    async fn counts(&self) -> Result<Vec<(String, u64)>, crate::storage::StoreError> {
        self.0.counts().await
    }
}

/// Proves: VA1
#[tokio::test]
async fn va1_whoever_loses_the_race_for_the_first_key_uses_the_winners() {
    let (winner, store, _) = ring().await;
    let rows = store.rows.lock().unwrap().clone();
    let racing = Arc::new(Racing(MemoryKeys::default(), false.into()));
    *racing.0.rows.lock().unwrap() = rows;
    let root = FileKeyring::of("root", ROOT);
    let loser = KeyRing::open(root, racing.clone(), clock(), Arc::new(SystemRng::default())).await.unwrap();
    assert_eq!(loser.audit_keys().current(), winner.audit_keys().current());
    assert_eq!(racing.0.rows.lock().unwrap().len(), 1);
}

/// Proves: VA5, AU14
#[tokio::test]
async fn va5_after_rotation_the_newest_key_wraps_all_open_and_nobody_is_renamed() {
    let (ring, store, clock) = ring().await;
    let alice = subject("staff", "alice");
    let (name, first) =
        (ring.pseudonym(&alice).await.unwrap(), ring.tenant_key(&alice.tenant).await.unwrap());
    let subject_key = ring.subject_key(&alice).await.unwrap();
    let data_key = SecretKey::random(&SystemRng::default());
    let wrapped = first.wrap_data_key(1, &data_key, &SystemRng::default());
    let (row, _) = ring.further_tenant_key(&alice.tenant).await.unwrap();
    store.insert(&row, false).await.unwrap();
    clock.advance(Duration::from_secs(300));
    let rotated = ring.tenant_key(&alice.tenant).await.unwrap();
    assert_eq!(rotated.newest(), row.id);
    assert_eq!(
        rotated.unwrap_data_key(1, first.newest(), &wrapped).ok().unwrap().expose(),
        data_key.expose()
    );
    assert_eq!(ring.pseudonym(&alice).await.unwrap(), name);
    assert_eq!(ring.subject_key(&alice).await.unwrap().id(), subject_key.id());
}

/// Proves: AU14
#[tokio::test]
async fn au14_pseudonyms_and_subject_keys_belong_to_one_person() {
    let (ring, store, clock) = ring().await;
    let people = [subject("staff", "alice"), subject("staff", "bob"), subject("staf", "falice"), {
        let mut other = subject("staff", "alice");
        other.tenant = TenantId::parse("umbrella").unwrap();
        other
    }];
    let mut names = Vec::new();
    for person in &people {
        names.push(ring.pseudonym(person).await.unwrap());
        ring.subject_key(person).await.unwrap();
    }
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), people.len());
    let known = ring.subject_key_of(&people[1].tenant, &names[1]).await.unwrap().unwrap();
    assert_eq!(known.id(), ring.subject_key(&people[1]).await.unwrap().id());
    let nobody = ring.subject_key_of(&people[1].tenant, &"0".repeat(64)).await.unwrap();
    assert!(nobody.is_none(), "and none is made");
    // Another person's key put under alice's name does not unwrap.
    clock.advance(Duration::from_secs(300));
    {
        let mut rows = store.rows.lock().unwrap();
        let bobs = rows.iter().find(|r| r.subject == names[1]).unwrap().clone();
        let alices = rows.iter_mut().find(|r| r.subject == names[0]).unwrap();
        (alices.id, alices.wrapped) = (bobs.id, bobs.wrapped);
    }
    assert!(matches!(ring.subject_key(&people[0]).await, Err(KeyError::Tampered { .. })));
}

/// Proves: VA6
#[tokio::test]
async fn va6_an_unreachable_store_is_unavailable_once_the_key_is_old() {
    let (ring, store, clock) = ring().await;
    let alice = subject("staff", "alice");
    ring.subject_key(&alice).await.unwrap();
    store.down.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_secs(299));
    ring.subject_key(&alice).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(matches!(ring.subject_key(&alice).await, Err(KeyError::Unavailable(_))));
    assert!(matches!(ring.pseudonym(&alice).await, Err(KeyError::Unavailable(_))));
}

/// Proves: VA12
#[tokio::test]
async fn va12_a_cookie_opens_under_its_own_name_and_purpose_only() {
    let (ring, ..) = ring().await;
    let cookies = ring.cookies();
    let text = cookies.seal("__Host-login", "state", b"hello").unwrap();
    assert_eq!(cookies.open("__Host-login", "state", &text).unwrap().as_slice(), b"hello");
    assert!(cookies.open("__Host-session", "state", &text).is_err());
    assert!(cookies.open("__Host-login", "nonce", &text).is_err());
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(cookies.open("__Host-login", "state", &String::from_utf8(changed).unwrap()).is_err());
    }
    for bad in ["", "é", "=", &"A".repeat(10_000)] {
        assert!(cookies.open("__Host-login", "state", bad).is_err());
    }
    assert!(cookies.seal("__Host-login", "state", &[0; 2049]).is_err());
    assert!(cookies.seal("__Host-login", "state", &[0; 2048]).unwrap().len() < 4096);
    let mut aad = crate::domain::Canonical::new("spool");
    let sealed = ring.spool().seal(&SeededRng::default(), &aad, b"entry");
    assert_eq!(ring.spool().open(&aad, &sealed).unwrap().as_slice(), b"entry");
    assert!(ring.spool().open(aad.text("other"), &sealed).is_err());
}
