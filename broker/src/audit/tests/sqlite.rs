//! The log, the vault and the keys on the real store.

use crate::{
    audit::{Audit, AuditConfig, Deadline, Recorded, VerifyError, verify},
    domain::{
        AccessToken, Clock, Entry, EventDraft, EventId, EventKind, ManualClock, Names, Outcome, Owner,
        ProviderId, RealmId, RecordKey, Rng, RuleKind, SecretString, Subject, SystemRng, Target, TenantId,
        Timestamp, Write,
    },
    keys::{FileKeyring, KeyRing, testing::ROOT},
    policy::{Facts, Issue, Permit},
    storage::{AuditLog, Ledger, WrappedKeys, sqlite::SqliteStore},
    vault::Vault,
};
use std::{sync::Arc, time::Duration};

struct Site {
    store: Arc<SqliteStore>,
    keys: Arc<KeyRing>,
    clock: Arc<ManualClock>,
    rng: Arc<dyn Rng>,
    _home: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
        let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
        let home = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&home.path().join("broker.db"), clock.now()).await.unwrap());
        let wrapped: Arc<dyn WrappedKeys> = store.clone();
        let root = FileKeyring::of("root", ROOT);
        let keys = KeyRing::open(root, wrapped, clock.clone(), rng.clone()).await.unwrap();
        Self { store, keys: Arc::new(keys), clock, rng, _home: home }
    }

    async fn start(&self) -> Arc<Audit> {
        let ledger: Arc<dyn Ledger> = self.store.clone();
        let (keys, clock, rng) = (self.keys.clone(), self.clock.clone(), self.rng.clone());
        Arc::new(Audit::start(ledger, keys, clock, rng, AuditConfig::default()).await.unwrap())
    }

    async fn verify(&self) -> Result<crate::audit::Verified, VerifyError> {
        verify(&*self.store, &*self.store, &self.keys.audit_keys(), &mut |_| {}).await
    }

    fn event(&self, kind: EventKind) -> EventDraft {
        EventDraft::new(EventId::random(&*self.rng), kind, Outcome::Allowed)
    }
}

fn alice() -> Subject {
    Subject {
        tenant: TenantId::parse("acme").unwrap(),
        realm: RealmId::parse("staff").unwrap(),
        id: "alice".into(),
    }
}

/// Proves: AU1, VA4, AU8
#[tokio::test]
async fn au1_decide_record_open_on_sqlite_and_a_block_stops_it() {
    let site = Site::new().await;
    let audit = site.start().await;
    let vault = Vault::new(site.keys.clone(), site.clock.clone(), site.rng.clone());
    let key = RecordKey {
        table: "connection_secrets",
        row: "con_1\n".into(),
        owner: Owner::Subject(alice()),
        provider: ProviderId::parse("notes").unwrap(),
        generation: 1,
    };
    let sealed = vault.seal::<AccessToken>(&key, SecretString::from("at-1")).await.unwrap();
    let entry = || {
        let mut entry = Entry::note(site.event(EventKind::GrantIssue).about(&alice()));
        entry.draft.personal.subject_label = Some("Alice".into());
        entry.names = Names {
            tenant: Some(alice().tenant),
            subject: Some(alice()),
            provider: Some(key.provider.clone()),
            ..Names::default()
        };
        entry
    };
    let permit = || Permit::<Issue>::for_test(key.clone(), Facts::default());
    let proof = audit.record(permit(), entry(), Deadline::none()).await.unwrap();
    let row = AuditLog::by_id(&*site.store, proof.event()).await.unwrap().unwrap();
    assert_eq!(Recorded::read(&row.body).unwrap().kind, "grant.issue");
    let grant = vault.open(proof, &sealed).await.unwrap().into_grant();
    assert_eq!(grant.expose_token(), "at-1");

    let before = entry();
    let mut block = Entry::note(site.event(EventKind::BlockSet));
    block.effect = vec![Write::AddRule { kind: RuleKind::Block, target: Target::Subject(alice()) }];
    audit.note(block, Deadline::none()).await.unwrap();
    let refused = audit.record(permit(), before, Deadline::none()).await.err().unwrap();
    assert_eq!(refused.reason().as_str(), "BLOCKED");
    assert_eq!(site.verify().await.unwrap().events, 4);
}

/// Proves: AU8, AU17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au8_many_callers_crashes_and_restarts_on_sqlite_leave_a_log_that_verifies() {
    let site = Site::new().await;
    for round in 0..3 {
        let audit = site.start().await;
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (audit, entry) = (audit.clone(), Entry::note(site.event(EventKind::SessionStarted)));
                tokio::spawn(async move { audit.note(entry, Deadline::none()).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        site.clock.advance(Duration::from_secs(1));
        if round == 1 {
            audit.close(Deadline::none()).await.unwrap();
        }
    }
    let verified = site.verify().await.unwrap();
    // Three openings, one recovery, one end.
    assert_eq!((verified.streams, verified.recovered, verified.events), (3, 1, 305));
    let again = site.start().await;
    assert_eq!(again.rules().epoch(), 0);
    assert_eq!(site.verify().await.unwrap().recovered, 2);
    assert!(site.clock.monotonic() > Duration::ZERO);
}
