//! The queue of revocations in the hands of somebody else, and at the mercy of a provider that takes its time.

use broker::domain::Reason;
use broker::worker;
use broker_client::Grant;
use broker_proto::v1::ProviderRevocation;
use broker_tests::database::Database;
use broker_tests::operator::Operator;
use broker_tests::stage::{READ, Stage};
use demo::saas::{Endpoint, Event, Fault};
use demo::world::{ALICE, BOB, Workload::TicketHelper};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const SEALED: &str = "SELECT count(*) FROM connection_secrets";
const QUEUED: &str = "SELECT count(*) FROM provider_revocations";

/// Two connections that are revoked here, while the SaaS cannot be told of it. The first one's is due first.
async fn two_waiting(stage: &Stage) -> [Grant; 2] {
    let grants =
        [stage.connect(&ALICE, TicketHelper, READ).await, stage.connect(&BOB, TicketHelper, READ).await];
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 2);
    for grant in &grants {
        let answer = Operator::of(&stage.world).revoke(&grant.connection_id).await.expect("revoked here");
        assert_eq!(answer.provider_revocation(), ProviderRevocation::FailedWillRetry);
        stage.clock.advance(Duration::from_secs(1));
    }
    stage.clock.advance(Duration::from_secs(120));
    grants
}

async fn last_result(database: &mut Database) -> String {
    let events = database.events().await;
    let last = events.iter().rfind(|event| event.kind == "provider_revocation.result").expect("a result");
    last.text("/detail/at_provider").to_owned()
}

/// Proves: RV1, VA9
#[tokio::test]
async fn rv1_va9_an_edited_row_of_the_queue_stops_no_other_and_is_done_itself() {
    for edit in
        ["tenant = ''", "attempts = 9223372036854775807", "attempts = -9223372036854775807", "due_at = -1"]
    {
        let stage = Stage::start().await;
        let [hers, his] = two_waiting(&stage).await;
        let mut database = stage.database().await;
        let id = &hers.connection_id;
        database.edit(&format!("UPDATE provider_revocations SET {edit} WHERE holder = '{id}'")).await;
        worker::round(stage.world.rooms()).await;
        assert!(!stage.facts(&his).live, "{edit}");
        // Where it could not be read it is queued anew.
        stage.clock.advance(Duration::from_secs(7 * 3600));
        worker::round(stage.world.rooms()).await;
        assert!(!stage.facts(&hers).live, "{edit}");
        assert_eq!(
            (database.text(QUEUED).await, database.text(SEALED).await),
            ("0".into(), "0".into()),
            "{edit}"
        );
        stage.stop().await;
    }
}

/// A row for a holder that is not there, or is somebody else's, ends nothing and stays at the head of nothing.
///
/// Proves: RV1, VA9
#[tokio::test]
async fn rv1_va9_added_rows_of_the_queue_stop_no_other_and_end_nothing() {
    let stage = Stage::start().await;
    let [_, his] = two_waiting(&stage).await;
    let active = stage.connect(&ALICE, TicketHelper, READ).await;
    let mut database = stage.database().await;
    let id = &active.connection_id;
    database
        .edit(&format!(
            "INSERT INTO provider_revocations (holder, tenant, attempts, due_at)
               SELECT id, tenant, 40, 0 FROM connections WHERE id = '{id}';
             WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 200)
               INSERT INTO provider_revocations (holder, tenant, attempts, due_at)
               SELECT 'con_' || substr('00000000000000000000000000' || n, -26), iif(n % 2, 'acme', ''), n % 40, n FROM numbers"
        ))
        .await;
    for _ in 0..5 {
        worker::round(stage.world.rooms()).await;
    }
    assert!(!stage.facts(&his).live);
    assert!(stage.facts(&active).live, "the queue alone ends nothing");
    stage.grant(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}

/// Proves: RV1
#[tokio::test]
async fn rv1_a_revocation_that_hangs_keeps_nothing_else_waiting() {
    let stage = Stage::start().await;
    let [hers, his] = two_waiting(&stage).await;
    let rooms = stage.world.rooms();
    rooms.refusals.count("grpc", Reason::AssertionInvalid, IpAddr::V4(Ipv4Addr::LOCALHOST));
    stage.clock.advance(Duration::from_secs(60));
    let release = Arc::new(Notify::new());
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Slow(Arc::clone(&release)), 1);
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker::run(Arc::clone(rooms), stop.clone()));
    let mut database = stage.database().await;
    let summaries = "SELECT count(*) FROM audit_events WHERE kind = 'refusals.summary'";
    // Both are told at once; the one whose request comes first hangs.
    let live = || [&hers, &his].into_iter().filter(|grant| stage.facts(grant).live).count();
    while live() == 2 || database.text(summaries).await == "0" {
        tokio::task::yield_now().await;
    }
    assert_eq!(live(), 1, "it hangs");
    release.notify_one();
    while database.text(QUEUED).await != "0" {
        tokio::task::yield_now().await;
    }
    assert_eq!(live(), 0);
    stop.cancel();
    working.await.expect("stops");
    stage.stop().await;
}

