//! How the server runs what the store asks it, at the size of a large company: no statement that is asked often reads a big table whole.
//!
//! The server itself tells: it explains every statement that the store really sends.

use super::{Place, config_on};
use crate::{
    domain::{Applied, ConnectionId, Entry, EventKind, Owner, Position, SecretKind, Timestamp, Write},
    storage::{
        Approvals, AuditFilter, AuditLog, Connections, Consents, Ledger, Requests, Sessions,
        conformance::{pen::Pen, samples},
        postgres::{PostgresStore, migrate::migrate_database},
    },
};
use broker_testkit::{OWNER, Server};
use std::sync::Arc;

/// Grows one row of each table to many. Ids keep their shape; `n` counts.
const FILL: [&str; 8] = [
    "INSERT INTO connections SELECT 'con_' || lpad(n::TEXT, 26, '0'), tenant, owner_kind, realm, 'person-' || n / 2, provider, client_id,
        'account ' || n, account_label, state, scopes, version, born_epoch, created_at, expires_at, mac
     FROM connections, generate_series(1, 100000) AS n",
    "INSERT INTO connection_secrets SELECT 'con_' || lpad(n::TEXT, 26, '0'), kind, scope_key, scopes, generation, envelope, expires_at,
        obtained_at, mac
     FROM connection_secrets, generate_series(1, 100000) AS n",
    "INSERT INTO approvals SELECT 'apr_' || lpad(n::TEXT, 26, '0'), tenant, 'con_' || lpad(n::TEXT, 26, '0'), workload, scopes,
        approved_by, default_account, withdrawn_at, version, born_epoch, created_at, mac
     FROM approvals, generate_series(1, 100000) AS n",
    "INSERT INTO consents SELECT 'cns_' || lpad(n::TEXT, 26, '0'), sha256(n::TEXT::BYTEA), tenant, realm, 'person-' || n, workload,
        provider, connection, reason, scopes, provider_scopes, tool, purpose, created_at, created_at + 1, version, born_epoch, mismatches,
        'expired', state_hash, browser_hash, pkce_verifier, obtained_account_id, obtained_account_label, obtained_scopes,
        obtained_refresh, obtained_access, obtained_access_expires_at, result_connection, failure, mac
     FROM consents, generate_series(1, 100000) AS n",
    "INSERT INTO web_sessions SELECT sha256(n::TEXT::BYTEA), tenant, realm, 'person-' || n, label, issuer, 'sid-' || n, created_at,
        broker_clock() + 1000000000000, version, ended, last_seen_at, mac
     FROM web_sessions, generate_series(1, 100000) AS n",
    "INSERT INTO requests SELECT sha256(n::TEXT::BYTEA), fingerprint, grant_id, connection, scope_key, generation, grant_expires_at,
        broker_clock() + 1000000000000
     FROM requests, generate_series(1, 100000) AS n",
    "INSERT INTO used_assertions SELECT sha256(n::TEXT::BYTEA), broker_clock() + 1000000000000 FROM generate_series(1, 100000) AS n",
    // A stream for each of the first ten days of 2027; a thousand people, four workloads; one workload and one provider that almost nobody uses.
    "INSERT INTO audit_events SELECT audit_stream_bound(to_timestamp(1798761600 + n / 100000 * 86400)) || repeat('0', 13), n % 100000 + 10, previous_hash,
        hash, mac_key, mac, repeat('x', 300)::BYTEA, 'evt_' || lpad(n::TEXT, 26, '0'), 1798761600000000 + n * 864000, 'acme',
        'psn-' || n * 7919 % 1000, CASE WHEN n % 200000 = 7 THEN 'rare' ELSE 'workload-' || n % 4 END, provider, kind,
        CASE WHEN n % 50 = 0 THEN 'denied' ELSE 'allowed' END, reason
     FROM (SELECT * FROM audit_events ORDER BY seq LIMIT 1) AS one, generate_series(1::BIGINT, 1000000) AS n",
];
const BIG: [&str; 7] = [
    "connections",
    "connection_secrets",
    "approvals",
    "consents",
    "web_sessions",
    "requests",
    "used_assertions",
];

