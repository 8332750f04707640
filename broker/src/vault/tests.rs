use super::{Vault, VaultError, envelope::FORMAT, sealing};
use crate::{
    audit::Audited,
    domain::{
        AccessToken, Clock, EventId, ExposeSecret, Kind, ManualClock, Owner, PkceVerifier, Position,
        ProviderId, RealmId, RecordKey, RefreshToken, Sealed, SecretString, StreamId, Subject, SystemRng,
        TenantId, sealed::same_value,
    },
    keys::{
        KeyRing, TenantKeys,
        testing::{FixedRng, MemoryKeys, SeededRng, ring, tenant_keys},
    },
    policy::{ExchangeCode, Facts, Issue, Permit, Purpose, Refresh},
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

const OLD: (&str, [u8; 32]) = ("key_old", [0x5a; 32]);
const NEW: (&str, [u8; 32]) = ("key_new", [0xc3; 32]);

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn subject() -> Subject {
    Subject {
        tenant: TenantId::parse("acme").unwrap(),
        realm: RealmId::parse("staff").unwrap(),
        id: "alice".into(),
    }
}

fn record() -> RecordKey {
    RecordKey {
        table: "connection_secrets",
        row: "con_1\n".into(),
        owner: Owner::Subject(subject()),
        provider: ProviderId::parse("notes").unwrap(),
        generation: 3,
    }
}

fn keys() -> TenantKeys {
    tenant_keys("acme", &[NEW, OLD])
}

fn sealed<K: Kind>(plain: &[u8]) -> Sealed<K> {
    sealing::seal(&keys(), &SystemRng::default(), &record(), plain).unwrap()
}

/// A proof as the audit room makes it, `at` on the monotonic clock.
fn proof<P: Purpose>(key: RecordKey, at: Duration) -> Audited<Permit<P>> {
    let rng = SystemRng::default();
    let stream = StreamId::opened_at(crate::domain::Timestamp::from_micros(1), &rng);
    let permit = Permit::for_test(key, Facts::default());
    Audited::for_test(permit, EventId::random(&rng), Position { stream, seq: 1 }, at)
}

async fn vault() -> (Vault, Arc<ManualClock>, Arc<MemoryKeys>, Arc<KeyRing>) {
    let (ring, store, clock) = ring().await;
    (Vault::new(ring.clone(), clock.clone(), Arc::new(SeededRng::default())), clock, store, ring)
}

fn secret() -> SecretString {
    SecretString::from("s3cret")
}

/// Proves: VA1, VA2, VA3
#[test]
fn va1_known_answers_hold_both_ways() {
    let file: serde_json::Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let rec = |name: &str| vector["record"][name].as_str().unwrap();
        let tenant = TenantId::parse(rec("tenant")).unwrap();
        let owner = match rec("owner_kind") {
            "tenant" => Owner::Tenant(tenant),
            _ => Owner::Subject(Subject {
                tenant,
                realm: RealmId::parse(rec("realm")).unwrap(),
                id: rec("subject").to_owned(),
            }),
        };
        let key = RecordKey {
            table: "connection_secrets",
            row: rec("row").to_owned(),
            owner,
            provider: ProviderId::parse(rec("provider")).unwrap(),
            generation: vector["record"]["generation"].as_i64().unwrap(),
        };
        let tenant_key: [u8; 32] = hex(text("tenant_key")).try_into().unwrap();
        let keys = tenant_keys(rec("tenant"), &[(text("tenant_key_id"), tenant_key)]);
        let draws = || FixedRng::of([hex(text("data_key")), hex(text("nonce")), hex(text("wrapping_nonce"))]);
        let plain = text("plaintext").as_bytes();
        assert_eq!(key.aad(FORMAT, rec("column")).finish(), hex(text("aad")), "aad");
        if rec("column") == RefreshToken::COLUMN {
            both_ways::<RefreshToken>(&keys, &draws(), &key, plain, &hex(text("envelope")));
        } else {
            both_ways::<AccessToken>(&keys, &draws(), &key, plain, &hex(text("envelope")));
        }
    }
}

fn both_ways<K: Kind>(keys: &TenantKeys, rng: &FixedRng, key: &RecordKey, plain: &[u8], envelope: &[u8]) {
    let made: Sealed<K> = sealing::seal(keys, rng, key, plain).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(made.envelope()), data_encoding::HEXLOWER.encode(envelope));
    let read = Sealed::<K>::from_envelope(envelope.to_vec());
    assert_eq!(sealing::open(keys, key, &read).unwrap().as_slice(), plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Proves: VA1, VA2, VA3
    #[test]
    fn va2_no_changed_byte_opens(plain in proptest::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let value: Sealed<RefreshToken> = sealed(&plain);
        let opened = sealing::open(&keys(), &record(), &value).unwrap();
        prop_assert_eq!(opened.as_slice(), &plain[..]);
        let mut bytes = value.envelope().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(sealing::open(&keys(), &record(), &Sealed::<RefreshToken>::from_envelope(bytes)).is_err());
    }

    /// Proves: VA2
    #[test]
    fn va2_no_cut_or_padded_envelope_opens(cut in any::<prop::sample::Index>(), extra in proptest::collection::vec(any::<u8>(), 1..40)) {
        let value: Sealed<RefreshToken> = sealed(b"token");
        let bytes = value.envelope();
        let short = bytes[..cut.index(bytes.len())].to_vec();
        prop_assert!(sealing::open(&keys(), &record(), &Sealed::<RefreshToken>::from_envelope(short)).is_err());
        let long = [bytes, &extra].concat();
        prop_assert!(sealing::open(&keys(), &record(), &Sealed::<RefreshToken>::from_envelope(long)).is_err());
    }
}

