//! A crowd at one expired connection whose refresh token is good once.

use std::sync::Arc;
use std::time::Duration;

use broker_tests::replicas::{Replica, Replicas, client};
use broker_tests::stage::{READ, granted};
use demo::saas::{Event, Fault, Rotation};
use demo::world::{ALICE, Workload::TicketHelper};
use tokio::sync::Notify;

const CALLERS: usize = 500;
const PATIENCE: Duration = Duration::from_secs(120);

/// Proves: RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf1_five_hundred_callers_of_three_replicas_cause_one_refresh() {
    let replicas = Replicas::start(3).await;
    let notes = replicas.site.notes();
    notes.set_rotation(Rotation::SingleUse);
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    replicas.advance(Duration::from_secs(700));
    let rows = "SELECT count(*) FROM audit_events WHERE kind = 'grant.issue' AND outcome = 'allowed'";
    let before: usize = replicas.database.sql(rows).parse().expect("a number");
    // The answer is kept back, so that all of them are there when it comes.
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let request = replicas.request(&ALICE, TicketHelper, READ);
    let mut calls = Vec::new();
    for replica in replicas.all() {
        let client = client(&replicas.site, &replica.grpc_url(), TicketHelper, PATIENCE).await;
        for _ in 0..CALLERS.div_ceil(3) {
            let (client, request) = (client.clone(), request.clone());
            calls.push(tokio::spawn(async move { client.issue_grant(&request).await }));
        }
    }
    calls.truncate(CALLERS);
    let refreshed = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::Refreshed { .. })).count();
    tokio::time::timeout(PATIENCE, notes.wait_until(|events| refreshed(events) == 1)).await.expect("asked");
    let under_way = |replica: &Replica| {
        let text = replica.rooms().metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix("broker_calls_in_progress "));
        line.expect("the gauge").parse::<usize>().expect("a number")
    };
    let all_there = async {
        while replicas.all().iter().map(under_way).sum::<usize>() < CALLERS {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all_there).await.expect("all of them wait");
    release.notify_one();
    let mut tokens = std::collections::BTreeSet::new();
    for call in calls {
        tokens.insert(granted(call.await.expect("no panic")).access_token.expose().to_owned());
    }
    assert_eq!(tokens.len(), 1, "all of them have the same token");
    assert_eq!(refreshed(&notes.truth()), 1, "the provider was asked once");
    let refused = |event: &Event| matches!(event, Event::RefreshRefused { .. });
    assert!(!notes.truth().iter().any(refused));
    let after: usize = replicas.database.sql(rows).parse().expect("a number");
    assert!(after - before >= CALLERS, "{} rows", after - before);
    replicas.stop().await;
}
