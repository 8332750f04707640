//! The power goes while what a provider gave waits in the spool, because the database takes nothing: with the volume nothing of it is lost.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use broker::app::{self, Sockets};
use broker::config::Config;
use broker_client::{Client, GrantRequest, Outcome};
use broker_tests::database::Database;
use broker_tests::dice::Dice;
use broker_tests::power::{Disk, Kind, Left, Record, Recorder};
use broker_tests::process::{self, BrokerProcess};
use broker_tests::replicas::client;
use broker_tests::stage::READ;
use demo::saas::{Event, Fault};
use demo::walk;
use demo::world::{ALICE, BOB, Options, PROVIDER, Person, Site, Workload::TicketHelper, World};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::leftover::{lay_out, serve};
use super::scene::PATIENCE;

/// A token that ends so soon is handed to nobody twice: every call needs a refresh.
const LIFE: i64 = 5;
/// Refreshes that are stored before the last one, which is not.
const STORED: usize = 4;
/// How long cuts are tried, unless `POWER_CUTS` says `all`.
const SHORT: Duration = Duration::from_secs(8);

/// A code brings two versions of its entry: before and after its account is known.
const OF_A_CODE: usize = 2;

/// Of alice's connection: the newest generation of its refresh token, and how often one may be on its way.
const ALICES: &str = "\
SELECT max(s.generation) || '|' || max(c.attempts) FROM connections c JOIN connection_secrets s ON s.connection = c.id AND s.kind = 'refresh'";
/// Refreshes that were begun, and those that were stored.
const BEGUN: &str = "\
SELECT sum(kind = 'refresh.intent') || '|' || sum(kind = 'refresh.stored') FROM audit_events";

struct Recorded {
    site: Arc<Site>,
    before: Disk,
    records: Vec<Record>,
}

/// Both entries are in the spool and in no row when the broker is killed.
async fn recorded() -> Recorded {
    let amend = |text: String| text.replace("level: warn", "level: info");
    let extra_config = "refresh: { ahead: false }\nconsent: { max_open_per_subject: 50 }".to_owned();
    let site =
        World::prepare(Options { amend_config: Some(Box::new(amend)), extra_config, ..Options::default() });
    let site = Arc::new(site.await.expect("prepared"));
    site.notes().set_access_lifetime(LIFE);
    let (recorder, before) = (Recorder::of(site.directory()), Disk::of(site.directory()));
    let mut process = BrokerProcess::serve_with(site.directory(), "broker.yaml", recorder.environment());
    process.listening().await;
    let client = client(&site, &site.grpc_url(), TicketHelper, PATIENCE).await;
    let (browser, alices) = (site.browser().expect("a browser"), link(&site, &client, &ALICE).await);
    walk::connect(&browser, &alices, &ALICE.sso, &ALICE.notes).await.expect("alice is connected");
    for _ in 0..STORED {
        assert!(matches!(client.issue_grant(&request(&site, &ALICE)).await, Ok(Outcome::Grant(_))));
    }
    let bobs = link(&site, &client, &BOB).await;
    let browser = site.browser().expect("a browser");

    // The provider has done its part in both, and keeps its answers back until the database takes nothing.
    let release = Arc::new(Notify::new());
    site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 2);
    let mut database = Database::open(&site.database_path()).await;
    let kept = async {
        let asked = |events: &[Event]| refreshed(events) > STORED && codes(events) > 1;
        timeout(PATIENCE, site.notes().wait_until(asked)).await.expect("the provider is asked");
        database.hold_log().await;
        let before = renamed(&recorder.records()).len();
        release.notify_one();
        release.notify_one();
        let kept = async {
            while !are_certain(&recorder.records(), before + 1 + OF_A_CODE) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, kept).await.expect("both are in the spool");
    };
    let (wanted, walked) = (request(&site, &ALICE), walk::connect(&browser, &bobs, &BOB.sso, &BOB.notes));
    tokio::select! {
        () = kept => {}
        answer = async { tokio::join!(client.issue_grant(&wanted), walked) } => panic!("nothing was committed: {answer:?}"),
    }
    process.kill().await;
    let records = recorder.records();
    Recorded { site, before, records }
}