/// The server writes down how it runs each statement, and how much it read for it.
const EXPLAIN: [&str; 3] = [
    "ALTER DATABASE $ SET session_preload_libraries = 'auto_explain'",
    "ALTER DATABASE $ SET auto_explain.log_min_duration = 0",
    "ALTER DATABASE $ SET auto_explain.log_analyze = on",
];

/// More than the five executions after which the server may settle for one plan that has to fit every parameter.
const TIMES: usize = 8;
/// Rows that a page of the log may read in vain.
const IN_VAIN: u64 = 20_000;
/// The same where a time alone is asked for: it is looked for in the streams of two days.
const IN_VAIN_OF_A_TIME: u64 = 200_000;
/// Of the tenth day of 2027, in milliseconds.
const NOON: i64 = 1_798_761_600_000 + (9 * 24 + 12) * 3_600_000;

/// Issues, refreshes, resolves and lists, so that every statement that is asked often is asked.
async fn work(pen: &mut Pen<'_>, store: &PostgresStore, connection: &ConnectionId) {
    let (tenant, owner) = (samples::tenant(), Owner::Subject(samples::alice()));
    store.of_owner(&owner, Some(&samples::provider())).await.unwrap();
    store.of_owner(&owner, None).await.unwrap();
    Connections::by_id(store, &tenant, connection).await.unwrap().unwrap();
    Connections::page(store, &tenant, Some(connection), 50).await.unwrap();
    store.secret(connection, SecretKind::Access, "notes:read").await.unwrap();
    store.secrets(connection).await.unwrap();
    store.due_revocations(samples::NOW, 10).await.unwrap();
    store.find(&tenant, connection, &samples::workload()).await.unwrap();
    store.of_connection(&tenant, connection).await.unwrap();
    let consent = samples::consent();
    Consents::by_id(store, &consent.id).await.unwrap();
    store.by_handle(&[1; 32]).await.unwrap();
    store.by_state(&[1; 32]).await.unwrap();
    let need = (&consent.subject, &consent.workload, &consent.provider, &consent.scopes);
    store.open_need(need.0, need.1, need.2, need.3, samples::NOW).await.unwrap();
    store.open_of(&consent.subject, samples::NOW, 10).await.unwrap();
    store.overdue(samples::NOW, 10).await.unwrap();
    Sessions::by_id(store, &[1; 32]).await.unwrap();
    store.touch(&[1; 32], samples::later(1)).await.unwrap();
    store.by_key(&[1; 32], samples::NOW).await.unwrap();
    store.purge(samples::NOW).await.unwrap();
    store.streams().await.unwrap();
    store.rules_since(0).await.unwrap();
    let mut draft = samples::draft(EventKind::GrantIssue);
    draft.connection = Some(connection.clone());
    let claim = crate::domain::RequestClaim { key: rand_key(), ..samples::claim(0) };
    let used = crate::domain::AssertionUse { key: rand_key(), ..samples::used(0) };
    let effect = vec![Write::UseAssertion(used)];
    let issue = Entry { claim: Some(claim), effect, ..Entry::note(draft) };
    assert_eq!(pen.entry(issue).await, Applied::Yes);
    let access = pen.tag(samples::secret(connection, SecretKind::Access, pen.head.seq));
    pen.write(vec![Write::PutSecret(access)]).await;
}

fn rand_key() -> [u8; 32] {
    let mut key = [0; 32];
    crate::domain::Rng::fill(&samples::rng(), &mut key);
    key
}

/// What people ask the log for.
fn filters() -> Vec<(&'static str, AuditFilter)> {
    let at = |millis: i64| Some(Timestamp::from_micros(millis * 1000));
    let text = |text: &str| Some(text.to_owned());
    let all = AuditFilter { tenant: Some(samples::tenant().to_string()), ..AuditFilter::default() };
    vec![
        ("everything", all.clone()),
        ("one person", AuditFilter { subject: text("psn-17"), ..all.clone() }),
        ("nobody", AuditFilter { subject: text("psn-none"), ..all.clone() }),
        (
            "one person's denials",
            AuditFilter { subject: text("psn-50"), outcome: text("denied"), ..all.clone() },
        ),
        ("a busy workload", AuditFilter { workload: text("workload-3"), ..all.clone() }),
        ("a rare workload", AuditFilter { workload: text("rare"), ..all.clone() }),
        ("denials", AuditFilter { outcome: text("denied"), ..all.clone() }),
        ("a late hour", AuditFilter { from: at(NOON), until: at(NOON + 3_600_000), ..all.clone() }),
        (
            "a person's late hour",
            AuditFilter { subject: text("psn-17"), from: at(NOON), until: at(NOON + 3_600_000), ..all },
        ),
    ]
}

