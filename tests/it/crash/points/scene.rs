//! Two brokers on one PostgreSQL database, each a process with a volume of its own: one that survives, and one that dies on order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::domain::{Clock, SystemClock};
use broker_client::{Client, Error, GrantRequest, Outcome, proto::ConsentReason};
use broker_testkit::free_port;
use broker_tests::postgres::PgDatabase;
use broker_tests::process::BrokerProcess;
use broker_tests::replicas::client;
use broker_tests::stage::READ;
use demo::saas::{Event, Rotation};
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Site, Workload::TicketHelper, World};
use tokio::task::JoinHandle;

/// Longer than anything here may take.
pub const BOUND: Duration = Duration::from_secs(60);
/// A token that ends so soon is handed to nobody twice: every call needs a refresh.
const LIFE: i64 = 5;
/// For a broker that is to be seen dying.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a broker says that cannot write at the moment.
const NOT_NOW: [&str; 2] = ["AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE"];
/// The same, and what one says that has just started and leaves a dead one's token alone for a while.
const NOT_YET: [&str; 3] = ["AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE", "PROVIDER_UNAVAILABLE"];

/// What a provider does with a refresh token that was used: one class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Stays,
    Grace,
    SingleUse,
    FamilyRevoking,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Stays, Class::Grace, Class::SingleUse, Class::FamilyRevoking];

    /// How the configuration says it.
    pub fn configured(self) -> &'static str {
        match self {
            Class::Stays => "rotation: none",
            // Its lease holds for 20 s.
            Class::Grace => "rotation: with_grace\n    rotation_grace: 30s",
            Class::SingleUse => "rotation: single_use",
            Class::FamilyRevoking => "rotation: family_revoking",
        }
    }

    /// What the provider truly does; its grace is longer than any test.
    pub fn truth(self) -> Rotation {
        match self {
            Class::Stays => Rotation::None,
            Class::Grace => Rotation::WithGrace { seconds: 3600 },
            Class::SingleUse => Rotation::SingleUse,
            Class::FamilyRevoking => Rotation::FamilyRevoking,
        }
    }

    pub fn is_single_use(self) -> bool {
        matches!(self, Class::SingleUse | Class::FamilyRevoking)
    }
}

/// What a caller was told.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Granted,
    /// Connect again.
    Reauth,
    /// Not now.
    Later(Option<Duration>),
}

pub struct Scene {
    pub database: PgDatabase,
    pub site: Site,
    survivor: Option<BrokerProcess>,
    client: Client,
}

/// A broker that is told to die, and whoever calls it.
pub struct Victim {
    pub process: BrokerProcess,
    pub client: Client,
}

impl Victim {
    /// It is called, and dies before it answers. What it cannot do yet it is asked for again.
    pub async fn dies(self, scene: &Scene) {
        let answer = unless(&NOT_YET, async || scene.ask_by(&self.client).await).await;
        assert!(answer.is_err(), "its caller is not answered: {answer:?}");
        self.process.died().await;
    }

    /// It is asked to stop, and does.
    pub async fn stops(self) {
        self.process.terminate().await;
        let (status, stderr) = self.process.ended().await;
        assert!(status.success(), "{stderr}");
    }
}

/// What may differ from scene to scene.
pub struct Setting {
    pub class: Class,
    /// More of a configuration.
    pub more: String,
    /// How long a replica that comes back has to store what it kept.
    pub drain_grace: &'static str,
    /// Everybody's but the brokers' and the database's.
    pub clock: Arc<dyn Clock>,
}

impl Setting {
    pub fn of(class: Class) -> Setting {
        let clock = Arc::new(SystemClock::default());
        Setting { class, more: String::new(), drain_grace: "1s", clock }
    }
}

impl Scene {
    /// The survivor runs, and alice is connected.
    pub async fn set(class: Class, database: PgDatabase) -> Scene {
        Scene::of(Setting::of(class), database).await
    }

