//! A refresh under way on one replica while another needs it, or ends the connection.

use std::sync::Arc;
use std::time::Duration;

use broker::worker;
use broker_client::{Error, Outcome};
use broker_proto::v1::ProviderRevocation;
use broker_tests::replicas::{Replicas, client};
use broker_tests::stage::{READ, granted};
use demo::saas::{Endpoint, Event, Fault, RevokedKind};
use demo::world::{ALICE, Workload::TicketHelper};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Longer than anything here may take.
const BOUND: Duration = Duration::from_secs(30);
/// For as long as a caller's own clock is no matter.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time of one who has little.
const BRIEF: Duration = Duration::from_secs(10);
/// A caller that is not answered at once waits.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Two replicas, alice connected with a token that ran out.
async fn expired() -> (Replicas, String) {
    let replicas = Replicas::start(2).await;
    let connection = replicas.connect(0, &ALICE, TicketHelper, READ).await.connection_id;
    replicas.advance(Duration::from_secs(700));
    (replicas, connection)
}

/// A call of its own, whose caller has the time.
async fn asking(
    replicas: &Replicas,
    number: usize,
    patience: Duration,
) -> JoinHandle<Result<Outcome, Error>> {
    let client = client(&replicas.site, &replicas.at(number).grpc_url(), TicketHelper, patience).await;
    let request = replicas.request(&ALICE, TicketHelper, READ);
    tokio::spawn(async move { client.issue_grant(&request).await })
}

/// A call whose refresh has rotated the token at the provider, which keeps its answer back until told.
async fn rotated(replicas: &Replicas, number: usize) -> (JoinHandle<Result<Outcome, Error>>, Arc<Notify>) {
    let notes = replicas.site.notes();
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let count = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::Refreshed { .. })).count();
    let before = count(&notes.truth());
    let call = asking(replicas, number, PATIENCE).await;
    let rotated = notes.wait_until(|events| count(events) > before);
    tokio::time::timeout(BOUND, rotated).await.expect("the provider is asked");
    (call, release)
}

async fn waits(call: &mut JoinHandle<Result<Outcome, Error>>) {
    if let Ok(answer) = tokio::time::timeout(AT_ONCE, call).await {
        panic!("answered at once: {answer:?}");
    }
}

/// Revoked on one replica while the other's refresh is under way: the provider was told of a token that it had replaced already. What
/// then comes back ends there too.
///
/// Proves: RF4, RV1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf4_a_token_that_comes_back_after_a_revoke_on_another_replica_is_ended_at_the_provider() {
    let (replicas, connection) = expired().await;
    let notes = replicas.site.notes();
    let (call, release) = rotated(&replicas, 0).await;
    notes.script_at(Endpoint::Revoke, Fault::Forgotten, 1);
    let answer = replicas.operator(1).revoke(&connection).await.expect("revoked");
    assert_eq!(answer.provider_revocation(), ProviderRevocation::Revoked, "as far as anybody knows");
    let kept = "SELECT (SELECT count(*) FROM connection_secrets) || '/' || (SELECT count(*) FROM provider_revocations)";
    assert_eq!(replicas.database.sql(kept), "0/0");
    let ended = |event: &Event| {
        matches!(event, Event::Revoked { kind: RevokedKind::Family | RevokedKind::Reuse, .. })
    };
    assert!(!notes.truth().iter().any(ended), "the new token lives");

    release.notify_one();
    let outcome = call.await.expect("it ends");
    assert!(!matches!(outcome, Ok(Outcome::Grant(_))), "a grant from a revoked connection");
    worker::round(replicas.at(1).rooms()).await;
    let told = notes.wait_until(|events| events.iter().any(ended));
    tokio::time::timeout(BOUND, told).await.expect("the provider is told of the new token");
    let over = async {
        while replicas.database.sql(kept) != "0/0" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, over).await.expect("nothing is kept of what is dead");
    replicas.stop().await;
}

/// Proves: RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf1_a_refresh_on_another_replica_is_waited_for_as_long_as_it_may_take() {
    let (replicas, _) = expired().await;
    let (one, release) = rotated(&replicas, 0).await;
    replicas.advance(Duration::from_secs(5));
    let mut other = asking(&replicas, 1, PATIENCE).await;
    waits(&mut other).await;
    release.notify_one();
    let one = granted(one.await.expect("it ends"));
    let other = granted(other.await.expect("it ends"));
    assert_eq!(one.access_token.expose(), other.access_token.expose());
    replicas.stop().await;
}

/// Who cannot wait is told to come back soon, while the call may still be answered; and when the lease ends, from then on.
///
/// Proves: RF1, RF7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf7_who_comes_during_a_refresh_on_another_replica_is_told_when_to_come_back() {
    let (replicas, _) = expired().await;
    let (one, release) = rotated(&replicas, 0).await;
    let mut hurried = asking(&replicas, 1, BRIEF).await;
    waits(&mut hurried).await;
    // Its time is as good as over, and the provider's, 12 s at worst, is not.
    replicas.advance(BRIEF - Duration::from_millis(200));
    assert!(told(hurried.await.expect("it ends")) <= Duration::from_secs(2));
    replicas.advance(Duration::from_secs(3));
    let rest = told(replicas.ask(1, &ALICE, TicketHelper, READ).await).as_secs();
    assert!((40..=48).contains(&rest), "{rest}");
    release.notify_one();
    granted(one.await.expect("it ends"));
    replicas.stop().await;
}

fn told(outcome: Result<Outcome, Error>) -> Duration {
    let Err(error) = outcome else { panic!("nothing is there to be served") };
    assert_eq!(error.reason(), "PROVIDER_UNAVAILABLE");
    error.retry_after().expect("when to come back")
}
