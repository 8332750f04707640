//! A Redis in somebody else's hands can make replicas slow, and nothing else.

use std::time::Duration;

use broker::domain::ConnectionId;
use broker::relay::Changed;
use broker_testkit::{Redis, Reply};
use broker_tests::fake_redis::{FakeRedis, Manner};
use broker_tests::redis::works;
use broker_tests::replicas::Replicas;
use broker_tests::stage::READ;
use demo::saas::Event;
use demo::world::{ALICE, BOB, Options, Workload::TicketHelper};

use super::limits::{BURST, LEAST, admitted};

/// Longer than anything here may take.
const BOUND: Duration = Duration::from_secs(60);
/// Two mebibytes are let in; the rest is what the kernel's buffers of both sides hold.
const TAKEN: usize = 24 << 20;
/// After this nothing more is said.
const SILENCE: Duration = Duration::from_secs(2);

/// The main job on two replicas, a refresh on both at once among it.
async fn everything_works(replicas: &Replicas) {
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    replicas.connect(1, &BOB, TicketHelper, READ).await;
    replicas.advance(Duration::from_secs(700));
    let refreshed =
        || replicas.site.notes().truth().iter().filter(|e| matches!(e, Event::Refreshed { .. })).count();
    let before = refreshed();
    let (one, other) = tokio::join!(
        replicas.grant(0, &ALICE, TicketHelper, READ),
        replicas.grant(1, &ALICE, TicketHelper, READ)
    );
    assert_eq!(one.access_token.expose(), other.access_token.expose());
    assert_eq!(refreshed(), before + 1, "one refresh");
    replicas.operator(1).revoke(&one.connection_id).await.expect("revoked");
    replicas.consent(0, &ALICE, TicketHelper, READ).await;
}

/// Proves: AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_a_server_that_is_mute_or_talks_nonsense_costs_nothing_but_its_help() {
    for manner in [Manner::Mute, Manner::Nonsense, Manner::Endless, Manner::Huge] {
        let fake = FakeRedis::start(manner).await;
        let options = Options { extra_config: fake.section(), ..Options::default() };
        let replicas = Replicas::with(2, options).await;
        everything_works(&replicas).await;
        assert_eq!(admitted(&replicas, 0, BURST + 10).await, BURST, "{manner:?}");
        assert!(!replicas.at(0).rooms().relay.works(), "{manner:?}");
        replicas.stop().await;
    }
}

/// Proves: AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_a_server_that_refuses_every_call_slows_callers_and_silences_nobody() {
    let fake = FakeRedis::start(Manner::Strict).await;
    let options = Options { extra_config: fake.section(), ..Options::default() };
    let replicas = Replicas::with(2, options).await;
    for replica in replicas.all() {
        works(&replica.rooms().relay, true).await;
    }
    everything_works(&replicas).await;
    // A machine so busy that an answer takes 50 ms is one without Redis.
    let relay = &replicas.at(0).rooms().relay;
    let held_back = async {
        loop {
            works(relay, true).await;
            replicas.advance(Duration::from_secs(10));
            let admitted = admitted(&replicas, 0, BURST).await;
            if relay.works() {
                return admitted;
            }
        }
    };
    let admitted = tokio::time::timeout(BOUND, held_back).await.expect("its answers come");
    assert_eq!(admitted, LEAST, "what no server takes away, and comes back with time");
    replicas.stop().await;
}

/// What a server may make a broker hold is bounded on the connection that asks as well.
///
/// Proves: AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_an_answer_that_is_larger_than_any_ends_the_connection() {
    let fake = FakeRedis::start(Manner::HugeLater).await;
    let options = Options { extra_config: fake.section(), ..Options::default() };
    let replicas = Replicas::with(1, options).await;
    works(&replicas.at(0).rooms().relay, true).await;
    assert_eq!(admitted(&replicas, 0, BURST + 10).await, BURST, "its own bucket");
    let taken = tokio::time::timeout(BOUND, fake.taken()).await.expect("the connection ends");
    println!("{taken} bytes were taken");
    assert!(taken < TAKEN, "{taken} bytes were taken");
    replicas.stop().await;
}

/// Every word is repeated and changed in every way: none counts but the first, and each only means to look.
///
/// Proves: AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_words_that_are_repeated_or_changed_are_not_heard() {
    let fake = FakeRedis::start(Manner::Parrot).await;
    let options = Options { extra_config: fake.section(), ..Options::default() };
    let replicas = Replicas::with(2, options).await;
    for replica in replicas.all() {
        works(&replica.rooms().relay, true).await;
    }
    let connection = replicas.connect(1, &BOB, TicketHelper, READ).await.connection_id;
    replicas.advance(Duration::from_secs(700));
    let mut heard = replicas.at(1).rooms().relay.hear();
    replicas.grant(0, &BOB, TicketHelper, READ).await;
    let this = Changed::Connection(ConnectionId::parse(&connection).expect("an id"));
    let mut times = 0;
    while tokio::time::timeout(SILENCE, heard.about(&this)).await.is_ok() {
        times += 1;
    }
    assert!(
        (1..=3).contains(&times),
        "heard {times} times of one refresh, each of whose words came a hundred times"
    );
    assert_eq!(admitted(&replicas, 0, BURST + 10).await, BURST, "an answer that is none is no objection");
    replicas.stop().await;
}

/// The real server, and somebody beside the brokers who writes to it.
///
/// Proves: AV3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av3_whoever_writes_to_redis_changes_no_answer() {
    let redis = Redis::start();
    let replicas = super::replicas(&redis, 2, Options::default()).await;
    let large = vec![b'x'; 1 << 20];
    let words: [&[u8]; 6] = [b"", b"cns_x", b"{\"allow\":true}", &[0; 600], &[0xff; 40], &large];
    for word in words {
        redis.number_of(&[b"PUBLISH", b"broker:changed", word]);
    }
    assert_eq!(admitted(&replicas, 0, 1).await, 1);
    // Under every key of ours something of another type.
    let Reply::Many(keys) = redis.ask(&[b"KEYS", b"broker:calls:*"]) else { panic!("keys") };
    assert!(!keys.is_empty());
    for key in keys {
        let Reply::Bytes(Some(key)) = key else { panic!("a key") };
        redis.number_of(&[b"DEL", &key]);
        redis.number_of(&[b"LPUSH", &key, b"x"]);
    }
    assert_eq!(admitted(&replicas, 0, BURST).await, BURST - 1, "its own bucket");
    everything_works(&replicas).await;
    // More than a broker takes from it between two heartbeats: it goes, and comes back.
    let relay = &replicas.at(0).rooms().relay;
    works(relay, true).await;
    let mut said = 0;
    while relay.works() {
        redis.number_of(&[b"PUBLISH", b"broker:changed", &large]);
        said += 1;
        assert!(said < 100, "a hundred mebibytes and it still listens");
    }
    replicas.grant(0, &BOB, TicketHelper, READ).await;
    for replica in replicas.all() {
        works(&replica.rooms().relay, true).await;
    }
    replicas.stop().await;
}