    /// The same in this setting.
    pub async fn of(setting: Setting, database: PgDatabase) -> Scene {
        let Setting { class, more, drain_grace, clock } = setting;
        let amend = move |text: String| {
            let text = text.replace("rotation: family_revoking", class.configured());
            let text = text.replace("level: warn", "level: info");
            let spool = format!("directory: spool-of-the-survivor\n  drain_grace: {drain_grace}\n");
            text.replace("directory: spool\n", &spool)
        };
        let options = Options {
            clock,
            amend_config: Some(Box::new(amend)),
            extra_config: format!(
                "refresh: {{ ahead: false }}\nconsent: {{ max_open_per_subject: 50 }}\n{more}"
            ),
            ..Options::default()
        };
        let site = World::prepare(database.options(options)).await.expect("prepared");
        let config = broker::config::Config::load(&site.config_path()).expect("a sound configuration");
        database.migrate_for(&config).await;
        site.notes().set_rotation(class.truth());
        site.notes().set_access_lifetime(LIFE);
        let mut survivor = BrokerProcess::serve(site.directory(), "broker.yaml");
        survivor.listening().await;
        let client = client(&site, &site.grpc_url(), TicketHelper, PATIENCE).await;
        let scene = Scene { database, site, survivor: Some(survivor), client };
        scene.reconnect().await;
        scene
    }

    /// A second broker, with a volume of its own, that dies or stands still at `point`; without one it lives.
    pub async fn victim(&self, point: Option<&str>) -> Victim {
        let url = beside(&self.site, "victim.yaml", |text| {
            text.replace("spool-of-the-survivor", "spool-of-the-victim")
        });
        let directory = self.site.directory();
        let mut process = match point {
            Some(point) => BrokerProcess::serve_to(directory, "victim.yaml", point),
            None => BrokerProcess::serve(directory, "victim.yaml"),
        };
        process.listening().await;
        let url = format!("http://{}", url.grpc);
        Victim { process, client: client(&self.site, &url, TicketHelper, PATIENCE).await }
    }

    /// Entries in the victim's volume.
    pub fn kept(&self) -> usize {
        entries(&self.site.path("spool-of-the-victim"))
    }

    /// Waits until nothing is left in the victim's volume.
    pub async fn emptied(&self) {
        emptied(&self.site.path("spool-of-the-victim")).await;
    }

    /// Waits until that many calls of the provider were refreshes, whatever it said.
    pub async fn refreshed(&self, many: usize) {
        let asked = self.site.notes().wait_until(|events| refreshes(events) >= many);
        tokio::time::timeout(BOUND, asked).await.expect("the provider is asked");
    }

    /// Waits until a query answers this.
    pub async fn until(&self, sql: &str, wanted: &str) {
        let until = async {
            while self.database.sql(sql) != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, until)
            .await
            .unwrap_or_else(|_| panic!("{sql}: {}", self.database.sql(sql)));
    }

    pub fn request(&self) -> GrantRequest {
        GrantRequest::new(self.site.assertion(&ALICE, TicketHelper), PROVIDER, READ.iter().copied())
    }

    pub async fn ask_by(&self, client: &Client) -> Result<Outcome, Error> {
        client.issue_grant(&self.request()).await
    }

    /// Calls the survivor.
    pub fn survivor(&self) -> &Client {
        &self.client
    }

    /// A call to the survivor, under way.
    pub fn asking(&self) -> JoinHandle<Result<Outcome, Error>> {
        let (client, request) = (self.client.clone(), self.request());
        tokio::spawn(async move { client.issue_grant(&request).await })
    }

    /// What the survivor answers.
    pub async fn ask(&self) -> Told {
        match self.answer().await {
            Ok(Outcome::Grant(_)) => Told::Granted,
            Ok(Outcome::ConsentRequired(consent)) => {
                assert_eq!(consent.reason, ConsentReason::ReauthRequired);
                Told::Reauth
            }
            Err(error) => {
                assert_eq!(error.reason(), "PROVIDER_UNAVAILABLE", "{error}");
                Told::Later(error.retry_after())
            }
        }
    }

    /// The survivor's answer once it can write: its own stream may have been ended by a broker that started after the database's clock
    /// was moved.
    pub async fn answer(&self) -> Result<Outcome, Error> {
        unless(&NOT_NOW, async || self.ask_by(&self.client).await).await
    }

    /// Asks until the answer is a final one, each time after the database's clock has moved as far as it said.
    pub async fn settled(&self) -> Told {
        let settled = async {
            loop {
                match self.ask().await {
                    Told::Later(rest) => self.database.advance(rest.unwrap_or(Duration::from_secs(1))),
                    told => return told,
                }
            }
        };
        tokio::time::timeout(BOUND, settled).await.expect("it is settled in the end")
    }

