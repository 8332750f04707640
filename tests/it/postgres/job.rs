//! Connect, issue, narrow, refresh, revoke and block: all through a broker on PostgreSQL.

use std::time::Duration;

use broker_client::proto::ConsentReason::NotConnected;
use broker_proto::v1::ConnectionState;
use broker_tests::operator::{Operator, person};
use broker_tests::postgres::PgDatabase;
use broker_tests::stage::{READ, READ_WRITE, Stage, refused};
use demo::world::{ALICE, BOB, Workload::ReportWriter, Workload::TicketHelper};

/// Proves: GR5, CO1, RV2
#[tokio::test]
async fn the_main_job_runs_on_postgresql() {
    main_job(&PgDatabase::create()).await;
}

/// All of it, through however the broker reaches the database.
pub async fn main_job(database: &PgDatabase) {
    let stage = Stage::on_postgres(database).await;

    // Nobody is connected: the same need gets the same link, and what comes of it is a grant.
    let needed = stage.consent(&ALICE, TicketHelper, READ).await;
    assert_eq!(needed.reason, NotConnected);
    assert_eq!(stage.consent(&ALICE, TicketHelper, READ).await.url.expose(), needed.url.expose());
    stage.walk(&ALICE, &needed).await;
    let first = stage.grant(&ALICE, TicketHelper, READ).await;
    assert!(stage.facts(&first).live);
    let row = format!("SELECT outcome || ' ' || workload FROM audit_events WHERE id = '{}'", first.id);
    assert_eq!(database.sql(&row), "allowed ticket-helper");

    // A repeated request id is the same grant.
    let request = stage.request(&ALICE, TicketHelper, READ).request_id("one");
    let client = stage.client(TicketHelper);
    let one = broker_tests::stage::granted(client.issue_grant(&request).await);
    let same = broker_tests::stage::granted(client.issue_grant(&request).await);
    assert_eq!(one.id, same.id);

    // Another server, wider scopes, another person: each needs a yes of its own.
    stage.connect(&ALICE, ReportWriter, READ_WRITE).await;
    let bobs = stage.connect(&BOB, TicketHelper, READ).await;
    assert_ne!(bobs.connection_id, first.connection_id);

    // The token runs out and is refreshed, under a lease on the database's clock.
    stage.clock.advance(Duration::from_secs(2 * 3600));
    let fresh = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_ne!(fresh.access_token.expose(), first.access_token.expose());
    assert!(stage.facts(&fresh).live);
    assert_eq!(
        database.sql("SELECT count(*) FROM connections WHERE lease_epoch > 0 AND lease_owner = ''"),
        "1"
    );

    // Revoked is revoked, and reconnecting works.
    let operator = Operator::of(&stage.world);
    operator.revoke(&first.connection_id).await.expect("revoked");
    assert_eq!(stage.consent(&ALICE, TicketHelper, READ).await.reason, NotConnected);
    let ended = operator.connection(&first.connection_id).await.expect("still to be seen");
    assert_eq!(ended.state(), ConnectionState::Revoked);
    stage.connect(&ALICE, TicketHelper, READ).await;

    // A block holds over a restart.
    operator.block(person(&BOB)).await.expect("blocked");
    assert_eq!(refused(stage.ask(&BOB, TicketHelper, READ).await), "BLOCKED");
    let stage = stage.restart_broker().await;
    assert_eq!(refused(stage.ask(&BOB, TicketHelper, READ).await), "BLOCKED");
    stage.grant(&ALICE, TicketHelper, READ).await;

    // Every allowed grant has its row, in streams without a gap.
    let gaps = "SELECT count(*) FROM audit_streams s WHERE seq <> (SELECT count(*) FROM audit_events e WHERE e.stream = s.stream)";
    assert_eq!(database.sql(gaps), "0");
    stage.stop().await;
}