/// Proves: VA2
#[test]
fn va2_a_moved_value_does_not_open() {
    let value: Sealed<RefreshToken> = sealed(b"token");
    let with = |change: &dyn Fn(&mut RecordKey)| {
        let mut key = record();
        change(&mut key);
        key
    };
    let owner = |change: &dyn Fn(&mut Subject)| {
        let mut other = subject();
        change(&mut other);
        with(&|k| k.owner = Owner::Subject(other.clone()))
    };
    let moved = [
        ("table", with(&|k| k.table = "consents")),
        ("row", with(&|k| k.row = "con_2\n".into())),
        ("scope key", with(&|k| k.row = "con_1\nread".into())),
        ("provider", with(&|k| k.provider = ProviderId::parse("mail").unwrap())),
        ("generation", with(&|k| k.generation = 4)),
        ("subject", owner(&|s| s.id = "bob".into())),
        ("realm", owner(&|s| s.realm = RealmId::parse("guests").unwrap())),
        ("tenant", owner(&|s| s.tenant = TenantId::parse("umbrella").unwrap())),
        ("owner kind", with(&|k| k.owner = Owner::Tenant(subject().tenant))),
    ];
    for (field, key) in &moved {
        // The same key bytes under every tenant name: what refuses is the AAD, not a missing key.
        let keys = tenant_keys(key.tenant().as_str(), &[NEW, OLD]);
        assert!(sealing::open(&keys, key, &value).is_err(), "{field}");
        assert!(sealing::open(&self::keys(), key, &value).is_err(), "{field}");
    }
    let column = Sealed::<AccessToken>::from_envelope(value.envelope().to_vec());
    assert!(sealing::open(&keys(), &record(), &column).is_err(), "column");
    assert!(sealing::open(&keys(), &record(), &value).is_ok());
}

/// Proves: VA3
#[test]
fn va3_a_wrong_commitment_stops_before_the_content_is_tried() {
    let value: Sealed<RefreshToken> = sealed(b"token");
    let other: Sealed<RefreshToken> = sealed(b"token");
    let at = 2 + NEW.0.len() + 60;
    let mut bytes = value.envelope().to_vec();
    bytes[at..at + 32].copy_from_slice(&other.envelope()[at..at + 32]);
    let grafted = Sealed::<RefreshToken>::from_envelope(bytes);
    assert!(matches!(sealing::open(&keys(), &record(), &grafted), Err(VaultError::Tampered)));
}

/// Proves: VA1
#[test]
fn va1_equal_secrets_share_no_byte_range_and_sizes_are_bounded() {
    let (a, b): (Sealed<AccessToken>, Sealed<AccessToken>) = (sealed(b"same"), sealed(b"same"));
    let after_key_id = 2 + NEW.0.len();
    assert!(a.envelope()[after_key_id..].windows(8).all(|w| !b.envelope().windows(8).any(|v| v == w)));
    assert!(!a.envelope().windows(4).any(|w| w == b"same"));
    let big = vec![b'x'; 64 * 1024 + 1];
    let rng = SystemRng::default();
    let seal = |plain: &[u8]| sealing::seal::<AccessToken>(&keys(), &rng, &record(), plain);
    assert!(matches!(seal(&big), Err(VaultError::TooBig { .. })));
    assert!(seal(&big[1..]).is_ok());
}

/// Proves: VA1, VA5
#[test]
fn va1_rewrap_touches_the_wrapped_key_alone() {
    let old = tenant_keys("acme", &[OLD]);
    let value: Sealed<RefreshToken> =
        sealing::seal(&old, &SystemRng::default(), &record(), b"token").unwrap();
    let rewrapped = sealing::rewrap(&keys(), &SystemRng::default(), value.envelope()).unwrap();
    let rewrapped = Sealed::<RefreshToken>::from_envelope(rewrapped);
    let content = |s: &Sealed<RefreshToken>, id: &str| s.envelope()[2 + id.len() + 60..].to_vec();
    assert_eq!(content(&value, OLD.0), content(&rewrapped, NEW.0));
    assert_ne!(value.envelope(), rewrapped.envelope());
    assert!(same_value(value.envelope(), rewrapped.envelope()), "whoever looks for it finds it");
    let other = sealing::seal::<RefreshToken>(&keys(), &SystemRng::default(), &record(), b"token").unwrap();
    assert!(!same_value(value.envelope(), other.envelope()), "another sealing of the same secret");
    assert!(!same_value(&[1, 200], &[1, 200, 0]) && same_value(b"no envelope", b"no envelope"));
    let newest_only = tenant_keys("acme", &[NEW]);
    assert_eq!(sealing::open(&newest_only, &record(), &rewrapped).unwrap().as_slice(), b"token");
    assert!(matches!(sealing::open(&newest_only, &record(), &value), Err(VaultError::Key(_))));
}

