//! Who waits for what another replica does is woken through Redis.

use std::sync::Arc;
use std::time::Duration;

use broker::domain::ConnectionId;
use broker::relay::Changed;
use broker_proto::v1::consent_service_client::ConsentServiceClient;
use broker_proto::v1::{ConsentState, WatchConsentRequest};
use broker_testkit::Redis;
use broker_tests::replicas::{Replicas, client};
use broker_tests::stage::{READ, granted};
use demo::saas::{Event, Fault};
use demo::walk;
use demo::world::{ALICE, Options, Workload::TicketHelper};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Request;

/// Longer than anything here may take.
const BOUND: Duration = Duration::from_secs(30);
/// For so long at least a waiter has looked once and waits. It looks by itself a second after that.
const RESTS: Duration = Duration::from_millis(200);
/// Before that second is over.
const WOKEN: Duration = Duration::from_millis(600);

/// Two replicas without any way to be told by PostgreSQL.
async fn deaf_to_postgres(redis: &Redis) -> Replicas {
    let nowhere = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(nowhere.path(), "postgres://broker_app@127.0.0.1:1/broker").expect("written");
    let direct = format!("postgres: {{ direct_url: \"${{file:{}}}\", ", nowhere.path().display());
    let amend = move |text: String| text.replace("postgres: { ", &direct);
    super::replicas(redis, 2, Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await
}

/// A call of its own: its token, and when that came.
async fn asking(replicas: &Replicas, number: usize) -> JoinHandle<(String, Instant)> {
    let client = client(&replicas.site, &replicas.at(number).grpc_url(), TicketHelper, BOUND).await;
    let request = replicas.request(&ALICE, TicketHelper, READ);
    tokio::spawn(async move {
        let grant = granted(client.issue_grant(&request).await);
        (grant.access_token.expose().to_owned(), Instant::now())
    })
}

/// The refresh is under way on one replica for a while, so that the other's waiter has come to rest; then it has its token at once.
///
/// Proves: AV3, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_rf1_a_waiter_is_woken_by_the_refresh_that_another_replica_settles() {
    let redis = Redis::start();
    let replicas = super::replicas(&redis, 2, Options::default()).await;
    let notes = replicas.site.notes();
    let connection = replicas.connect(0, &ALICE, TicketHelper, READ).await.connection_id;
    for _ in 0..3 {
        replicas.advance(Duration::from_secs(700));
        let release = Arc::new(Notify::new());
        notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let count = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::Refreshed { .. })).count();
        let before = count(&notes.truth());
        let first = asking(&replicas, 0).await;
        let asked = notes.wait_until(|events| count(events) > before);
        tokio::time::timeout(BOUND, asked).await.expect("the provider is asked");
        let mut heard = replicas.at(1).rooms().relay.hear();
        let mut second = asking(&replicas, 1).await;
        assert!(tokio::time::timeout(RESTS, &mut second).await.is_err(), "there is nothing to serve yet");
        release.notify_one();
        let this = Changed::Connection(ConnectionId::parse(&connection).expect("an id"));
        tokio::time::timeout(BOUND, heard.about(&this)).await.expect("it is told");
        let ((token, at), (same, later)) = (first.await.expect("ends"), second.await.expect("ends"));
        assert_eq!(token, same);
        let behind = later.saturating_duration_since(at);
        assert!(behind < WOKEN, "{behind:?} behind");
        assert_eq!(count(&notes.truth()), before + 1, "one refresh");
    }
    replicas.stop().await;
}

/// Behind a pooler, without a connection that PostgreSQL could tell anything over.
///
/// Proves: AV3, CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_co12_a_watch_is_woken_through_redis_where_postgres_cannot() {
    let redis = Redis::start();
    let replicas = deaf_to_postgres(&redis).await;
    let needed = replicas.consent(0, &ALICE, TicketHelper, READ).await;
    let message = WatchConsentRequest { consent_id: needed.consent_id.clone(), assertion: None };
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", replicas.site.secret(TicketHelper));
    request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
    let mut consents = ConsentServiceClient::new(replicas.at(0).channel());
    let mut watch = consents.watch_consent(request).await.expect("a watch").into_inner();
    replicas.pages_at(1);
    let page = replicas.browser().get(needed.url.expose()).await.expect("opens");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signs in");
    walk::decline(page).await.expect("declines");
    let declined = Instant::now();
    loop {
        let said = tokio::time::timeout(BOUND, watch.message()).await.expect("in time").expect("no error");
        if said.and_then(|said| said.consent).expect("a consent").state() == ConsentState::Declined {
            break;
        }
    }
    assert!(declined.elapsed() < Duration::from_secs(2), "{:?}", declined.elapsed());
    replicas.stop().await;
}
