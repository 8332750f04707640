//! A holder stands still inside the commit that stores what it got, while its connection is revoked.

use std::time::Duration;

use broker_client::Outcome;
use broker_tests::operator::Operator;
use broker_tests::postgres::PgDatabase;
use demo::saas::{Event, RevokedKind};
use tokio::time::Instant;

use super::scene::{BOUND, Class, Scene};

/// The database ends a silent session after 2 s; a revoke tries nine times for 250 ms with pauses of 100 ms.
const REVOKED: Duration = Duration::from_secs(6);

/// Rows that say that tokens are stored wait inside their transaction, and it can be seen that they do.
const HOLD: &str = "\
CREATE TABLE held (on_it BOOLEAN);
INSERT INTO held VALUES (true);
CREATE FUNCTION wait_while_held() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NEW.kind = 'refresh.stored' AND EXISTS (SELECT 1 FROM public.held) THEN
        PERFORM pg_advisory_xact_lock_shared(4712);
        WHILE EXISTS (SELECT 1 FROM public.held) LOOP PERFORM pg_sleep(0.01); END LOOP;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER wait_while_held BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION wait_while_held()";
const INSIDE: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712 AND granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Proves: AV7, RV2, RF2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av7_rf2_a_holder_that_stands_still_inside_its_commit_delays_a_revoke_for_a_bounded_time() {
    futures::future::join_all(Class::ALL.map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let victim = scene.victim(None).await;
        let connection = scene.database.sql("SELECT id FROM connections");
        scene.database.sql(HOLD);
        let (client, request) = (victim.client.clone(), scene.request());
        let call = tokio::spawn(async move { client.issue_grant(&request).await });
        scene.until(INSIDE, "1").await;
        victim.process.pause().await;
        // Its statement ends, and its session is silent from now on, with the ledger's lock in its hands.
        scene.database.sql("DELETE FROM held");
        let began = Instant::now();
        let operator = Operator::at(scene.site.grpc_url(), &scene.site);
        operator.revoke(&connection).await.expect("acknowledged");
        assert!(began.elapsed() < REVOKED, "{class:?}: {:?}", began.elapsed());
        victim.process.resume().await;
        let answer = tokio::time::timeout(BOUND, call).await.expect("answered").expect("no panic");
        assert!(!matches!(answer, Ok(Outcome::Grant(_))), "{class:?}: {answer:?}");
        let ended = |event: &Event| matches!(event, Event::Revoked { family: 1, kind: RevokedKind::Family });
        let told = scene.site.notes().wait_until(|events| events.iter().any(ended));
        tokio::time::timeout(BOUND, told).await.expect("it ends at the provider");
        scene.until("SELECT count(*) FROM connections WHERE lease_owner <> ''", "0").await;
        victim.stops().await;
        assert_eq!(scene.kept(), 0, "{class:?}");
        scene.end().await;
    }))
    .await;
}
