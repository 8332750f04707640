//! The server fails in every way it can while two replicas issue: no grant without a row, a typed answer within the caller's time, and
//! everybody served again without a human.

use std::time::Duration;

use broker_client::GrantRequest;
use broker_tests::cable::{Cable, Quality};
use broker_tests::operator::reason;
use broker_tests::postgres::PgDatabase;
use broker_tests::replicas::{Replicas, client};
use broker_tests::stage::READ;
use demo::world::{ALICE, BOB, Options, PROVIDER, Workload, Workload::TicketHelper};
use tokio::time::timeout;
use tonic::Code;

use super::load::{Caller, Load, Told, counts, reckon};

/// How long each caller waits.
const PATIENCE: Duration = Duration::from_secs(4);
/// What a call may take beyond that on a busy machine.
const SLACK: Duration = Duration::from_secs(2);
/// Refusals come, and after the fault grants again, within this.
const BOUND: Duration = Duration::from_secs(45);
/// Rows of grants.
const GRANTS: &str = "SELECT count(*) FROM audit_events WHERE kind = 'grant.issue' AND outcome = 'allowed'";
/// What a caller may be told while the server is not there.
const REASONS: [&str; 4] = ["AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE", "DEADLINE_EXCEEDED", "OVERLOADED"];

struct Scene {
    replicas: Replicas,
    load: Load,
    /// A connection to be revoked while the server is not there.
    connection: String,
    earlier: usize,
}

impl Scene {
    async fn set() -> (Scene, Cable) {
        let database = PgDatabase::durable();
        let cable = Cable::to(database.server().socket()).await;
        database.reached_at(&cable.address().to_string());
        let replicas = Replicas::on(2, database, Options::default()).await;
        let connection = replicas.connect(0, &BOB, TicketHelper, READ).await.connection_id;
        let mut earlier = 1;
        for workload in Workload::ALL {
            replicas.connect(0, &ALICE, workload, READ).await;
            earlier += 1;
        }
        let mut callers = Vec::new();
        for (replica, workload) in [(0, 0), (0, 1), (0, 0), (1, 0), (1, 1), (1, 1)] {
            let workload = Workload::ALL[workload];
            let url = replicas.at(replica).grpc_url();
            let client = client(&replicas.site, &url, workload, PATIENCE).await;
            callers.push(Caller { replica, client, person: &ALICE, workload });
        }
        let load = Load::start(&replicas.site, callers);
        (Scene { replicas, load, connection, earlier }, cable)
    }

    async fn served(&self, after: &str) {
        let served = |told: &[&Told]| (0..2).all(|replica| counts(told, replica).0 >= 10);
        self.load.until(BOUND, &format!("both replicas serve after: {after}"), served).await;
    }

    /// While the fault lasts both replicas refuse, and a revoke is never acknowledged.
    async fn refused(&self, during: &str) {
        let refused = |told: &[&Told]| (0..2).all(|replica| counts(told, replica).1 >= 3);
        let told = format!("both replicas refuse during: {during}");
        let operator = self.replicas.operator(0);
        let (revoked, ()) = tokio::join!(
            timeout(BOUND, operator.revoke(&self.connection)),
            self.load.until(BOUND, &told, refused)
        );
        let status = revoked.expect("in time").expect_err("never OK");
        assert!(
            matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded),
            "{during}: {}",
            reason(&status)
        );
    }

    async fn through(&self, fault: &str, begin: impl AsyncFnOnce(), end: impl AsyncFnOnce()) {
        let began = tokio::time::Instant::now();
        self.served("before").await;
        begin().await;
        self.refused(fault).await;
        end().await;
        let mended = tokio::time::Instant::now();
        self.served(fault).await;
        println!("{fault}: {:?}, served again after {:?}", mended - began, mended.elapsed());
    }

    async fn end(self) {
        let told = self.load.stop().await;
        for told in &told {
            let known = told.answer.as_ref().err().is_none_or(|reason| REASONS.contains(&reason.as_str()));
            assert!(known && told.took < PATIENCE + SLACK, "{told:?}");
        }
        reckon(&self.replicas.database, &told, self.earlier);
        // What was never acknowledged has not happened.
        let answer = self.replicas.operator(1).revoke(&self.connection).await.expect("revoked now");
        assert!(answer.revocation_epoch > 0);
        let rooms = self.replicas.at(1).rooms();
        let log = (&*rooms.store.ledger, &*rooms.store.audit_log);
        let verified = broker::audit::verify(log.0, log.1, &rooms.keys.audit_keys(), &mut |_| {}).await;
        verified.expect("the log verifies");
        self.replicas.stop().await;
    }
}

