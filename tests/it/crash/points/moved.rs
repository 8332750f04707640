//! A broker dies while it redeems a code, or before and after, and the person goes on with another one that never stopped.

use std::sync::Arc;
use std::time::Duration;

use broker::app::{self, Running, Sockets};
use broker::config::Config;
use broker::worker;
use broker_client::{Client, GrantRequest, Outcome};
use broker_tests::clock::ShiftedClock;
use broker_tests::front::Front;
use broker_tests::postgres::PgDatabase;
use broker_tests::process::BrokerProcess;
use broker_tests::replicas::client;
use broker_tests::stage::READ;
use demo::browser::{Browser, BrowserError, Page};
use demo::saas::{Event, RevokedKind};
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Site, Workload, Workload::TicketHelper, World};

use super::scene::{BOUND, Beside, beside, entries};

/// What the person finds at the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The link as it was.
    Again,
    /// A new link once the exchange would be over. So many authorizations the provider has given by then that nobody knows of.
    NewLink(usize),
    /// What came waits for their word.
    Confirm,
    /// They are connected.
    Connected,
}
use Found::{Again, Confirm, Connected, NewLink};

/// Where the one dies, whether the other one has the same volume, and what the person finds there.
const POINTS: [(&str, bool, Found); 9] = [
    ("consent.approved", false, Again),
    ("code.after_intent", false, NewLink(0)),
    ("code.response_read", false, NewLink(1)),
    // What came is in the volume of the dead one, and is revoked when that comes back.
    ("code.spooled", false, NewLink(0)),
    ("code.settling", false, NewLink(0)),
    // The other one takes it over at once: what has no account yet is revoked.
    ("code.spooled", true, NewLink(0)),
    ("code.settling", true, Confirm),
    ("code.settled", false, Confirm),
    ("consent.confirmed", false, Connected),
];

/// An exchange that nobody finishes ends after this.
const EXCHANGE: Duration = Duration::from_secs(60);

/// The site, the broker that dies, and the one that lives inside this process, whose clock can be moved.
pub struct Scene {
    pub site: Site,
    pub database: PgDatabase,
    pub browser: Browser,
    clock: Arc<ShiftedClock>,
    front: Front,
    living: Running,
    at: Beside,
    client: Client,
    /// Calls the one that dies.
    pub dying: Client,
}

impl Scene {
    /// Pages are those of the one that dies at `point`; it has a volume of its own unless `shared`.
    pub async fn set(point: &str, shared: bool) -> (Scene, BrokerProcess) {
        let (database, clock) = (PgDatabase::create(), Arc::new(ShiftedClock::default()));
        let options = Options {
            clock: clock.clone(),
            amend_config: Some(Box::new(|text: String| text.replace("level: warn", "level: info"))),
            extra_config: "consent: { max_open_per_subject: 50 }".to_owned(),
            ..Options::default()
        };
        let site = World::prepare(database.options(options)).await.expect("prepared");
        let config = Config::load(&site.config_path()).expect("a sound configuration");
        database.migrate_for(&config).await;
        clock.lead(database.clone());
        let volume = if shared { "directory: spool\n" } else { "directory: spool-of-the-living\n" };
        let at = beside(&site, "living.yaml", |text| text.replace("directory: spool\n", volume));
        let config = Config::load(&site.path("living.yaml")).expect("a sound configuration");
        let sockets = Sockets::bind(&config).expect("its ports");
        let started = app::start(&config, site.clock().clone(), site.rng().clone(), sockets).await;
        let living = started.expect("it starts");
        let (dying, process) = Scene::serve(&site, Some(point)).await;
        let front = Front::at(site.addresses().web, dying.web);
        let client = client(&site, &format!("http://{}", at.grpc), TicketHelper, BOUND).await;
        let dying =
            broker_tests::replicas::client(&site, &format!("http://{}", dying.grpc), TicketHelper, BOUND)
                .await;
        let browser = site.browser().expect("a browser");
        (Scene { site, database, browser, clock, front, living, at, client, dying }, process)
    }

    async fn serve(site: &Site, point: Option<&str>) -> (Beside, BrokerProcess) {
        let at = beside(site, "dying.yaml", |text| text);
        let mut process = match point {
            Some(point) => BrokerProcess::serve_to(site.directory(), "dying.yaml", point),
            None => BrokerProcess::serve(site.directory(), "dying.yaml"),
        };
        process.listening().await;
        (at, process)
    }

    /// The one that died comes back, with its volume.
    pub async fn comes_back(&self) -> BrokerProcess {
        Scene::serve(&self.site, None).await.1
    }

    /// What one of them is asked.
    pub fn request(&self) -> GrantRequest {
        GrantRequest::new(self.site.assertion(&ALICE, TicketHelper), PROVIDER, READ.iter().copied())
    }

