//! Files may not grow any more (RLIMIT_FSIZE, or a disk that is full): nothing is sent to a provider whose answer could not be kept, and the
//! broker lives on.

use std::sync::Arc;

use broker_client::Outcome;
use broker_tests::postgres::PgDatabase;
use demo::saas::Fault;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::sync::Notify;

use super::scene::{Class, Scene, Victim};

/// From now on no file of this broker may be longer.
fn limit(victim: &Victim, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(victim.process.pid()).expect("a process id"));
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(pid, Resource::Fsize, limit).expect("the limit is set");
}

/// Its rows are in PostgreSQL: it writes no other file than its spool's.
///
/// Proves: RF5, AU3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_a_broker_whose_files_may_not_grow_asks_no_provider_whose_answer_it_must_keep() {
    futures::future::join_all(Class::ALL.map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let victim = scene.victim(None).await;
        let keeps = class != Class::Stays;
        // Of the room for an entry a part can be written, then nothing at all.
        for bytes in [50_000, 0] {
            limit(&victim, Some(bytes));
            let before = scene.refreshes();
            match scene.ask_by(&victim.client).await {
                Ok(Outcome::Grant(_)) => assert!(!keeps, "{class:?}"),
                Ok(other) => panic!("{class:?}: {other:?}"),
                Err(error) => assert_eq!((error.reason(), keeps), ("STORE_UNAVAILABLE", true), "{class:?}"),
            }
            assert_eq!(
                scene.refreshes() - before,
                usize::from(!keeps),
                "{class:?}: who cannot keep does not ask"
            );
            scene.nothing_is_left();
        }
        limit(&victim, None);
        let granted = scene.ask_by(&victim.client).await;
        assert!(
            matches!(granted, Ok(Outcome::Grant(_))),
            "{class:?}: with room again it goes on: {granted:?}"
        );

        // Between the room that was taken and what comes for it: that goes to the database alone, and the log says so.
        let (release, before) = (Arc::new(Notify::new()), scene.refreshes());
        scene.site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let between = async {
            scene.refreshed(before + 1).await;
            limit(&victim, Some(0));
            release.notify_one();
        };
        let (answer, ()) = tokio::join!(scene.ask_by(&victim.client), between);
        assert!(matches!(answer, Ok(Outcome::Grant(_))), "{class:?}: nothing is lost: {answer:?}");
        let told = victim.process.stderr().contains("could not be kept in the spool");
        assert_eq!(told, keeps, "{class:?}: {}", victim.process.stderr());
        limit(&victim, None);
        assert!(matches!(scene.ask_by(&victim.client).await, Ok(Outcome::Grant(_))), "{class:?}");
        assert_eq!((scene.kept(), scene.events("connection.reauth_required")), (0, 0));
        victim.stops().await;
        scene.end().await;
    }))
    .await;
}
