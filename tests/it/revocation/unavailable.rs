//! A database that cannot be written: nothing is acknowledged, nothing is issued, nothing hangs.

use broker_proto::v1::block_target::Target;
use broker_tests::operator::{Operator, person, reason};
use broker_tests::stage::{READ, Stage, refused};
use demo::world::{ALICE, Workload::TicketHelper};
use std::time::Duration;
use tonic::Code;

/// Longer than any of these may take.
const BOUND: Duration = Duration::from_secs(60);

/// Proves: RV4, AU3, AU1
#[tokio::test]
async fn with_the_database_held_by_another_nothing_is_acknowledged_or_issued() {
    let stage = Stage::start().await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    let operator = Operator::of(&stage.world);
    let mut database = stage.database().await;
    let before = database.events().await.len();
    database.run("BEGIN EXCLUSIVE").await;

    let all = async {
        let status = operator.revoke(&grant.connection_id).await.expect_err("never OK");
        assert_eq!(status.code(), Code::Unavailable, "{}", reason(&status));
        for target in [person(&ALICE), Target::Workload("ticket-helper".to_owned())] {
            let status = operator.block(target).await.expect_err("never OK");
            assert_eq!(status.code(), Code::Unavailable, "{}", reason(&status));
        }
        let refusal = refused(stage.ask(&ALICE, TicketHelper, READ).await);
        assert!(["AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE"].contains(&refusal.as_str()), "{refusal}");
        let assertion = stage.world.assertion(&ALICE, TicketHelper).into();
        let client = stage.client(TicketHelper);
        client.withdraw_approval(&grant.connection_id, &assertion).await.expect_err("never OK");
    };
    tokio::time::timeout(BOUND, all).await.expect("every answer comes in time");

    database.run("ROLLBACK").await;
    assert_eq!(
        database.text("SELECT count(*) FROM revocations").await,
        "0",
        "what was refused has not happened"
    );
    assert!(stage.facts(&grant).live);
    let grants = |events: &[broker_tests::database::Event]| {
        events.iter().filter(|e| e.kind == "grant.issue" && e.outcome == "allowed").count()
    };
    let events = database.events().await;
    assert_eq!(grants(&events[..before]), grants(&events), "no row, no grant");

    // Afterwards everything works without anybody's help.
    let served = async {
        while stage.ask(&ALICE, TicketHelper, READ).await.is_err() {
            tokio::task::yield_now().await;
        }
        operator.revoke(&grant.connection_id).await
    };
    let answer = tokio::time::timeout(BOUND, served).await.expect("in time").expect("revoked");
    assert!(answer.revocation_epoch > 0 && !stage.facts(&grant).live);
    stage.consent(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}