async fn link(site: &Site, client: &Client, person: &Person) -> String {
    match client.issue_grant(&request(site, person)).await {
        Ok(Outcome::ConsentRequired(consent)) => consent.url.expose().to_owned(),
        other => panic!("a consent was due: {other:?}"),
    }
}

fn request(site: &Site, person: &Person) -> GrantRequest {
    GrantRequest::new(site.assertion(person, TicketHelper), PROVIDER, READ.iter().copied())
}

fn refreshed(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Refreshed { .. })).count()
}

fn codes(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::TokensIssued { .. })).count()
}

fn is_spools(record: &Record) -> bool {
    record.name.starts_with("spool")
}

/// Moments at which an entry got its name.
fn renamed(records: &[Record]) -> Vec<usize> {
    let entry = |record: &Record| record.kind == Kind::Rename && record.other.ends_with(".entry");
    records.iter().enumerate().filter(|(_, record)| entry(record)).map(|(number, _)| number).collect()
}

/// Whether the name that an entry got at this moment was on the disk before the cut.
fn is_synced(records: &[Record], at: usize, cut: usize) -> bool {
    let within = records[at].other.rsplit_once('/').map_or("", |(within, _)| within);
    records[at..cut.max(at)].iter().any(|record| record.kind == Kind::SyncDirectory && record.name == within)
}

/// Whether so many entries got their names, and all of them are on the disk.
fn are_certain(records: &[Record], count: usize) -> bool {
    let renamed = renamed(records);
    renamed.len() >= count && renamed.iter().all(|at| is_synced(records, *at, records.len()))
}

impl Recorded {
    fn disk(&self, keep: impl Fn(&Record) -> bool, cut: usize) -> Disk {
        let mut disk = self.before.clone();
        self.records[..cut].iter().filter(|record| keep(record)).for_each(|record| disk.apply(record));
        disk
    }

    /// How many refreshed tokens of alice's were certain in the spool by then. An entry of a code gets its name twice.
    fn certain(&self, cut: usize) -> usize {
        let all = renamed(&self.records);
        let name = |at: usize| &self.records[at].other;
        let is_once = |at: &usize| all.iter().filter(|other| name(**other) == name(*at)).count() == 1;
        let hers = all.iter().copied().filter(is_once);
        hers.filter(|at| *at < cut && is_synced(&self.records, *at, cut)).count()
    }

    /// A broker starts on what is left, and nothing that was certain in the spool is lost.
    async fn examine(&self, files: &BTreeMap<String, Vec<u8>>, certain: usize) -> Result<String, String> {
        let directory = lay_out(&self.site, files);
        tokio::spawn(serve(directory.path().to_owned()))
            .await
            .map_err(|_| "it does not start, or not end")?;
        let ran = process::run(directory.path(), &["audit", "verify"]).await;
        if ran.code != 0 {
            return Err(format!("its log does not verify: {}", ran.stderr));
        }
        let mut database = Database::open(&directory.path().join("broker.db")).await;
        let (alices, begun) = (database.text(ALICES).await, database.text(BEGUN).await);
        let bobs = database.text("SELECT count(*) FROM consents WHERE state = 'awaiting_confirmation'").await;
        database.close().await;
        let pair = |text: &str| {
            let (one, other) = text.split_once('|').unwrap_or_default();
            (one.parse::<usize>().unwrap_or_default(), other.parse::<usize>().unwrap_or_default())
        };
        let ((generation, attempts), (intents, stored)) = (pair(&alices), pair(&begun));
        // The first one came with her code.
        if certain > 0 && generation < certain + 1 {
            return Err(format!("generation {generation} is stored, {} was in the spool", certain + 1));
        }
        // What else may have been asked of the provider says so: its owner is asked at most once.
        if intents > stored && attempts == 0 {
            return Err(format!("{intents} were begun and {stored} stored, and nothing says so"));
        }
        Ok(bobs)
    }