    /// Moves the database's clock to so many seconds after the end of the lease that is held.
    pub fn to_lease_end(&self, seconds: i64) {
        let end = "SELECT max(lease_until) FROM connections";
        assert_ne!(self.database.sql(end), "", "a lease is held");
        let by = format!("({end}) - broker_clock() + {}", seconds * 1_000_000);
        self.database.sql(&format!("UPDATE test_clock SET ahead = ahead + ({by})"));
    }

    /// Alice does what a link says, if she is asked to.
    pub async fn reconnect(&self) {
        let Outcome::ConsentRequired(consent) = self.answer().await.expect("an outcome") else { return };
        let browser = self.site.browser().expect("a browser");
        let page = walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await;
        assert_eq!(page.expect("the pages lead through").status, 200);
        assert_eq!(self.ask().await, Told::Granted);
    }

    /// How many times the provider was asked to refresh, whatever it said.
    pub fn refreshes(&self) -> usize {
        refreshes(&self.site.notes().truth())
    }

    /// How often something of a kind happened.
    pub fn events(&self, kind: &str) -> usize {
        happened(&self.database, kind)
    }

    /// Nobody is at it, and nothing says that a refresh token may be on its way.
    pub fn nothing_is_left(&self) {
        let open = "SELECT count(*) FROM connections WHERE lease_owner <> '' OR attempts <> 0";
        assert_eq!(self.database.sql(open), "0");
    }

    /// It stops; the log verifies.
    pub async fn end(mut self) {
        self.nothing_is_left();
        let survivor = self.survivor.take().expect("it runs");
        survivor.terminate().await;
        let (status, stderr) = survivor.ended().await;
        assert!(status.success(), "{stderr}");
        let ran = broker_tests::process::run(self.site.directory(), &["audit", "verify"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

/// What a broker answers, asked until it is none of these.
async fn unless(passing: &[&str], ask: impl AsyncFn() -> Result<Outcome, Error>) -> Result<Outcome, Error> {
    let answered = async {
        loop {
            match ask().await {
                Err(error) if passing.contains(&error.reason()) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    };
    tokio::time::timeout(BOUND, answered).await.expect("it answers in the end")
}

/// Listeners of one more broker.
pub struct Beside {
    pub grpc: SocketAddr,
    pub web: SocketAddr,
}

/// Writes a configuration for one more broker of a site, with listeners of its own.
pub fn beside(site: &Site, file: &str, amend: impl FnOnce(String) -> String) -> Beside {
    let own = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (grpc, web, ops) = (own(), own(), own());
    let text = std::fs::read_to_string(site.config_path()).expect("the configuration");
    let addresses = site.addresses();
    let at = |name: &str, address: SocketAddr| format!("{name}: {{ address: \"{address}\" }}");
    let text = text
        .replace(&at("grpc", addresses.grpc), &at("grpc", grpc))
        .replace(&at("web", addresses.web), &at("web", web))
        .replace(&at("ops", addresses.ops), &at("ops", ops));
    std::fs::write(site.path(file), amend(text)).expect("written");
    Beside { grpc, web }
}

/// Entries in a volume.
pub fn entries(volume: &Path) -> usize {
    let Ok(volume) = std::fs::read_dir(volume) else { return 0 };
    let files = volume.flatten().filter_map(|own| std::fs::read_dir(own.path()).ok()).flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|end| end == "entry")).count()
}

/// Waits until nothing is left in a volume.
pub async fn emptied(volume: &Path) {
    let emptied = async {
        while entries(volume) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, emptied).await.expect("nothing stays in the spool");
}

/// How often something of a kind happened, by the log. What was to happen and did not apply is there too, and says so.
pub fn happened(database: &PgDatabase, kind: &str) -> usize {
    let count = format!(
        "SELECT count(*) FROM audit_events WHERE kind = '{kind}'
         AND convert_from(body, 'UTF8')::json -> 'detail' -> 'write_not_applied' IS NULL"
    );
    database.sql(&count).parse().expect("a number")
}

/// How many of these are a refresh token that the provider took, and how many it was sent.
pub fn accepted(events: &[Event]) -> (usize, usize) {
    let took = events.iter().filter(|event| matches!(event, Event::Refreshed { .. })).count();
    (took, refreshes(events))
}

/// How many of these are a refresh that the provider was asked for, whatever it said.
pub fn refreshes(events: &[Event]) -> usize {
    let asked = |event: &&Event| {
        matches!(event, Event::Refreshed { .. } | Event::RefreshRefused { .. } | Event::ReuseDetected { .. })
    };
    events.iter().filter(asked).count()
}
