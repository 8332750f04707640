use super::{Fixture, pen::Pen, samples};
use crate::{
    domain::{
        Applied, Connection, ConnectionId, Consent, ConsentId, Entry, Owner, QuarantinedRow, RuleKind,
        SecretKind, Tagged, Target, Timestamp, TokenHolder, Write,
    },
    storage::{Readable, StoreError},
};
use std::fmt::Debug;

/// (what somebody did by SQL, what undoes it, the table and column the error names)
type Edit = (&'static str, &'static str, &'static str, &'static str);

const EDITS: [Edit; 16] = [
    (
        "UPDATE connections SET state = 'fine'",
        "UPDATE connections SET state = 'active'",
        "connections",
        "state",
    ),
    ("UPDATE connections SET scopes = 'b a'", "UPDATE connections SET scopes = 'a'", "connections", "scopes"),
    (
        "UPDATE connections SET provider = 'No Such'",
        "UPDATE connections SET provider = 'notes'",
        "connections",
        "provider",
    ),
    (
        "UPDATE connections SET owner_kind = 'all'",
        "UPDATE connections SET owner_kind = 'subject'",
        "connections",
        "owner_kind",
    ),
    (
        "UPDATE connection_secrets SET scopes = 'z'",
        "UPDATE connection_secrets SET scopes = 'notes:read'",
        "connection_secrets",
        "scope_key",
    ),
    (
        "UPDATE approvals SET default_account = 2",
        "UPDATE approvals SET default_account = 1",
        "approvals",
        "default_account",
    ),
    (
        "UPDATE approvals SET approved_by = ''",
        "UPDATE approvals SET approved_by = 'user'",
        "approvals",
        "approved_by",
    ),
    ("UPDATE consents SET state = 'approved'", "UPDATE consents SET state = 'pending'", "consents", "state"),
    (
        "UPDATE consents SET browser_hash = x'00'",
        "UPDATE consents SET browser_hash = NULL",
        "consents",
        "browser_hash",
    ),
    (
        "UPDATE consents SET pkce_verifier = x'00'",
        "UPDATE consents SET pkce_verifier = NULL",
        "consents",
        "state",
    ),
    (
        "UPDATE consents SET obtained_access = x'00'",
        "UPDATE consents SET obtained_access = NULL",
        "consents",
        "obtained_access",
    ),
    ("UPDATE consents SET failure = 'NO_SUCH'", "UPDATE consents SET failure = ''", "consents", "failure"),
    (
        "UPDATE web_sessions SET subject = ''",
        "UPDATE web_sessions SET subject = 'alice'",
        "web_sessions",
        "subject",
    ),
    (
        "UPDATE requests SET fingerprint = x''",
        "UPDATE requests SET fingerprint = zeroblob(32)",
        "requests",
        "fingerprint",
    ),
    (
        "UPDATE requests SET grant_id = 'evt_1'",
        "UPDATE requests SET grant_id = 'evt_00000000000000000000000000'",
        "requests",
        "grant_id",
    ),
    (
        "UPDATE provider_revocations SET tenant = 'A'",
        "UPDATE provider_revocations SET tenant = 'acme'",
        "provider_revocations",
        "tenant",
    ),
];

pub(crate) async fn every_table(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let connection = samples::connection();
    let (id, consent) = (connection.id.clone(), samples::consent());
    let effect = vec![
        Write::InsertConnection(pen.tag(connection)),
        Write::PutApproval { row: pen.tag(samples::approval(&id)), expected_version: None },
        Write::PutSecret(pen.tag(samples::secret(&id, SecretKind::Access, 1))),
        Write::QueueProviderRevocation { holder: TokenHolder::Connection(id.clone()), due_at: pen.now },
        Write::InsertConsent { row: pen.tag(consent.clone()), handle_hash: [1; 32] },
        Write::InsertSession { row: pen.tag(samples::session(1)), begun_at: pen.now },
    ];
    pen.entry(Entry { effect, claim: Some(samples::claim(1)), ..samples::note() }).await;
    for (edit, undo, table, column) in EDITS {
        let touched = fixture.sql.run(edit).await.unwrap_or_else(|error| panic!("{edit}: {error}"));
        assert_eq!(touched, 1, "{edit}");
        let (tenant, now) = (samples::tenant(), pen.now);
        match table {
            "connections" => {
                refused(fixture.connections.by_id(&tenant, &id).await, table, column);
                quarantined(fixture.connections.page(&tenant, None, 9).await, table, column);
                if column != "owner_kind" {
                    let owner = Owner::Subject(samples::alice());
                    quarantined(fixture.connections.of_owner(&owner, None).await, table, column);
                }
            }
            "connection_secrets" => quarantined(fixture.connections.secrets(&id).await, table, column),
            "approvals" => {
                quarantined(fixture.approvals.of_connection(&tenant, &id).await, table, column);
                let found = fixture.approvals.find(&tenant, &id, &samples::workload()).await;
                quarantined(found.map(Vec::from_iter), table, column);
            }
            "consents" => {
                refused(fixture.consents.by_id(&consent.id).await, table, column);
                refused(fixture.consents.by_handle(&[1; 32]).await, table, column);
                let overdue = fixture.consents.overdue(consent.expires_at, 9).await;
                quarantined(overdue, table, column);
                quarantined(open_need(fixture, &consent, now).await, table, column);
            }
            "web_sessions" => refused(fixture.sessions.by_id(&[1; 32]).await, table, column),
            "requests" => refused(fixture.requests.by_key(&[1; 32], now).await, table, column),
            _ => quarantined(fixture.connections.due_revocations(now, 9).await, table, column),
        }
        fixture.sql.run(undo).await.unwrap();
    }
    fixture.consents.by_id(&consent.id).await.expect("all edits are undone");
    rules_and_log(fixture, &mut pen).await;
}

