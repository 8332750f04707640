//! The disk is full: nothing is served that has no row, callers are told, and with room again it goes on by itself.

use broker_tests::database::Database;
use broker_tests::history::{self, Call, End};
use broker_tests::process;

use super::scene::{PATIENCE, Scene};
use crate::history::record::record;

/// What a caller may be told while nothing can be written.
const REASONS: [&str; 2] = ["AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE"];
/// Longer than a refused call may take.
const AT_ONCE: i64 = 8_000_000;

/// Proves: AU3, AU1
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn au3_a_full_disk_is_told_as_such_and_with_room_again_everybody_is_served() {
    let mut scene = Scene::set().await;
    scene.granted(20).await;
    for _ in 0..2 {
        scene.recorder.disk_is_full(true);
        // What was written over in place is no matter; sooner or later something must grow.
        refused(&scene, 10).await;
        let full_since = scene.load.now();
        refused(&scene, 10).await;
        let until = scene.load.now();
        scene.recorder.disk_is_full(false);
        for call in during(&scene, full_since, until) {
            // A grant is no fault, where its row had room: that is held against the log below.
            assert!(!matches!(call.end, End::Lost), "while the disk was full: {call:?}");
            assert!(call.ended - call.sent < AT_ONCE, "{call:?}");
        }
        scene.granted(20).await;
    }
    scene.over().await;
    let Scene { load, clock, process, .. } = scene;
    process.terminate().await;
    let (status, stderr) = process.ended().await;
    assert!(status.success(), "{stderr}");
    let ran = process::run(load.site.directory(), &["audit", "verify"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let database = Database::open(&load.site.database_path()).await;
    let broken = history::check(&record(&load, &clock, database).await);
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Until so many calls were refused because nothing can be written, and none was served in between.
async fn refused(scene: &Scene, many: usize) {
    let in_a_row = || {
        let calls = scene.load.calls.lock().expect("no holder panicked");
        let since = calls.iter().rev().take_while(|call| !matches!(call.end, End::Granted(_)));
        since.filter(|call| is_refused(call)).count()
    };
    let before = in_a_row();
    let until = scene.load.until(|_| in_a_row() >= before + many);
    tokio::time::timeout(PATIENCE, until).await.expect("nothing more is served");
}

fn is_refused(call: &Call) -> bool {
    matches!(&call.end, End::Refused(reason) if REASONS.contains(&reason.as_str()))
}

/// Calls that were sent and answered in that time.
fn during(scene: &Scene, from: i64, until: i64) -> Vec<Call> {
    let calls = scene.load.calls.lock().expect("no holder panicked");
    let inside = calls.iter().filter(|call| call.sent > from && call.ended < until);
    inside.cloned().collect()
}