fn reads_whole(plan: &str, events: &str) -> bool {
    BIG.iter().copied().chain(events.lines()).any(|table| plan.contains(&format!("Seq Scan on {table} ")))
}

/// Proves: AU11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au11_no_statement_that_is_asked_often_reads_a_big_table_whole() {
    let began = tokio::time::Instant::now();
    let server = Server::durable();
    let database = server.database();
    let sql = |text: &str| server.sql(&database, text);
    sql("ALTER SYSTEM SET fsync = off");
    sql("SELECT pg_reload_conf()");
    let config = crate::config::Postgres { development: true, ..config_on(&server, &database) };
    migrate_database(&config, Some(&server.url(OWNER, &database).into()), samples::NOW).await.unwrap();
    let fixture = Place::plain(Arc::new(PostgresStore::open(&config).await.unwrap()));
    let mut pen = Pen::open(&fixture).await;
    let connection = samples::connection();
    pen.write(vec![Write::InsertConnection(pen.tag(connection.clone()))]).await;
    let id = &connection.id;
    let secret = pen.tag(samples::secret(id, SecretKind::Access, 1));
    let approval = Write::PutApproval { row: pen.tag(samples::approval(id)), expected_version: None };
    let consent = Write::InsertConsent { row: pen.tag(samples::consent()), handle_hash: [1; 32] };
    pen.write(vec![Write::PutSecret(secret), approval, consent]).await;
    pen.write(vec![Write::InsertSession { row: pen.tag(samples::session(1)), begun_at: samples::NOW }]).await;
    pen.entry(Entry { claim: Some(samples::claim(1)), ..samples::note() }).await;
    for fill in FILL {
        sql(fill);
    }
    sql("ANALYZE");
    println!("filled after {:?}", began.elapsed());
    let big = sql("SELECT DISTINCT tableoid::regclass FROM audit_events");

    EXPLAIN.iter().for_each(|text| drop(sql(&text.replace('$', &database))));
    let store = Arc::new(PostgresStore::open(&config).await.unwrap());
    let explained = Place::plain(store.clone());
    pen.fixture = &explained;
    let from = server.log().len();
    for _ in 0..TIMES {
        work(&mut pen, &store, id).await;
    }
    let hot = server.log()[from..].to_owned();
    assert!(hot.matches("Query Text").count() >= 20 * TIMES, "the server explains");
    let whole = |plans: &str| {
        let mut whole: Vec<String> =
            plans.split("LOG:").filter(|plan| reads_whole(plan, &big)).map(str::to_owned).collect();
        whole.truncate(5);
        whole.join("\n")
    };
    let mut faults = whole(&hot);
    for (name, filter) in filters() {
        let from = server.log().len();
        let asked = tokio::time::Instant::now();
        let mut after: Option<Position> = None;
        for _ in 0..TIMES {
            let page = store.list(&filter, after.as_ref(), 50).await.unwrap();
            after = page.last().map(|row| Position { stream: row.stream.clone(), seq: row.seq });
        }
        let plans = server.log()[from..].to_owned();
        let vain = plans.split("Rows Removed by Filter: ").skip(1);
        let vain = vain.map(|rest| rest.split_whitespace().next().unwrap().parse::<u64>().unwrap()).max();
        println!("{name}: {:?} for {TIMES} pages, {vain:?} rows in vain", asked.elapsed());
        faults += &whole(&plans);
        let most = if name == "a late hour" { IN_VAIN_OF_A_TIME } else { IN_VAIN };
        if vain.unwrap_or(0) > most {
            faults +=
                &format!("{name}: {vain:?} rows in vain\n{}", plans.chars().take(1500).collect::<String>());
        }
    }
    assert_eq!(faults, "");
    println!("{:?} in all", began.elapsed());
}