    /// What is stored in the end is the provider's last word.
    async fn is_the_last(&self, files: &BTreeMap<String, Vec<u8>>) {
        let directory = lay_out(&self.site, files);
        let config = Config::load(&directory.path().join("broker.yaml")).expect("the configuration");
        let bind = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let sockets = Sockets { grpc: bind(), web: bind(), ops: bind() };
        let url = format!("http://{}", sockets.grpc.local_addr().expect("its address"));
        let started = app::start(&config, self.site.clock().clone(), self.site.rng().clone(), sockets).await;
        let running = started.expect("it starts");
        let client = client(&self.site, &url, TicketHelper, PATIENCE).await;
        let answer = client.issue_grant(&request(&self.site, &ALICE)).await;
        assert!(matches!(answer, Ok(Outcome::Grant(_))), "{answer:?}");
        let last = self
            .site
            .notes()
            .truth()
            .into_iter()
            .rev()
            .find(|event| matches!(event, Event::Refreshed { .. }));
        let generation = u32::try_from(STORED + 2).expect("a few");
        assert!(
            matches!(last, Some(Event::Refreshed { generation: sent, .. }) if sent == generation),
            "{last:?}: {generation} was its last"
        );
        running.stop(PATIENCE).await;
    }
}

/// Proves: RF5, RF11
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rf5_rf11_what_was_certain_in_the_spool_survives_a_power_cut_at_any_moment() {
    let recorded = recorded().await;
    let (records, end) = (&recorded.records, recorded.records.len());
    assert_eq!(recorded.certain(end), STORED + 1, "every answer was in the spool");
    let whole = recorded.disk(|_| true, end).after_a_cut(Left::Synced);
    let entries = whole.keys().filter(|name| name.ends_with(".entry")).count();
    assert_eq!(entries, 2, "two wait there: {:?}", whole.keys());
    assert_eq!(recorded.examine(&whole, STORED + 1).await, Ok("1".to_owned()), "bob's waits for his word");

    // A loss is found where there is one: a spool whose syncs do nothing, of its files or of its directories.
    for (what, idle) in [
        ("the syncs of entries", (|r| is_spools(r) && r.kind == Kind::Sync) as fn(&Record) -> bool),
        ("the syncs of the spool's directories", |r| is_spools(r) && r.kind == Kind::SyncDirectory),
    ] {
        let files = recorded.disk(|record| !idle(record), end).after_a_cut(Left::Synced);
        let found = recorded.examine(&files, STORED + 1).await;
        println!("without {what}: {found:?}");
        assert!(found.is_err(), "without {what} nothing is missed");
    }

    let seed = Dice::seed(&**recorded.site.rng());
    println!("TEST_SEED={seed}, {end} records");
    let dice = Dice::new(seed);
    let all = std::env::var("POWER_CUTS").is_ok_and(|cuts| cuts == "all");
    let first = renamed(records)[OF_A_CODE];
    let is_sync = |record: &Record| matches!(record.kind, Kind::Sync | Kind::SyncDirectory);
    let mut cuts: Vec<usize> = (first..end).filter(|at| is_sync(&records[*at])).collect();
    let (over, mut tried) = (Instant::now() + SHORT, 0);
    while !cuts.is_empty() && (all || Instant::now() < over) {
        let cut = *dice.pick(&cuts);
        cuts.retain(|other| *other != cut);
        let disk = recorded.disk(|_| true, cut);
        let left = if dice.one_in(2) { Left::Synced } else { Left::Some(&dice) };
        let found = recorded.examine(&disk.after_a_cut(left), recorded.certain(cut)).await;
        assert!(found.is_ok(), "TEST_SEED={seed}: after record {cut} of {end}: {found:?}");
        tried += 1;
    }
    println!("{tried} cuts");
    recorded.is_the_last(&whole).await;
}
