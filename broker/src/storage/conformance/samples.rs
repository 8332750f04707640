//! Ordinary rows to start from.

use crate::domain::{
    Account, Approval, ApprovalId, ApprovedBy, AssertionUse, Connection, ConnectionId, ConnectionState,
    Consent, ConsentId, ConsentReason, ConsentState, Entry, EventDraft, EventId, EventKind, Outcome, Owner,
    ProviderId, RealmId, RequestClaim, ScopeSet, SecretKind, SecretRow, Subject, SystemRng, TenantId,
    Timestamp, WebSession, WorkloadId,
};
use std::time::Duration;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

pub(crate) fn rng() -> SystemRng {
    SystemRng::default()
}

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(crate) fn alice() -> Subject {
    person("alice")
}

pub(crate) fn person(id: &str) -> Subject {
    Subject { tenant: tenant(), realm: RealmId::parse("staff").unwrap(), id: id.to_owned() }
}

pub(crate) fn workload() -> WorkloadId {
    WorkloadId::parse("notes-tools").unwrap()
}

pub(crate) fn provider() -> ProviderId {
    ProviderId::parse("notes").unwrap()
}

pub(crate) fn scopes(list: &str) -> ScopeSet {
    ScopeSet::split(list, ' ').unwrap()
}

pub(crate) fn note() -> Entry {
    Entry::note(draft(EventKind::CallDenied))
}

pub(crate) fn draft(kind: EventKind) -> EventDraft {
    EventDraft::new(EventId::random(&rng()), kind, Outcome::Allowed)
}

pub(crate) fn connection() -> Connection {
    let id = ConnectionId::random(&rng());
    let account = Account { id: format!("account of {id}"), label: "alice at notes".to_owned() };
    Connection {
        id,
        owner: Owner::Subject(alice()),
        provider: provider(),
        client_id: "broker".to_owned(),
        account,
        state: ConnectionState::Active,
        scopes: scopes("notes:read notes:write"),
        version: 1,
        born_epoch: 0,
        created_at: NOW,
        expires_at: None,
    }
}

pub(crate) fn approval(connection: &ConnectionId) -> Approval {
    Approval {
        id: ApprovalId::random(&rng()),
        tenant: tenant(),
        connection: connection.clone(),
        workload: workload(),
        scopes: scopes("notes:read"),
        by: ApprovedBy::User,
        default_account: true,
        withdrawn_at: None,
        version: 1,
        born_epoch: 0,
        created_at: NOW,
    }
}

pub(crate) fn secret(connection: &ConnectionId, kind: SecretKind, generation: i64) -> SecretRow {
    SecretRow {
        connection: connection.clone(),
        kind,
        scopes: scopes("notes:read"),
        generation,
        envelope: format!("envelope {generation}").into_bytes().into(),
        expires_at: Some(later(3600)),
        obtained_at: NOW,
    }
}

pub(crate) fn consent() -> Consent {
    Consent {
        id: ConsentId::random(&rng()),
        subject: alice(),
        workload: workload(),
        provider: provider(),
        connection: None,
        reason: ConsentReason::NotConnected,
        scopes: scopes("notes:read"),
        provider_scopes: scopes("notes:read offline"),
        tool: "list_notes".to_owned(),
        purpose: String::new(),
        created_at: NOW,
        expires_at: later(600),
        version: 1,
        born_epoch: 0,
        mismatches: 0,
        state: ConsentState::Pending,
        leftover: crate::domain::consent::Leftover::default(),
    }
}

pub(crate) fn session(byte: u8) -> WebSession {
    WebSession {
        id_hash: [byte; 32],
        subject: alice(),
        label: "Alice".to_owned(),
        issuer: "https://sso.example".to_owned(),
        sid: String::new(),
        created_at: NOW,
        expires_at: later(3600),
        version: 1,
        ended: false,
        last_seen_at: NOW,
    }
}

pub(crate) fn used(byte: u8) -> AssertionUse {
    AssertionUse { key: [byte; 32], expires_at: later(900) }
}

pub(crate) fn claim(byte: u8) -> RequestClaim {
    RequestClaim {
        key: [byte; 32],
        fingerprint: [9; 32],
        grant: EventId::random(&rng()),
        connection: ConnectionId::random(&rng()),
        scope_key: "notes:read".to_owned(),
        generation: 1,
        grant_expires_at: later(300),
        expires_at: later(600),
    }
}
