//! A provider that hangs holds up those who need it, and nobody else.

use std::sync::Arc;
use std::time::Duration;

use broker_tests::stage::{READ, Stage};
use demo::notes::Fault;
use demo::world::{ALICE, BOB, Options, Workload::ReportWriter, Workload::TicketHelper};
use tokio::sync::Notify;

/// With four calls at once a provider may keep one waiting.
///
/// Proves: AV4, AV1
#[tokio::test]
async fn av4_callers_beyond_a_hanging_providers_seats_are_shed_at_once_and_the_rest_is_served() {
    let options =
        Options { extra_config: "limits: { max_concurrent_requests: 4 }".to_owned(), ..Options::default() };
    let stage = Stage::with(options).await;
    stage.world.notes().set_access_lifetime(3600);
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.connect(&BOB, TicketHelper, READ).await;

    // alice's token is over, and the provider hangs.
    stage.clock.advance(Duration::from_secs(3600));
    let release = Arc::new(Notify::new());
    stage.world.notes().script(Fault::Slow(Arc::clone(&release)), 1);
    let (client, request) = (stage.client(TicketHelper).clone(), stage.request(&ALICE, TicketHelper, READ));
    let hung = tokio::spawn(async move { client.issue_grant(&request).await });
    let mut database = stage.database().await;
    while database.text("SELECT count(*) FROM audit_events WHERE kind = 'refresh.intent'").await == "0" {
        tokio::task::yield_now().await;
    }

    // bob's is over too: he is told at once. Nobody else is kept: a consent needs no provider.
    let crowded = stage.ask(&BOB, TicketHelper, READ).await.expect_err("no seat");
    assert_eq!(crowded.reason(), "OVERLOADED");
    assert!(crowded.retry_after().is_some_and(|wait| !wait.is_zero()));
    stage.consent(&BOB, ReportWriter, READ).await;

    release.notify_one();
    broker_tests::stage::granted(hung.await.expect("no panic"));
    stage.grant(&BOB, TicketHelper, READ).await;
    stage.stop().await;
}
