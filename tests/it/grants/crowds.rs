//! A provider that hangs holds up those who need it, a workload that floods itself, and nobody else.

use std::sync::Arc;
use std::time::Duration;

use broker::domain::Reason;
use broker_client::{BatchRequest, GrantRequest, Outcome};
use broker_tests::stage::{READ, Stage};
use demo::saas::Fault;
use demo::world::{ALICE, BOB, Options, PROVIDER, Workload::ReportWriter, Workload::TicketHelper};
use tokio::sync::Notify;
use tokio::task::JoinSet;

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

/// With sixteen places one workload keeps eight, and a batch of two takes two of them: four batches at most.
///
/// Proves: AV4
#[tokio::test]
async fn av4_a_batch_takes_as_many_of_its_workloads_places_as_it_has_items() {
    let options =
        Options { extra_config: "limits: { max_concurrent_requests: 16 }".to_owned(), ..Options::default() };
    let stage = Stage::with(options).await;
    stage.connect(&ALICE, TicketHelper, &["notes.read", "notes.write"]).await;
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let item = |scope: &str| GrantRequest::new(assertion.as_str(), PROVIDER, [scope]);
    let batch = BatchRequest::new(assertion.as_str()).item(item("notes.read")).item(item("notes.write"));
    // Both tokens are at hand.
    stage.client(TicketHelper).batch_issue_grants(&batch).await.expect("both");

    let mut database = stage.database().await;
    database.hold_log().await;
    let mut flood = JoinSet::new();
    for _ in 0..20 {
        let (client, batch) = (stage.client(TicketHelper).clone(), batch.clone());
        flood.spawn(async move { client.batch_issue_grants(&batch).await });
    }
    for _ in 0..16 {
        let refused = flood.join_next().await.expect("a call").expect("no panic").expect_err("no place");
        assert_eq!(refused.reason(), "RATE_LIMITED");
    }
    database.let_go().await;
    let mut served = 0;
    while let Some(answer) = flood.join_next().await {
        match answer.expect("no panic") {
            Ok(_) => served += 1,
            Err(error) => assert_eq!(error.reason(), "RATE_LIMITED"),
        }
    }
    assert!(served > 0, "whoever has its places is served");
    stage.stop().await;
}

/// With eight calls at once one workload keeps four, and each has a caller. The log stands still, so that they stay.
///
/// Proves: AV4, AV1, AU2
#[tokio::test]
async fn av4_a_workload_that_floods_is_shed_beyond_its_share_and_another_is_served_meanwhile() {
    let options =
        Options { extra_config: "limits: { max_concurrent_requests: 8 }".to_owned(), ..Options::default() };
    let stage = Stage::with(options).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    let consent = stage.consent(&BOB, ReportWriter, READ).await;

    let mut database = stage.database().await;
    database.hold_log().await;
    let mut flood = JoinSet::new();
    for _ in 0..20 {
        let (client, request) =
            (stage.client(TicketHelper).clone(), stage.request(&ALICE, TicketHelper, READ));
        flood.spawn(async move { client.issue_grant(&request).await });
    }
    for _ in 0..16 {
        let refused = flood.join_next().await.expect("a call").expect("no panic").expect_err("no place");
        assert_eq!(refused.reason(), "RATE_LIMITED");
        assert!(refused.retry_after().is_some_and(|wait| !wait.is_zero()));
    }
    // Four are held. Another workload is served as ever, what it writes waits for the log and no longer.
    let other = stage.client(ReportWriter);
    other.get_consent(&consent.consent_id, None).await.expect("its own consent");
    let (client, request) = (other.clone(), stage.request(&BOB, ReportWriter, READ));
    let asked = tokio::spawn(async move { client.issue_grant(&request).await });
    database.let_go().await;
    while let Some(served) = flood.join_next().await {
        broker_tests::stage::granted(served.expect("no panic"));
    }
    assert!(matches!(asked.await.expect("no panic"), Ok(Outcome::ConsentRequired(_))));
    stage.grant(&ALICE, TicketHelper, READ).await;

    // What was shed has no rows of its own, and is not forgotten.
    let refusals = &stage.world.rooms().refusals;
    let sums: Vec<_> = refusals.drain_all().iter().map(|sum| refusals.entry(sum).draft).collect();
    assert_eq!(sums.len(), 1, "{sums:?}");
    assert_eq!((sums[0].reason, sums[0].detail["count"].as_u64()), (Some(Reason::RateLimited), Some(16)));
    assert!(sums[0].workload.as_ref().is_some_and(|workload| workload.as_str() == "ticket-helper"));
    stage.stop().await;
}
