//! A rewrap dies, or is overtaken by a refresh, or overtakes one. The newest generation is what is stored, and it opens.

use std::sync::Arc;

use broker_tests::postgres::PgDatabase;
use broker_tests::process::{BrokerProcess, run};
use demo::saas::{Event, Fault};
use serde_json::Value;
use tokio::sync::Notify;

use super::scene::{BOUND, Class, Scene, Told, refreshes};

/// What a rewrap that dies there leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Every token as it was.
    AsItWas,
    /// The tokens of its batch wrapped anew.
    BatchDone,
}

pub const POINTS: [(&str, Left); 2] =
    [("rewrap.before_commit", Left::AsItWas), ("rewrap.committed", Left::BatchDone)];

/// Where it stands still with a row read and not yet written.
const HALFWAY: &str = "rewrap.before_commit:stop";

/// Tokens that this key wraps.
fn wrapped_by(scene: &Scene, key: &str) -> usize {
    let sql = "SELECT count(*) FROM connection_secrets WHERE convert_from(substr(envelope, 3, 30), 'UTF8')";
    scene.database.sql(&format!("{sql} = '{key}'")).parse().expect("a number")
}

/// The stored generation of the refresh token, and of the access token.
fn generations(scene: &Scene) -> (i64, i64) {
    let of = |kind: &str| {
        let sql = format!("SELECT max(generation) FROM connection_secrets WHERE kind = '{kind}'");
        scene.database.sql(&sql).parse().expect("a generation")
    };
    (of("refresh"), of("access"))
}

/// A further key; the one before it.
async fn rotate(scene: &Scene) -> (String, String) {
    let ran = run(scene.site.directory(), &["keys", "rotate", "--tenant", "company", "--json"]).await;
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let text = |name: &str| told[0][name].as_str().expect("a key").to_owned();
    (text("key"), text("previous"))
}

/// Wraps everything anew, to its end.
async fn rewrap(scene: &Scene) {
    let ran = run(scene.site.directory(), &["keys", "rewrap", "--json"]).await;
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!((ran.code, &told["tenants"][0]["left"]), (0, &0.into()), "{told}");
}

/// No refresh token was sent twice, and nobody was asked to connect again.
fn nothing_was_lost(scene: &Scene) {
    let lost = |event: &Event| matches!(event, Event::RefreshRefused { .. } | Event::ReuseDetected { .. });
    let truth = scene.site.notes().truth();
    assert!(!truth.iter().any(lost), "{truth:?}");
    assert_eq!(scene.events("connection.reauth_required"), 0);
}

async fn dies(scene: &Scene) {
    for (point, left) in POINTS {
        // The broker may not have noticed the last key when it stored its last tokens.
        rewrap(scene).await;
        let (key, old) = rotate(scene).await;
        let before = wrapped_by(scene, &old);
        assert!(before >= 2, "{point}");
        BrokerProcess::command_to(scene.site.directory(), &["keys", "rewrap"], point).died().await;
        match left {
            Left::AsItWas => assert_eq!((wrapped_by(scene, &key), wrapped_by(scene, &old)), (0, before)),
            Left::BatchDone => assert_eq!((wrapped_by(scene, &key), wrapped_by(scene, &old)), (before, 0)),
        }
        assert_eq!(scene.ask().await, Told::Granted, "{point}");
        rewrap(scene).await;
        assert_eq!(scene.ask().await, Told::Granted, "{point}");
    }
}

/// A refresh goes through while a rewrap holds the row it has read: what the refresh stores stays.
async fn is_overtaken(scene: &Scene, class: Class) {
    let (key, _) = rotate(scene).await;
    let mut halfway = BrokerProcess::command_to(scene.site.directory(), &["keys", "rewrap"], HALFWAY);
    halfway.said("crash point").await;
    let (before, sent) = (generations(scene), scene.refreshes());
    assert_eq!(scene.ask().await, Told::Granted);
    let stored = generations(scene);
    assert!(stored.1 > before.1, "the refresh went through");
    assert_eq!(
        stored.0 > before.0,
        class != Class::Stays,
        "and replaced the refresh token where that is replaced"
    );
    halfway.resume().await;
    let (status, said) = halfway.ended().await;
    assert!(status.success(), "{said}");
    assert_eq!(generations(scene), stored, "the newest generation stays");
    assert_eq!(wrapped_by(scene, &key), 2, "and is wrapped anew by the next pass");
    assert_eq!(scene.ask().await, Told::Granted, "it opens, and the provider knows it");
    assert_eq!(scene.refreshes(), sent + 2);
}

/// A rewrap goes through between the request of a refresh and its answer: what comes is stored.
async fn overtakes(scene: &Scene, class: Class) {
    let notes = scene.site.notes();
    let (before, sent) = (generations(scene), scene.refreshes());
    let release = Arc::new(Notify::new());
    notes.script(Fault::SlowAnswer(Arc::clone(&release)), 1);
    let meanwhile = async {
        let asked = notes.wait_until(|events| refreshes(events) > sent);
        tokio::time::timeout(BOUND, asked).await.expect("the provider is asked");
        let (key, _) = rotate(scene).await;
        rewrap(scene).await;
        assert_eq!((generations(scene), wrapped_by(scene, &key)), (before, 2));
        release.notify_one();
    };
    let (told, ()) = tokio::join!(scene.ask(), meanwhile);
    assert_eq!(told, Told::Granted);
    let stored = generations(scene);
    assert!(stored.1 > before.1 && (stored.0 > before.0) == (class != Class::Stays), "{stored:?}");
    assert_eq!(scene.refreshes(), sent + 1);
    assert_eq!(scene.ask().await, Told::Granted);
    assert_eq!(scene.refreshes(), sent + 2);
}

async fn races(class: Class) {
    let scene = Scene::set(class, PgDatabase::create()).await;
    dies(&scene).await;
    is_overtaken(&scene, class).await;
    overtakes(&scene, class).await;
    nothing_was_lost(&scene);
    scene.end().await;
}

/// Proves: VA5, RF4, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_rf4_a_rewrap_and_refreshes_of_a_token_that_stays_lose_nothing_to_each_other() {
    races(Class::Stays).await;
}

/// Proves: VA5, RF4, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_rf4_a_rewrap_and_refreshes_of_a_token_with_a_grace_lose_nothing_to_each_other() {
    races(Class::Grace).await;
}

/// Proves: VA5, RF4, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_rf4_a_rewrap_and_refreshes_of_a_single_use_token_lose_nothing_to_each_other() {
    races(Class::SingleUse).await;
}

/// Proves: VA5, RF4, RF1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn va5_rf4_a_rewrap_and_refreshes_of_a_token_with_a_family_lose_nothing_to_each_other() {
    races(Class::FamilyRevoking).await;
}
