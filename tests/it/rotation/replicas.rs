//! A key that one process makes is used by every replica.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use broker::worker;
use broker_tests::postgres::PgDatabase;
use broker_tests::process::run;
use broker_tests::replicas::Replicas;
use broker_tests::stage::{READ, granted};
use demo::saas::Event;
use demo::world::{ALICE, BOB, Options, Person, Workload::TicketHelper};
use serde_json::Value;

use super::{rewrap, rotate, tenant};

/// Longer than a replica may take to notice.
const BOUND: Duration = Duration::from_secs(30);

/// Under load.
const ROTATIONS: usize = 6;

/// The keys that wrap tokens.
fn wrapping(replicas: &Replicas) -> BTreeSet<String> {
    let keys = "SELECT DISTINCT convert_from(substr(envelope, 3, 30), 'UTF8') FROM connection_secrets";
    replicas.database.sql(keys).lines().map(str::to_owned).collect()
}

/// A grant. After the clock was moved far, the other replica may have taken this one for dead and ended its stream: then it opens the next.
async fn grant(replicas: &Replicas, number: usize, person: &Person) {
    let granted_in_the_end = async {
        loop {
            match replicas.ask(number, person, TicketHelper, READ).await {
                Err(error) if error.reason() == "AUDIT_UNAVAILABLE" => tokio::task::yield_now().await,
                answer => return drop(granted(answer)),
            }
        }
    };
    tokio::time::timeout(BOUND, granted_in_the_end).await.expect("an answer");
}

async fn newest(replicas: &Replicas, number: usize) -> String {
    let keys = replicas.at(number).rooms().keys.tenant_key(&tenant()).await;
    keys.expect("the tenant's keys").newest().to_owned()
}

/// Nobody asks for anything meanwhile: each replica finds it by itself.
///
/// Proves: VA5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_a_new_key_wraps_on_every_replica_within_seconds() {
    let replicas = Replicas::start(2).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    grant(&replicas, 1, &ALICE).await;
    let key = rotate(&replicas.site).await.key.id;
    let noticed = async {
        for number in 0..2 {
            while newest(&replicas, number).await != key {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(BOUND, noticed).await.expect("both replicas have it");
    replicas.advance(Duration::from_secs(700));
    grant(&replicas, 1, &ALICE).await;
    assert_eq!(wrapping(&replicas), BTreeSet::from([key]));
    replicas.stop().await;
}

/// One replica has noticed, the other meets the key in a row. Neither asks the provider twice, or anybody to connect again.
///
/// Proves: VA5, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_rf1_what_one_replica_wraps_with_a_new_key_the_other_opens() {
    let replicas = Replicas::start(2).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    replicas.connect(1, &BOB, TicketHelper, READ).await;
    for (number, person) in [(0, &BOB), (1, &ALICE)] {
        grant(&replicas, number, person).await;
    }
    let refreshes = || {
        let events = replicas.site.notes().truth();
        events.iter().filter(|event| matches!(event, Event::Refreshed { .. })).count()
    };
    for round in 1..=3 {
        rotate(&replicas.site).await;
        worker::round(replicas.at(round % 2).rooms()).await;
        replicas.advance(Duration::from_secs(700));
        grant(&replicas, round % 2, &ALICE).await;
        grant(&replicas, 1 - round % 2, &ALICE).await;
        grant(&replicas, 1 - round % 2, &BOB).await;
        grant(&replicas, round % 2, &BOB).await;
        assert_eq!(refreshes(), 2 * round);
    }
    replicas.stop().await;
}

/// Three replicas issue and refresh all the time, at a provider that ends everything when a refresh token comes twice; meanwhile keys are
/// rotated and everything is wrapped anew, over and over. Everybody is answered with a grant, and in time.
///
/// Proves: VA5, RF4, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_rf4_rotation_under_load_loses_nothing_and_keeps_nobody_waiting() {
    let options = Options { extra_config: "refresh: { ahead: false }".to_owned(), ..Options::default() };
    let replicas = Replicas::on(3, PgDatabase::create(), options).await;
    // Handed to nobody twice: every call needs a refresh.
    replicas.site.notes().set_access_lifetime(5);
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    replicas.connect(1, &BOB, TicketHelper, READ).await;
    let over = AtomicBool::new(false);
    let rotating = async {
        for _ in 0..ROTATIONS {
            rotate(&replicas.site).await;
            rewrap(&replicas.site).await;
        }
        over.store(true, SeqCst);
    };
    // Each connection is asked of on one replica after the other.
    let issuing = async |person, first: usize| {
        let mut grants = 0;
        while !over.load(SeqCst) {
            replicas.grant((first + grants) % 3, person, TicketHelper, READ).await;
            grants += 1;
        }
        grants
    };
    let ((), of_alice, of_bob) = tokio::join!(rotating, issuing(&ALICE, 0), issuing(&BOB, 1));
    assert!(of_alice >= 6 && of_bob >= 6, "{of_alice}, {of_bob}");
    let lost = |event: &Event| matches!(event, Event::RefreshRefused { .. } | Event::ReuseDetected { .. });
    assert!(!replicas.site.notes().truth().iter().any(lost));
    for replica in replicas.all() {
        worker::round(replica.rooms()).await;
    }
    let (_, left) = rewrap(&replicas.site).await;
    assert_eq!((left, wrapping(&replicas).len()), (0, 1));
    replicas.grant(2, &ALICE, TicketHelper, READ).await;
    let latched = "SELECT count(*) FROM audit_events WHERE kind = 'connection.reauth_required'";
    assert_eq!(replicas.database.sql(latched), "0");
    replicas.stop().await;
}

/// A row that somebody is at is neither waited for nor lost.
///
/// Proves: VA5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_a_rewrap_waits_for_nobody_who_is_at_a_row() {
    let replicas = Replicas::start(1).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    rotate(&replicas.site).await;
    let mut other = replicas.database.connect().await;
    other.run("BEGIN").await;
    other.run("UPDATE connection_secrets SET obtained_at = obtained_at WHERE kind = 'refresh'").await;
    let (done, left) = rewrap(&replicas.site).await;
    assert_eq!((done.rows.tokens, done.unusable, left), (1, 0, 1), "the other one is left");
    other.let_go().await;
    let (done, left) = rewrap(&replicas.site).await;
    assert_eq!((done.rows.tokens, left), (1, 0));
    replicas.stop().await;
}

/// Two operators at once, and a third who wraps everything anew meanwhile.
///
/// Proves: VA5, AU2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_au2_rotations_at_once_make_a_key_each_and_lose_nothing() {
    let replicas = Replicas::start(2).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    let (one, other, _) =
        tokio::join!(rotate(&replicas.site), rotate(&replicas.site), rewrap(&replicas.site));
    assert_ne!(one.key.id, other.key.id);
    let (_, left) = rewrap(&replicas.site).await;
    assert_eq!(left, 0);
    replicas.advance(Duration::from_secs(700));
    for number in 0..2 {
        grant(&replicas, number, &ALICE).await;
    }
    let created = "SELECT count(*) FROM audit_events WHERE kind = 'key.created'";
    assert_eq!(replicas.database.sql(created), "2");
    let ran = run(replicas.site.directory(), &["keys", "list", "--json"]).await;
    let keys: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let of_tenant: Vec<_> =
        keys.as_array().expect("a list").iter().filter(|key| key["kind"] == "tenant").collect();
    assert_eq!(of_tenant.len(), 3, "{keys}");
    assert_eq!(of_tenant.iter().filter(|key| key["state"] == "wraps").count(), 1, "{keys}");
    replicas.stop().await;
}
