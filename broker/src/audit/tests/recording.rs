//! What a recorded permit says, and what a refused one leaves behind.

use crate::{
    audit::{Deadline, Recorded, Refused, testing::House},
    domain::{
        AssertionUse, Clock, ConnectionId, Entry, EventId, EventKind, Names, Outcome, Owner, ProviderId,
        RealmId, Reason, RecordKey, RequestClaim, RuleKind, ScopeSet, Subject, Target, TenantId, Timestamp,
        WorkloadId, Write,
    },
    policy::{Facts, Issue, Permit, Refresh, RevokeAtProvider},
};

fn alice() -> Subject {
    Subject {
        tenant: TenantId::parse("acme").unwrap(),
        realm: RealmId::parse("staff").unwrap(),
        id: "alice".into(),
    }
}

fn key() -> RecordKey {
    RecordKey {
        table: "connection_secrets",
        row: "con_1\n".into(),
        owner: Owner::Subject(alice()),
        provider: ProviderId::parse("notes").unwrap(),
        generation: 1,
    }
}

fn facts() -> Facts {
    Facts {
        scopes: ScopeSet::parse(["notes.read"]).unwrap(),
        expires_at: Some(Timestamp::from_unix_seconds(1_800_000_300)),
        policy: None,
    }
}

fn workload() -> WorkloadId {
    WorkloadId::parse("notes-mcp").unwrap()
}

/// An entry for alice at the provider of [`key`], through one workload.
fn entry(house: &House) -> Entry {
    let mut entry = house.event(EventKind::CallDenied, Outcome::Failed);
    entry.draft = entry.draft.about(&alice());
    entry.draft.workload = Some(workload());
    entry.draft.scopes_granted = ScopeSet::parse(["everything"]).unwrap();
    entry.draft.ttl_seconds = Some(300);
    entry.names = Names {
        tenant: Some(alice().tenant),
        subject: Some(alice()),
        workload: Some(workload()),
        provider: Some(key().provider),
        ..Names::default()
    };
    entry
}

fn permit() -> Permit<Issue> {
    Permit::for_test(key(), facts())
}

fn block(house: &House, target: Target) -> Entry {
    let mut entry = house.event(EventKind::BlockSet, Outcome::Allowed);
    entry.effect = vec![Write::AddRule { kind: RuleKind::Block, target }];
    entry
}

fn last(house: &House) -> Recorded {
    Recorded::read(&house.ledger.stored().rows.last().unwrap().body).unwrap()
}

/// Proves: AU1, AU5
#[tokio::test]
async fn au1_a_recorded_permit_says_what_was_decided_whatever_the_draft_says() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let entry = entry(&house);
    let id = entry.draft.id.clone();
    let proof = audit.record(permit(), entry, Deadline::none()).await.unwrap();
    assert_eq!((proof.event(), proof.position().seq), (&id, 2));
    assert_eq!(proof.committed_at(), house.clock.monotonic());
    let row = last(&house);
    assert_eq!(
        (row.kind.as_str(), row.outcome.as_str(), row.reason.as_str()),
        ("grant.issue", "allowed", "")
    );
    assert_eq!(row.scopes_granted, ["notes.read"]);
    assert_eq!(row.expires_at.as_deref(), Some("2027-01-15T08:05:00.000000Z"));
    assert_eq!((row.tenant.as_str(), row.provider.as_str()), ("acme", "notes"));
    let redelivery = {
        let mut e = self::entry(&house);
        e.draft.kind = EventKind::GrantRedelivered;
        e
    };
    let _ = audit.record(permit(), redelivery, Deadline::none()).await.unwrap();
    assert_eq!(last(&house).kind, "grant.redelivered");
    house.verify().await.unwrap();
}

/// Proves: AU1
#[tokio::test]
async fn au1_nobody_claims_an_opening_without_a_permit() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    for kind in [EventKind::GrantIssue, EventKind::RefreshIntent, EventKind::ConsentExchange] {
        let noted = audit.note(house.event(kind, Outcome::Allowed), Deadline::none()).await;
        assert!(matches!(noted, Err(Refused::Inconsistent(_))));
        audit.note(house.event(kind, Outcome::Denied), Deadline::none()).await.unwrap();
    }
}

/// Proves: AU1
#[tokio::test]
async fn au1_an_entry_that_speaks_of_something_else_than_its_permit_is_refused() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let other = TenantId::parse("umbrella").unwrap();
    let bob = Subject { id: "bob".into(), ..alice() };
    let changes: [&dyn Fn(&mut Entry); 7] = [
        &|e| e.names.tenant = Some(other.clone()),
        &|e| e.names.tenant = None,
        &|e| e.names.provider = Some(ProviderId::parse("mail").unwrap()),
        &|e| e.names.subject = Some(bob.clone()),
        &|e| e.draft.tenant = Some(other.clone()),
        &|e| e.draft.provider = Some(ProviderId::parse("mail").unwrap()),
        &|e| e.draft.subject = Some(bob.clone()),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut entry = entry(&house);
        change(&mut entry);
        let refused = audit.record(permit(), entry, Deadline::none()).await;
        assert!(matches!(refused, Err(Refused::Inconsistent(_))), "change {index}");
    }
    assert_eq!(house.ledger.kinds(), ["stream.opened"]);
    let mut relies_on_nothing = entry(&house);
    relies_on_nothing.names = Names::default();
    let revoke = Permit::<RevokeAtProvider<crate::domain::RefreshToken>>::for_test(key(), Facts::default());
    let _ = audit.record(revoke, relies_on_nothing, Deadline::none()).await.unwrap();
    assert_eq!(last(&house).kind, "provider_revocation.intent");
}

