//! A server waits on one replica for what a person does on another.

use std::time::Duration;

use broker_proto::v1::consent_service_client::ConsentServiceClient;
use broker_proto::v1::{ConsentState, WatchConsentRequest, WatchConsentResponse};
use broker_tests::replicas::Replicas;
use broker_tests::stage::READ;
use demo::walk;
use demo::world::{ALICE, Options, Workload::TicketHelper};
use tonic::{Request, Streaming};

/// Woken: well below the time after which a waiter looks by itself.
const WOKEN: Duration = Duration::from_secs(3);
/// The time after which it looks by itself, and a while for a busy machine.
const POLLED: Duration = Duration::from_secs(5 + 4);

async fn next(watch: &mut Streaming<WatchConsentResponse>, within: Duration) -> Option<ConsentState> {
    let message = tokio::time::timeout(within, watch.message()).await.expect("in time").expect("no error")?;
    Some(message.consent.expect("a consent").state())
}

/// Watches on the first replica while a person declines on the second; the end comes within `bound`.
async fn declined_elsewhere(replicas: &Replicas, bound: Duration) {
    let needed = replicas.consent(0, &ALICE, TicketHelper, READ).await;
    let message = WatchConsentRequest { consent_id: needed.consent_id.clone(), assertion: None };
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", replicas.site.secret(TicketHelper));
    request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
    let mut consents = ConsentServiceClient::new(replicas.at(0).channel());
    let mut watch = consents.watch_consent(request).await.expect("a watch").into_inner();
    assert_eq!(next(&mut watch, bound).await, Some(ConsentState::Pending));

    replicas.pages_at(1);
    let page = replicas.browser().get(needed.url.expose()).await.expect("opens");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signs in");
    walk::decline(page).await.expect("declines");
    let seen = tokio::time::timeout(bound, async {
        loop {
            match next(&mut watch, bound).await {
                Some(ConsentState::Pending) => {}
                other => return other,
            }
        }
    });
    assert_eq!(seen.await.expect("in time"), Some(ConsentState::Declined));
    assert_eq!(next(&mut watch, bound).await, None, "the stream ends");
}

/// Proves: CO12, AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co12_av3_a_watch_on_one_replica_is_woken_by_what_happens_on_another() {
    let replicas = Replicas::start(2).await;
    // The listeners connect by themselves; until both have, there is nobody to wake.
    let listening =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let both = async {
        while replicas.database.sql(listening) != "2" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("both listen");
    declined_elsewhere(&replicas, WOKEN).await;
    replicas.stop().await;
}

/// Proves: CO12, AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co12_av3_where_no_wake_ups_come_a_watch_looks_again_within_its_bound() {
    let nowhere = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(nowhere.path(), "postgres://broker_app@127.0.0.1:1/broker").expect("written");
    let direct = format!("postgres: {{ direct_url: \"${{file:{}}}\", ", nowhere.path().display());
    let amend = move |text: String| text.replace("postgres: { ", &direct);
    let options = Options { amend_config: Some(Box::new(amend)), ..Options::default() };
    let replicas = Replicas::with(2, options).await;
    declined_elsewhere(&replicas, POLLED).await;
    replicas.stop().await;
}
