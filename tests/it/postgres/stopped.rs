//! A replica that is a process of its own is killed or stands still inside a batch, its transaction open and the ledger's lock held,
//! while a revoke waits for that lock and other replicas issue.

use std::time::Duration;

use broker_client::{Client, Outcome};
use broker_tests::postgres::PgDatabase;
use broker_tests::process::BrokerProcess;
use broker_tests::replicas::{Replicas, client};
use broker_tests::stage::{READ, granted};
use demo::world::{ALICE, BOB, Options, Workload::TicketHelper};
use tokio::time::Instant;

use super::load::{Caller, Load, Told, counts, reckon};

/// The server ends a silent holder after 2 s; a revoke tries nine times for 250 ms with pauses of 100 ms.
const REVOKED: Duration = Duration::from_secs(6);
/// Whoever issues waits behind one such try, and a while on a busy machine.
const ISSUED: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(30);

/// Rows of a stream that is held wait inside their transaction, and it can be seen that they do.
const HOLD: &str = "\
CREATE TABLE held (stream TEXT);
CREATE FUNCTION wait_while_held() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM public.held WHERE stream = NEW.stream) THEN
        PERFORM pg_advisory_xact_lock_shared(4711);
        WHILE EXISTS (SELECT 1 FROM public.held WHERE stream = NEW.stream) LOOP PERFORM pg_sleep(0.01); END LOOP;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER wait_while_held BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION wait_while_held()";
const STREAMS: &str = "SELECT string_agg(stream, ' ' ORDER BY stream) FROM audit_streams WHERE open = 1";
const INSIDE: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND granted";

struct Scene {
    replicas: Replicas,
    process: BrokerProcess,
    /// The process's.
    stream: String,
    client: Client,
    /// Alice's.
    connection: String,
    load: Load,
}

impl Scene {
    async fn set() -> Scene {
        let database = PgDatabase::durable();
        let replicas = Replicas::on(2, database.clone(), Options::default()).await;
        let connection = replicas.connect(0, &ALICE, TicketHelper, READ).await.connection_id;
        replicas.connect(0, &BOB, TicketHelper, READ).await;
        database.sql(HOLD);
        let before = database.sql(STREAMS);
        let process = third(&replicas).await;
        let after = database.sql(STREAMS);
        let stream = after.split(' ').find(|stream| !before.contains(stream)).expect("its own stream");
        let (site, url) = (&replicas.site, replicas.site.grpc_url());
        let client = client(site, &url, TicketHelper, LONG).await;
        granted(client.issue_grant(&replicas.request(&ALICE, TicketHelper, READ)).await);
        let mut callers = Vec::new();
        for replica in [0, 0, 1, 1] {
            let client = replicas.at(replica).client(TicketHelper).clone();
            callers.push(Caller { replica, client, person: &BOB, workload: TicketHelper });
        }
        let load = Load::start(site, callers);
        Scene { process, stream: stream.to_owned(), client, connection, load, replicas }
    }

    fn sql(&self, sql: &str) -> String {
        self.replicas.database.sql(sql)
    }

    async fn wait_for(&self, sql: &str, wanted: &str) {
        let until = async {
            while self.sql(sql) != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, until).await.unwrap_or_else(|_| panic!("{sql}: {}", self.sql(sql)));
    }

    /// Alice's grant is being committed by the process, when `happens` to it; then its batch's statement ends, if the server still
    /// runs it.
    async fn inside_a_batch(
        &self,
        happens: impl AsyncFnOnce(),
    ) -> tokio::task::JoinHandle<Result<Outcome, broker_client::Error>> {
        self.sql(&format!("INSERT INTO held VALUES ('{}')", self.stream));
        let (client, request) = (self.client.clone(), self.replicas.request(&ALICE, TicketHelper, READ));
        let call = tokio::spawn(async move { client.issue_grant(&request).await });
        self.wait_for(INSIDE, "1").await;
        happens().await;
        self.sql("DELETE FROM held");
        call
    }

    /// Alice's connection is revoked on one replica while both serve Bob.
    async fn revoked_in_time(&self) {
        let before = Instant::now();
        let answer = self.replicas.operator(0).revoke(&self.connection).await.expect("acknowledged");
        let took = before.elapsed();
        println!("revoked after {took:?}");
        assert!(answer.revocation_epoch == 1 && took < REVOKED, "{took:?}");
        let acknowledged = "CREATE TABLE acknowledged AS SELECT stream, seq FROM audit_streams";
        self.sql(acknowledged);
        let served = |told: &[&Told]| (0..2).all(|replica| counts(told, replica).0 > 5);
        self.load.until(LONG, "both serve afterwards", served).await;
    }