/// Proves: AU3, AV3, AU1, RV4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au3_av3_a_server_that_crashes_under_load_costs_no_row_and_no_human() {
    let (scene, _cable) = Scene::set().await;
    let database = scene.replicas.database.clone();
    let server = database.server();
    for _ in 0..2 {
        scene.through("crashed", async || server.crash(), async || server.restart()).await;
    }
    scene.end().await;
}

/// Proves: AU3, AV3, AU1, RV4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au3_av3_a_server_that_is_read_only_or_full_or_locked_under_load_is_told_as_such() {
    let (scene, _cable) = Scene::set().await;
    let database = scene.replicas.database.clone();
    let sql = async |text: &str| drop(database.sql(text));
    let read_only = async |on: &str| {
        database.sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {on}"));
        database.sql("SELECT pg_reload_conf()");
    };
    // What a platform does when a volume is nearly full.
    scene.through("read-only", async || read_only("on").await, async || read_only("off").await).await;
    let starved = async || {
        sql("ALTER ROLE broker_app CONNECTION LIMIT 0").await;
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'broker_app'").await;
    };
    let fed = async || sql("ALTER ROLE broker_app CONNECTION LIMIT -1").await;
    scene.through("out of connections", starved, fed).await;
    let mut holder = database.connect().await;
    let mut held = database.connect().await;
    holder.run("BEGIN").await;
    scene
        .through(
            "held by a lock",
            async || {
                holder.run("LOCK TABLE audit_streams IN EXCLUSIVE MODE").await;
            },
            async || {
                // From another session, as somebody who found the culprit.
                held.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'audit_streams'::regclass").await;
            },
        )
        .await;
    scene.end().await;
}

/// Proves: AU3, AV3, AV7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au3_av3_a_slow_server_serves_slowly_and_a_silent_one_is_given_up_in_time() {
    let (scene, cable) = Scene::set().await;
    scene.served("before").await;
    // Five messages a batch, each on its way for so long, and back.
    cable.is(Quality::Slow(Duration::from_millis(60)));
    scene.served("slow").await;
    cable.is(Quality::Good);
    scene.through("silent", async || cable.is(Quality::Silent), async || cable.is(Quality::Good)).await;
    let lost = tokio::time::Instant::now();
    cable.lose();
    scene.served("every connection was lost without a word").await;
    println!("served again {:?} after every connection was lost", lost.elapsed());
    scene.end().await;
}

/// The worst moment for a connection to fall silent: everything is written but the last word. The replica gives it up, reads where its
/// stream stands, and goes on with another one.
///
/// Proves: AU3, AV3, AV7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn au3_av7_a_connection_that_falls_silent_at_commit_is_given_up_and_costs_no_row() {
    let database = PgDatabase::durable();
    let cable = Cable::to(database.server().socket()).await;
    database.reached_at(&cable.address().to_string());
    let replicas = Replicas::on(1, database, Options::default()).await;
    replicas.connect(0, &ALICE, TicketHelper, READ).await;
    let before = replicas.database.sql(GRANTS);
    let url = replicas.at(0).grpc_url();
    let client = client(&replicas.site, &url, TicketHelper, PATIENCE).await;
    let ask = async || {
        let assertion = replicas.site.assertion(&ALICE, TicketHelper);
        client.issue_grant(&GrantRequest::new(assertion, PROVIDER, READ.iter().copied())).await
    };

    cable.swallow_a_commit();
    let told = ask().await.expect_err("nothing is known of its row");
    assert!(!cable.waits_for_a_commit(), "the commit was on its way");
    assert!(REASONS.contains(&told.reason()), "{told:?}");
    let served = async {
        while ask().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, served).await.expect("served again without a human");
    // The one that fell silent left nothing behind, or the server ended it: either way the log has what was granted and no more.
    let after = replicas.database.sql(GRANTS);
    assert_eq!(after.parse::<u32>().expect("a number"), before.parse::<u32>().expect("a number") + 1);
    replicas.stop().await;
}