/// Proves: AU1, RV1
#[tokio::test]
async fn au1_what_a_newer_rule_hits_becomes_a_recorded_denial() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let before = entry(&house);
    audit.note(block(&house, Target::Workload(workload())), Deadline::none()).await.unwrap();
    assert_eq!(audit.rules().epoch(), 1, "acknowledged means known");
    let refused = audit.record(permit(), before, Deadline::none()).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::Blocked);
    let row = last(&house);
    assert_eq!(
        (row.kind.as_str(), row.outcome.as_str(), row.reason.as_str()),
        ("grant.issue", "denied", "BLOCKED")
    );
    assert!(row.scopes_granted.is_empty() && row.ttl_seconds.is_none() && row.expires_at.is_none());
    assert_eq!(row.detail["rule_epoch"], 1);
    let mut after = entry(&house);
    after.epoch = audit.rules().epoch();
    let _ = audit.record(permit(), after, Deadline::none()).await.unwrap();
    house.verify().await.unwrap();
}

/// Proves: AU1, GR5
#[tokio::test]
async fn au1_a_taken_request_id_and_a_stale_write_are_recorded_as_such() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let claim = RequestClaim {
        key: [1; 32],
        fingerprint: [2; 32],
        grant: EventId::random(&*house.rng),
        connection: ConnectionId::random(&*house.rng),
        scope_key: String::new(),
        generation: 1,
        grant_expires_at: house.clock.now(),
        expires_at: house.clock.now(),
    };
    let claiming = || Entry { claim: Some(claim.clone()), ..entry(&house) };
    let _ = audit.record(permit(), claiming(), Deadline::none()).await.unwrap();
    let refused = audit.record(permit(), claiming(), Deadline::none()).await.err().unwrap();
    assert_eq!(refused, Refused::Duplicate(Box::new(claim.clone())));
    let row = last(&house);
    assert_eq!((row.outcome.as_str(), row.reason.as_str()), ("denied", "CONFLICT"));
    assert_eq!(row.detail["request_id_taken_by"], claim.grant.as_str());
    let stale = Write::SettleLease(crate::domain::ledger::SettleLease {
        connection: claim.connection.clone(),
        owner: String::new(),
        epoch: -1,
        rest: None,
        last_error: String::new(),
        while_stored: None,
    });
    let refresh = Permit::<Refresh>::for_test(key(), facts());
    let failing = Entry { effect: vec![stale], ..entry(&house) };
    assert_eq!(audit.record(refresh, failing, Deadline::none()).await.err(), Some(Refused::NotApplied));
    let row = last(&house);
    assert_eq!((row.kind.as_str(), row.outcome.as_str()), ("refresh.intent", "failed"));
    assert!(row.scopes_granted.is_empty());
    house.verify().await.unwrap();
}

/// Proves: ID12, AU1
#[tokio::test]
async fn id12_au1_a_used_assertion_is_a_denial_that_says_so() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let effect = vec![Write::UseAssertion(AssertionUse { key: [1; 32], expires_at: house.clock.now() })];
    let using = || Entry { effect: effect.clone(), ..entry(&house) };
    let _ = audit.record(permit(), using(), Deadline::none()).await.unwrap();
    let rows = house.ledger.stored().rows.len();
    let refused = audit.record(permit(), using(), Deadline::none()).await.err().unwrap();
    assert_eq!((&refused, refused.reason()), (&Refused::Replayed, Reason::AssertionReplayed));
    assert_eq!(house.ledger.stored().rows.len(), rows + 1);
    let row = last(&house);
    assert_eq!((row.kind.as_str(), row.outcome.as_str()), ("grant.issue", "denied"));
    assert_eq!(row.reason, "ASSERTION_REPLAYED");
    assert!(row.scopes_granted.is_empty() && row.expires_at.is_none());
    // With others in a group: it is the reason of all, and its own row's.
    let group = vec![(permit(), using()), (permit(), entry(&house))];
    assert_eq!(audit.record_group(group, Deadline::none()).await.err(), Some(Refused::Replayed));
    house.verify().await.unwrap();
}

/// Proves: AU14, AU6
#[tokio::test]
async fn au14_a_person_is_a_pseudonym_and_sealed_fields() {
    let house = House::new().await;
    let audit = house.start().await.unwrap();
    let mut entry = entry(&house);
    entry.draft.personal.subject_label = Some("CANARY Alice Example".into());
    entry.draft.personal.client_address = Some("203.0.113.99".into());
    audit.note(entry, Deadline::none()).await.unwrap();
    let bodies = house.ledger.stored().rows.iter().flat_map(|r| r.body.clone()).collect::<Vec<u8>>();
    let text = String::from_utf8(bodies).unwrap();
    assert!(!text.contains("CANARY") && !text.contains("203.0.113.99") && !text.contains("alice"));
    let row = last(&house);
    assert_eq!(row.subject, house.keys.pseudonym(&alice()).await.unwrap());
    assert_eq!(row.subject.len(), 64);
    let own = house.keys.subject_key(&alice()).await.unwrap();
    assert_eq!(row.open_personal(&own).unwrap()["subject_label"], "CANARY Alice Example");
    let bob = Subject { id: "bob".into(), ..alice() };
    let other = house.keys.subject_key(&bob).await.unwrap();
    assert!(row.open_personal(&other).is_none());
    let mut moved = row.clone();
    moved.id = EventId::random(&*house.rng).as_str().to_owned();
    assert!(moved.open_personal(&own).is_none(), "bound to their event");
    let mut nobody = house.session();
    nobody.draft.personal.client_address = Some("203.0.113.99".into());
    assert!(matches!(audit.note(nobody, Deadline::none()).await, Err(Refused::Inconsistent(_))));
}