/// Once nothing more is tried nothing sealed is kept, whether or not the connection's own row can be relied on.
///
/// Proves: RV1
#[tokio::test]
async fn rv1_what_is_given_up_is_deleted() {
    let stage = Stage::start().await;
    two_waiting(&stage).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 1000);
    let mut database = stage.database().await;
    database.edit("UPDATE provider_revocations SET attempts = 34").await;
    database
        .edit("UPDATE connections SET scopes = 'notes.write' WHERE id = (SELECT min(id) FROM connections)")
        .await;
    worker::round(stage.world.rooms()).await;
    assert_eq!((database.text(SEALED).await, database.text(QUEUED).await), ("4".into(), "2".into()));
    stage.clock.advance(Duration::from_secs(7 * 3600));
    worker::round(stage.world.rooms()).await;
    assert_eq!((database.text(SEALED).await, database.text(QUEUED).await), ("0".into(), "0".into()));
    assert_eq!(last_result(&mut database).await, "given_up");
    stage.stop().await;
}

/// Nor does a row that names a key nobody made outlast the queue, whether or not the system keys can be read.
///
/// Proves: RV1, VA9
#[tokio::test]
async fn rv1_va9_what_names_an_unknown_key_is_given_up_and_deleted() {
    for readable in [true, false] {
        let stage = Stage::start().await;
        two_waiting(&stage).await;
        let mut database = stage.database().await;
        database.edit("UPDATE provider_revocations SET attempts = 35").await;
        database
            .edit(
                "UPDATE connections SET mac = CAST(substr(mac, 1, 32) || CAST('key_00000000000000000000000000' AS BLOB) AS BLOB)",
            )
            .await;
        if !readable {
            database.edit("UPDATE tenant_keys SET tenant = 'hidden' WHERE tenant = ''").await;
        }
        worker::round(stage.world.rooms()).await;
        let left = (database.text(SEALED).await, database.text(QUEUED).await);
        assert_eq!(left, ("0".into(), "0".into()), "keys readable: {readable}");
        assert_eq!(last_result(&mut database).await, "given_up");
        stage.stop().await;
    }
}

/// A provider that answers, but takes its time, does not keep what falls due elsewhere waiting for all of its own.
///
/// Proves: RV1
#[tokio::test]
async fn rv1_a_round_ends_although_a_slow_provider_has_more_to_be_told() {
    let stage = Stage::start().await;
    for _ in 0..6 {
        let grant = stage.connect(&ALICE, TicketHelper, READ).await;
        stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 1);
        Operator::of(&stage.world).revoke(&grant.connection_id).await.expect("revoked here");
        // Later connections are not ended by the same act.
        stage.clock.advance(Duration::from_secs(1));
    }
    stage.clock.advance(Duration::from_secs(120));
    let release = Arc::new(Notify::new());
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Slow(Arc::clone(&release)), 4);
    let mut database = stage.database().await;
    let slowly = async {
        let slow = |event: &&Event| matches!(event, Event::Faulted { fault: "slow", .. });
        stage.world.notes().wait_until(|events| events.iter().filter(slow).count() == 4).await;
        stage.clock.advance(Duration::from_secs(15));
        for _ in 0..4 {
            release.notify_one();
            tokio::task::yield_now().await;
        }
        // One that was not yet waiting has had its permit stored.
        release.notify_waiters();
    };
    tokio::join!(worker::round(stage.world.rooms()), slowly);
    assert_eq!(database.text(QUEUED).await, "2", "they stay due");
    worker::round(stage.world.rooms()).await;
    assert_eq!(database.text(QUEUED).await, "0");
    stage.stop().await;
}

/// A token that cannot be read or opened is left to end by itself, and said to be; the others are revoked.
///
/// Proves: RV1, RV8, VA9
#[tokio::test]
async fn rv1_va9_an_edited_token_does_not_keep_the_others_alive() {
    for (edit, token) in [
        ("generation = generation + 1", "refresh"),
        ("scopes = 'not  canonical'", "refresh"),
        ("expires_at = expires_at + 1", "access"),
        ("scopes = 'not  canonical'", "access"),
    ] {
        let stage = Stage::start().await;
        let grant = stage.connect(&ALICE, TicketHelper, READ).await;
        let mut database = stage.database().await;
        database.edit(&format!("UPDATE connection_secrets SET {edit} WHERE kind = '{token}'")).await;
        let answer = Operator::of(&stage.world).revoke(&grant.connection_id).await.expect("revoked here");
        assert_eq!(answer.provider_revocation(), ProviderRevocation::Unsupported, "{edit} of {token}");
        assert!(!stage.facts(&grant).live, "{edit} of {token}");
        assert_eq!(database.text(SEALED).await, "0");
        stage.stop().await;
    }
}

/// Refusals that were summed up while the log could not take them are written once it can.
///
/// Proves: AU2
#[tokio::test]
async fn au2_refusals_of_an_outage_are_written_after_it() {
    let stage = Stage::start().await;
    let rooms = stage.world.rooms();
    let mut database = stage.database().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit_events WHEN NEW.kind = 'refusals.summary'
                BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.run(full).await;
    for last in 1..=2 {
        for reason in [Reason::AssertionInvalid, Reason::WorkloadCredentialMissing] {
            rooms.refusals.count("grpc", reason, IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        }
    }
    stage.clock.advance(Duration::from_secs(60));
    worker::round(rooms).await;
    database.run("DROP TRIGGER full").await;
    worker::round(rooms).await;
    let events = database.events().await;
    let counts: Vec<_> = events
        .iter()
        .filter(|event| event.kind == "refusals.summary")
        .map(|event| (event.reason.as_str(), event.body.pointer("/detail/count").and_then(|n| n.as_u64())))
        .collect();
    assert_eq!(counts, [("ASSERTION_INVALID", Some(2)), ("WORKLOAD_CREDENTIAL_MISSING", Some(2))]);
    stage.stop().await;
}