/// The insert-only tables, once their triggers are gone.
async fn rules_and_log(fixture: &Fixture, pen: &mut Pen<'_>) {
    pen.write(vec![Write::AddRule { kind: RuleKind::Block, target: Target::Tenant(samples::tenant()) }])
        .await;
    for trigger in ["DROP TRIGGER revocations_no_update", "DROP TRIGGER audit_events_no_update"] {
        fixture.sql.run(trigger).await.unwrap();
    }
    fixture.sql.run("UPDATE revocations SET kind = 'forget'").await.unwrap();
    refused(fixture.ledger.rules_since(0).await, "revocations", "kind");
    fixture.sql.run("UPDATE audit_events SET hash = x'01' WHERE seq = 1").await.unwrap();
    refused(fixture.audit_log.scan(&pen.head.stream, 0, 9).await, "audit_events", "hash");
}

async fn open_need(
    fixture: &Fixture,
    need: &Consent,
    now: Timestamp,
) -> Result<Vec<Readable<Tagged<Consent>>>, StoreError> {
    fixture.consents.open_need(&need.subject, &need.workload, &need.provider, &need.scopes, now).await
}

/// A row that cannot be read gives way to an equal one, for as long as it is what was read, and no longer.
pub(crate) async fn set_aside(fixture: &Fixture) {
    let mut pen = Pen::open(fixture).await;
    let (connection, consent) = (samples::connection(), samples::consent());
    let tenant = samples::tenant();
    pen.write(vec![
        Write::InsertConnection(pen.tag(connection.clone())),
        Write::InsertConsent { row: pen.tag(consent.clone()), handle_hash: [1; 32] },
    ])
    .await;
    for edit in [
        "UPDATE connections SET state = 'fine', id = CAST(x'ff' AS TEXT), mac = x'01'",
        "UPDATE consents SET reason = 'banana'",
    ] {
        fixture.sql.run(edit).await.unwrap();
    }
    let owner = Owner::Subject(samples::alice());
    let found = fixture.connections.of_owner(&owner, None).await.unwrap().remove(0).unwrap_err();
    assert_eq!((found.table, found.column), ("connections", "id"));
    assert_eq!(found.id(ConnectionId::parse), None, "named by whatever stands there");
    let need = open_need(fixture, &consent, pen.now).await.unwrap().remove(0).unwrap_err();
    assert_eq!((need.table, need.column), ("consents", "reason"));
    assert_eq!(need.id(ConsentId::parse), Some(consent.id.clone()));

    // The same account, the same need: in the way.
    let again = Connection { id: ConnectionId::random(&samples::rng()), ..connection.clone() };
    let anew = samples::consent();
    let insert_connection = Write::InsertConnection(pen.tag(again));
    let insert_consent = Write::InsertConsent { row: pen.tag(anew.clone()), handle_hash: [2; 32] };
    assert_eq!(pen.write(vec![insert_connection.clone()]).await, Applied::NotApplied(0));
    assert_eq!(pen.write(vec![insert_consent.clone()]).await, Applied::NotApplied(0));

    // What is there now is not what was read.
    for not_it in [
        QuarantinedRow { version: need.version + 1, ..need.clone() },
        QuarantinedRow { mac: vec![1], ..need.clone() },
        QuarantinedRow { id: anew.id.as_str().as_bytes().to_vec(), ..need.clone() },
    ] {
        assert_eq!(pen.write(vec![Write::SetAsideConsent(not_it)]).await, Applied::NotApplied(0));
    }
    let not_it = QuarantinedRow { mac: vec![2], ..found.clone() };
    assert_eq!(pen.write(vec![Write::SetAsideConnection(not_it)]).await, Applied::NotApplied(0));

    let effect = vec![Write::SetAsideConnection(found), insert_connection];
    assert_eq!(pen.write(effect).await, Applied::Yes);
    assert_eq!(pen.write(vec![Write::SetAsideConsent(need), insert_consent]).await, Applied::Yes);
    let mine = fixture.connections.of_owner(&owner, None).await.unwrap();
    assert!(matches!(&mine[..], [Ok(_)]), "{mine:?}");
    assert_eq!(fixture.connections.page(&tenant, None, 9).await.unwrap().len(), 2, "it is still there");
    let open = open_need(fixture, &consent, pen.now).await.unwrap();
    assert!(matches!(&open[..], [Ok(_)]), "{open:?}");
    refused(fixture.consents.by_id(&consent.id).await, "consents", "reason");
    assert_eq!(
        fixture.consents.overdue(samples::later(99_999), 9).await.unwrap().len(),
        1,
        "nor is it overdue"
    );
}

fn quarantined<T: Debug>(answer: Result<Vec<Readable<T>>, StoreError>, table: &str, column: &str) {
    match answer.as_deref() {
        Ok([Err(row)]) => assert_eq!((row.table, row.column), (table, column)),
        other => panic!("{table}.{column}: {other:?}"),
    }
}

fn refused<T: Debug>(answer: Result<T, StoreError>, table: &str, column: &str) {
    match answer {
        Err(StoreError::Malformed { table: t, column: c }) => assert_eq!((t, c), (table, column)),
        other => panic!("{table}.{column}: {other:?}"),
    }
}