    fn nothing_issued_since(&self) {
        let late = format!(
            "SELECT count(*) FROM audit_events e LEFT JOIN acknowledged a ON a.stream = e.stream \
             WHERE e.seq > coalesce(a.seq, 0) AND e.outcome = 'allowed' AND e.kind LIKE 'grant.%' \
               AND convert_from(e.body, 'UTF8')::json ->> 'connection' = '{}'",
            self.connection
        );
        assert_eq!(self.sql(&late), "0");
    }

    /// Nobody was kept waiting, and every grant has its row.
    async fn end(self, elsewhere: usize) {
        let told = self.load.stop().await;
        let slowest = told.iter().map(|told| told.took).max().expect("calls");
        println!("slowest of {} calls elsewhere: {slowest:?}", told.len());
        assert!(told.iter().all(|told| told.answer.is_ok()), "others are served all the time");
        assert!(slowest < ISSUED, "{slowest:?}");
        // Before the load: one grant each for Alice and Bob, and Alice's from the process; after it, what the test says.
        reckon(&self.replicas.database, &told, 3 + elsewhere);
        let rooms = self.replicas.at(1).rooms();
        let log = (&*rooms.store.ledger, &*rooms.store.audit_log);
        let verified = broker::audit::verify(log.0, log.1, &rooms.keys.audit_keys(), &mut |_| {}).await;
        verified.expect("the log verifies");
        self.replicas.stop().await;
    }
}

/// One more replica, as a process.
async fn third(replicas: &Replicas) -> BrokerProcess {
    let site = &replicas.site;
    let text = std::fs::read_to_string(site.config_path()).expect("the configuration");
    // The pages' address is the front's.
    let pages = format!("web: {{ address: \"{}\" }}", site.addresses().web);
    assert!(text.contains(&pages) && text.contains("level: warn"));
    let text =
        text.replace(&pages, "web: { address: \"127.0.0.1:0\" }").replace("level: warn", "level: info");
    std::fs::write(site.path("third.yaml"), text).expect("written");
    let mut process = BrokerProcess::serve(site.directory(), "third.yaml");
    process.listening().await;
    process
}

/// Proves: AV7, RV2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av7_a_replica_that_stands_still_inside_a_batch_delays_a_revoke_for_a_bounded_time_and_nobody_else() {
    let scene = Scene::set().await;
    let call = scene.inside_a_batch(async || scene.process.pause().await).await;
    scene.revoked_in_time().await;
    scene.process.resume().await;
    // It finds that its transaction is gone, and what it tries next meets the rule.
    let late = tokio::time::timeout(LONG, call).await.expect("answered").expect("no panic");
    assert!(!matches!(late, Ok(Outcome::Grant(_))), "{late:?}");
    scene.nothing_issued_since();
    // And it goes on without a human.
    let ask =
        async |person| scene.client.issue_grant(&scene.replicas.request(person, TicketHelper, READ)).await;
    granted(ask(&BOB).await);
    assert!(matches!(ask(&ALICE).await, Ok(Outcome::ConsentRequired(_))));
    scene.process.terminate().await;
    scene.end(1).await;
}

/// Proves: AV7, AU8, RV2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av7_au8_a_replica_killed_inside_a_batch_leaves_no_lock_and_its_stream_is_ended_once() {
    let scene = Scene::set().await;
    let pid = scene.process.pid();
    let call = scene.inside_a_batch(async || kill(pid).await).await;
    scene.revoked_in_time().await;
    let late = tokio::time::timeout(LONG, call).await.expect("answered").expect("no panic");
    assert!(!matches!(late, Ok(Outcome::Grant(_))), "{late:?}");
    scene.nothing_issued_since();

    // Silent for too long on the database's clock, its stream is ended by either of the others, which both see it.
    let stream = scene.stream.clone();
    let aged =
        format!("UPDATE audit_streams SET heartbeat_at = heartbeat_at - 60000000 WHERE stream = '{stream}'");
    scene.sql(&aged);
    scene.wait_for(&format!("SELECT open FROM audit_streams WHERE stream = '{stream}'"), "0").await;
    let beats = "SELECT count(*) FROM audit_streams WHERE open = 1 AND heartbeat_at > \
                 (SELECT max(time) FROM audit_events WHERE kind = 'stream.recovered')";
    scene.wait_for(beats, "2").await;
    assert_eq!(scene.sql("SELECT count(*) FROM audit_events WHERE kind = 'stream.recovered'"), "1");

    // A new process takes its place.
    let process = third(&scene.replicas).await;
    let request = scene.replicas.request(&BOB, TicketHelper, READ);
    granted(scene.client.issue_grant(&request).await);
    process.terminate().await;
    scene.end(1).await;
}

async fn kill(pid: u32) {
    let mut kill = tokio::process::Command::new("sh");
    kill.args(["-c", "kill -KILL \"$0\"", &pid.to_string()]);
    assert!(kill.status().await.expect("sh runs").success());
}