    /// What the living one answers.
    pub async fn link(&self) -> Option<String> {
        link_of(self.client.issue_grant(&self.request()).await.expect("an outcome"))
    }

    /// The person presses all buttons, and the broker dies before the last page comes; then pages are the living one's.
    pub async fn dies(&self, link: &str, dying: BrokerProcess) {
        let walked = walk::connect(&self.browser, link, &ALICE.sso, &ALICE.notes).await;
        self.died_on(walked, dying).await;
    }

    /// The broker died before this page came; from now on pages are the living one's.
    pub async fn died_on(&self, page: Result<Page, BrowserError>, dying: BrokerProcess) {
        assert!(page.is_ok_and(|page| page.status == 502), "all that comes is a word of the front's");
        self.dead(dying).await;
    }

    /// The broker dies; from now on pages are the living one's.
    pub async fn dead(&self, dying: BrokerProcess) {
        dying.died().await;
        self.front.point_at([self.at.web]);
    }

    /// A client of the living one.
    pub async fn client_of(&self, workload: Workload) -> Client {
        client(&self.site, &format!("http://{}", self.at.grpc), workload, BOUND).await
    }

    /// The person does what the link says, at the living one.
    pub async fn connects(&self, link: &str) {
        walk::connect(&self.browser, link, &ALICE.sso, &ALICE.notes).await.expect("it leads through");
        assert_eq!(self.link().await, None);
    }

    /// One round of the living one's work.
    pub async fn round(&self) {
        worker::round(self.living.rooms()).await;
    }

    /// Authorizations that the provider honours.
    pub fn standing(&self) -> usize {
        standing(&self.site.notes().truth())
    }

    /// It stops; the log verifies.
    pub async fn end(self) {
        self.living.stop(EXCHANGE).await;
        let ran = broker_tests::process::run(self.site.directory(), &["audit", "verify"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

/// The link that is the answer, if it is one.
pub fn link_of(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::ConsentRequired(consent) => Some(consent.url.expose().to_owned()),
        Outcome::Grant(_) => None,
    }
}

fn standing(events: &[Event]) -> usize {
    let issued = events.iter().filter(|event| matches!(event, Event::TokensIssued { .. })).count();
    let ended = |event: &&Event| matches!(event, Event::Revoked { kind: RevokedKind::Family, .. });
    issued - events.iter().filter(ended).count()
}

async fn moves_on(point: &str, shared: bool, found: Found) {
    println!("{point}, one volume: {shared}: {found:?}");
    let (scene, dying) = Scene::set(point, shared).await;
    let link = scene.link().await.expect("nobody is connected");
    scene.dies(&link, dying).await;
    if shared {
        scene.round().await;
        assert_eq!(entries(&scene.site.path("spool")), 0, "{point}: it is taken over");
    }
    let mut unknown = 0;
    match found {
        Again => {
            assert_eq!(scene.link().await.as_ref(), Some(&link), "{point}");
            scene.connects(&link).await;
        }
        Confirm => {
            let page = scene.browser.get(&link).await.expect("the link's page");
            walk::confirm(page).await.expect("the account is confirmed");
        }
        Connected => {}
        NewLink(lost) => {
            unknown = lost;
            // What is revoked at once is over at once; else nobody knows whether the exchange goes on.
            if !shared {
                assert_eq!(scene.link().await.as_ref(), Some(&link), "{point}: it may go on yet");
                scene.clock.advance(EXCHANGE);
            }
            scene.round().await;
            let next = scene.link().await.expect("nobody is connected");
            assert_ne!(next, link, "{point}");
            scene.connects(&next).await;
        }
    }
    assert_eq!(scene.link().await, None, "{point}");
    // The dead one's volume comes back: what is in it was given to nobody.
    let back = scene.comes_back().await;
    scene.round().await;
    let told = scene.site.notes().wait_until(|events| standing(events) == 1 + unknown);
    tokio::time::timeout(BOUND, told).await.unwrap_or_else(|_| panic!("{point}: {}", scene.standing()));
    assert_eq!(entries(&scene.site.path("spool")), 0, "{point}");
    assert_eq!(scene.link().await, None, "{point}: and what is in use goes on");
    assert_eq!(scene.database.sql("SELECT count(*) FROM connections WHERE state = 'active'"), "1", "{point}");
    assert_eq!(scene.database.sql("SELECT count(*) FROM connections"), "1", "{point}");
    back.terminate().await;
    assert!(back.ended().await.0.success());
    scene.end().await;
}

/// Proves: RF5, CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_co12_who_goes_on_with_another_replica_is_connected_once_and_no_token_is_left_that_can_be_told() {
    for few in POINTS.chunks(3) {
        futures::future::join_all(few.iter().map(|(point, shared, found)| moves_on(point, *shared, *found)))
            .await;
    }
}
