//! How often one caller may call is counted for all replicas together, and by each alone where there is no Redis.

use std::time::Duration;

use broker_proto::v1::WatchConsentRequest;
use broker_proto::v1::consent_service_client::ConsentServiceClient;
use broker_testkit::Redis;
use broker_tests::redis::works;
use broker_tests::replicas::Replicas;
use demo::world::{Options, Workload::TicketHelper};
use tonic::{Code, Request};

/// Calls of this method at once, by the gate's table; the test's clock stands still, so that no bucket of a replica fills.
pub const BURST: usize = 40;
/// What a caller has of each replica, whatever Redis says.
pub const LEAST: usize = BURST / 10;

/// So many of `calls` at once get past one replica's limit.
pub async fn admitted(replicas: &Replicas, number: usize, calls: usize) -> usize {
    let asked = (0..calls).map(|_| {
        let mut consents = ConsentServiceClient::new(replicas.at(number).channel());
        let mut request =
            Request::new(WatchConsentRequest { consent_id: "cns_nobody".to_owned(), assertion: None });
        let bearer = format!("Bearer {}", replicas.site.secret(TicketHelper));
        request.metadata_mut().insert("authorization", bearer.parse().expect("a header"));
        async move { consents.watch_consent(request).await.expect_err("no such consent").code() }
    });
    let codes = futures::future::join_all(asked).await;
    codes.iter().filter(|code| **code != Code::ResourceExhausted).count()
}

/// Proves: AV3, AV1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_av1_a_callers_limit_is_one_for_all_replicas_and_each_ones_own_without_redis() {
    let mut redis = Redis::start();
    let replicas = super::replicas(&redis, 3, Options::default()).await;
    // A machine so busy that an answer takes 50 ms is one without Redis.
    let counted_together = async {
        loop {
            for replica in replicas.all() {
                works(&replica.rooms().relay, true).await;
            }
            replicas.advance(Duration::from_secs(10));
            redis.flush();
            assert_eq!(admitted(&replicas, 0, BURST + 10).await, BURST, "its own bucket comes first");
            let (first, second) = (admitted(&replicas, 1, BURST).await, admitted(&replicas, 1, BURST).await);
            if replicas.all().iter().all(|replica| replica.rooms().relay.works()) {
                return (first, second);
            }
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(60), counted_together).await;
    let (first, second) = counted.expect("Redis answers in time");
    // Redis counts on its own clock, and fills twenty a second.
    assert!(first < BURST, "{first} of {BURST} though another replica admitted as many");
    assert!(first + second <= BURST, "{first} and {second}");
    let kept = String::from_utf8(redis.dump()).expect("text");
    let line = kept.strip_prefix("broker:calls:").expect("what is counted");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    assert!(line.trim_end().chars().all(plain), "{kept}");

    redis.kill();
    works(&replicas.at(2).rooms().relay, false).await;
    assert_eq!(admitted(&replicas, 2, BURST + 10).await, BURST, "its own, and all of it");
    replicas.stop().await;
}