/// Proves: VA4
#[tokio::test]
async fn va4_a_proof_opens_what_it_names_until_five_seconds_after_its_commit() {
    let (vault, clock, ..) = vault().await;
    let value = vault.seal::<AccessToken>(&record(), secret()).await.unwrap();
    let start = clock.monotonic();
    clock.advance(Duration::from_secs(5));
    let grant = vault.open(proof::<Issue>(record(), start), &value).await.unwrap().into_grant();
    assert_eq!(grant.expose_token(), "s3cret");
    clock.advance(Duration::from_micros(1));
    let late = vault.open(proof::<Issue>(record(), start), &value).await;
    assert!(matches!(late, Err(VaultError::ProofVoid)));
    let from_the_future = proof::<Issue>(record(), clock.monotonic() + Duration::from_secs(1));
    assert!(matches!(vault.open(from_the_future, &value).await, Err(VaultError::ProofVoid)));
}

/// Proves: VA4, VA2
#[tokio::test]
async fn va4_a_proof_opens_nothing_but_what_it_names() {
    let (vault, clock, ..) = vault().await;
    let value = vault.seal::<AccessToken>(&record(), secret()).await.unwrap();
    let other = RecordKey { generation: 4, ..record() };
    let opened = vault.open(proof::<Issue>(other, clock.monotonic()), &value).await;
    assert!(matches!(opened, Err(VaultError::Tampered)));
}

/// Proves: VA4
#[tokio::test]
async fn va4_opened_values_are_never_printed() {
    let (vault, clock, ..) = vault().await;
    let value = vault.seal::<RefreshToken>(&record(), secret()).await.unwrap();
    let opened = vault.open(proof::<Refresh>(record(), clock.monotonic()), &value).await.unwrap();
    assert!(!format!("{opened:?} {value:?}").contains("s3cret"));
    assert_eq!(opened.spend().expose_secret(), "s3cret");
    let verifier = vault.seal::<PkceVerifier>(&record(), secret()).await.unwrap();
    let opened = vault.open(proof::<ExchangeCode>(record(), clock.monotonic()), &verifier).await.unwrap();
    assert_eq!(opened.spend().expose_secret(), "s3cret");
}

/// Proves: VA6
#[tokio::test]
async fn va6_a_warm_key_serves_without_the_store_to_its_age_and_no_longer() {
    let (vault, clock, store, _) = vault().await;
    let value = vault.seal::<AccessToken>(&record(), secret()).await.unwrap();
    let reads = store.reads.load(std::sync::atomic::Ordering::SeqCst);
    store.down.store(true, std::sync::atomic::Ordering::SeqCst);
    clock.advance(Duration::from_secs(299));
    assert!(vault.open(proof::<Issue>(record(), clock.monotonic()), &value).await.is_ok());
    assert_eq!(store.reads.load(std::sync::atomic::Ordering::SeqCst), reads, "no I/O while warm");
    clock.advance(Duration::from_secs(1));
    let cold = vault.open(proof::<Issue>(record(), clock.monotonic()), &value).await.unwrap_err();
    assert_eq!(cold.reason(), crate::domain::Reason::StoreUnavailable);
}

/// Proves: VA2
#[tokio::test]
async fn va2_reseal_moves_between_records_of_one_owner_only() {
    let (vault, clock, ..) = vault().await;
    let waiting = RecordKey { table: "consents", row: "cns_1".into(), generation: 1, ..record() };
    let value = vault.seal::<RefreshToken>(&waiting, secret()).await.unwrap();
    let moved = vault.reseal(&waiting, &value, &record()).await.unwrap();
    let opened = vault.open(proof::<Refresh>(record(), clock.monotonic()), &moved).await.unwrap();
    assert_eq!(opened.spend().expose_secret(), "s3cret");
    let bob = Owner::Subject(Subject { id: "bob".into(), ..subject() });
    let elsewhere = ProviderId::parse("mail").unwrap();
    for to in [RecordKey { owner: bob, ..record() }, RecordKey { provider: elsewhere, ..record() }] {
        assert!(matches!(vault.reseal(&waiting, &value, &to).await, Err(VaultError::OwnerDiffers)));
    }
    assert!(matches!(vault.reseal(&record(), &value, &waiting).await, Err(VaultError::Tampered)));
}
