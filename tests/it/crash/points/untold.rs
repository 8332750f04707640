//! What a provider gave is committed, and the broker, which lives on, is not told: it finds that stored when it tries once more, or when it
//! comes to what it kept. Nothing is sent again, nothing is stored twice, and nobody is asked.

use std::sync::Arc;
use std::time::Duration;

use broker_client::{Client, Error, GrantRequest, Outcome};
use broker_tests::cable::{Cable, Quality};
use broker_tests::clock::ShiftedClock;
use broker_tests::postgres::PgDatabase;
use broker_tests::replicas::{Replicas, client};
use broker_tests::stage::{READ, granted};
use demo::browser::{Browser, BrowserError, Page};
use demo::saas::{Event, Fault};
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Workload::TicketHelper};
use futures::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::scene::{BOUND, Class, accepted, emptied, entries, happened, refreshes};

/// As long as the longest lease, and as storing what came for a code is tried.
const PATIENCE: Duration = Duration::from_secs(60);
/// An access token's life.
const LIFE: Duration = Duration::from_secs(600);

/// One broker, at the end of a cable.
struct Scene {
    class: Class,
    cable: Cable,
    clock: Arc<ShiftedClock>,
    replicas: Replicas,
    client: Client,
    browser: Browser,
}

impl Scene {
    async fn set(class: Class, database: PgDatabase) -> Scene {
        let cable = Cable::to(database.server().socket()).await;
        database.reached_at(&cable.address().to_string());
        let clock = Arc::new(ShiftedClock::default());
        let amend = move |text: String| text.replace("rotation: family_revoking", class.configured());
        let options = Options {
            clock: clock.clone(),
            amend_config: Some(Box::new(amend)),
            extra_config: "refresh: { ahead: false }".to_owned(),
            ..Options::default()
        };
        let replicas = Replicas::on(1, database, options).await;
        replicas.site.notes().set_rotation(class.truth());
        let url = replicas.at(0).grpc_url();
        let client = client(&replicas.site, &url, TicketHelper, BOUND).await;
        let browser = replicas.browser();
        Scene { class, cable, clock, replicas, client, browser }
    }

    /// Moves every clock.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.replicas.database.advance(by);
    }

    fn asking(&self) -> JoinHandle<Result<Outcome, Error>> {
        let assertion = self.replicas.site.assertion(&ALICE, TicketHelper);
        let request = GrantRequest::new(assertion, PROVIDER, READ.iter().copied());
        let client = self.client.clone();
        tokio::spawn(async move { client.issue_grant(&request).await })
    }

    async fn ask(&self) -> Result<Outcome, Error> {
        tokio::time::timeout(BOUND, self.asking()).await.expect("it is answered").expect("no panic")
    }

    async fn link(&self) -> String {
        match self.ask().await {
            Ok(Outcome::ConsentRequired(consent)) => consent.url.expose().to_owned(),
            other => panic!("a consent was due: {other:?}"),
        }
    }

    /// Once the provider has done its part, the commit of this event is the last that the database hears of, and its answer does not come.
    async fn until_untold(&self, release: &Notify, kind: &'static str, asked: impl Fn(&[Event]) -> bool) {
        let notes = self.replicas.site.notes();
        tokio::time::timeout(BOUND, notes.wait_until(asked)).await.expect("the provider is asked");
        assert_eq!(self.rows(kind), 0);
        self.cable.keep_the_acknowledgement_of(kind);
        release.notify_one();
        tokio::time::timeout(BOUND, self.cable.silent()).await.expect("a commit is on its way");
        assert_eq!(self.rows(kind), 1, "{:?}: it is committed", self.class);
    }

    fn rows(&self, kind: &str) -> usize {
        happened(&self.replicas.database, kind)
    }

    fn kept(&self) -> usize {
        entries(&self.replicas.site.path("spool"))
    }

    /// A refresh whose tokens are committed.
    async fn refreshes(&self) -> JoinHandle<Result<Outcome, Error>> {
        let link = self.link().await;
        walk::connect(&self.browser, &link, &ALICE.sso, &ALICE.notes).await.expect("connected");
        granted(self.ask().await);
        self.advance(LIFE);
        let release = Arc::new(Notify::new());
        self.replicas.site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let call = self.asking();
        self.until_untold(&release, "refresh.stored", |events| refreshes(events) == 1).await;
        call
    }

    /// A code whose tokens are committed, and its person's last page; `then` is what happens meanwhile.
    async fn redeems(&self, link: &str, then: impl AsyncFnOnce()) -> Result<Page, BrowserError> {
        let release = Arc::new(Notify::new());
        self.replicas.site.notes().script(Fault::SlowAnswer(Arc::clone(&release)), 1);
        let issued = |events: &[Event]| events.iter().any(|e| matches!(e, Event::TokensIssued { .. }));
        let meanwhile = async {
            self.until_untold(&release, "consent.obtained", issued).await;
            then().await;
        };
        let walking = walk::connect(&self.browser, link, &ALICE.sso, &ALICE.notes);
        let both = async { tokio::join!(walking, meanwhile) };
        tokio::time::timeout(2 * BOUND, both).await.expect("it ends").0
    }

    /// Whoever is at something gives it up.
    async fn gives_up(&self) {
        self.clock.advance(PATIENCE);
        let detached = &self.replicas.at(0).rooms().detached;
        detached.close();
        tokio::time::timeout(BOUND, detached.wait()).await.expect("it gives up");
        detached.reopen();
    }

    /// Tokens serve without a word of their owner's, now and once more after they have ended; each came once and is on record once.
    async fn nothing_is_lost(self, kind: &str, asked: usize) {
        let (class, notes) = (self.class, self.replicas.site.notes());
        emptied(&self.replicas.site.path("spool")).await;
        let grant = granted(self.ask().await);
        assert!(notes.introspect(grant.access_token.expose()).expect("it is known").live, "{class:?}");
        assert_eq!(refreshes(&notes.truth()), asked, "{class:?}: the provider is asked once");
        assert_eq!(self.rows(kind), 1, "{class:?}: it is on record once");
        assert_eq!(self.rows("refresh.failed") + self.rows("consent.failed"), 0, "{class:?}");
        let held = "SELECT count(*) FROM connections WHERE lease_owner <> '' OR attempts <> 0";
        assert_eq!(self.replicas.database.sql(held), "0", "{class:?}");
        self.advance(LIFE);
        granted(self.ask().await);
        let truth = notes.truth();
        assert_eq!(accepted(&truth), (asked + 1, asked + 1), "{class:?}: with the newest token");
        let ended = |event: &Event| matches!(event, Event::Revoked { .. } | Event::CodeReplayed { .. });
        assert!(!truth.iter().any(ended), "{class:?}: {truth:?}");
        assert_eq!(self.rows("connection.reauth_required"), 0, "{class:?}");
        self.replicas.stop().await;
    }
}

/// The way is open again at once: the broker gives up the connection that is silent, tries once more, and finds it done.
///
/// Proves: RF3, RF5, RF11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_rf11_a_refresh_that_is_committed_unheard_of_is_found_done() {
    join_all(Class::ALL.map(async |class| {
        let scene = Scene::set(class, PgDatabase::create()).await;
        let call = scene.refreshes().await;
        scene.cable.is(Quality::Good);
        let answer = tokio::time::timeout(BOUND, call).await.expect("it ends").expect("no panic");
        granted(answer);
        scene.nothing_is_lost("refresh.stored", 1).await;
    }))
    .await;
}

/// The database is killed as it is about to say so, and comes back when the lease is over: what was kept is found stored, by the broker that
/// kept it.
///
/// Proves: RF3, RF5, RF11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_rf11_a_refresh_that_is_committed_unheard_of_in_an_outage_is_found_stored() {
    let database = PgDatabase::durable();
    let scenes = join_all(Class::ALL.map(|class| Scene::set(class, database.another()))).await;
    let calls = join_all(scenes.iter().map(Scene::refreshes)).await;
    database.server().crash();
    let over = join_all(scenes.iter().zip(calls).map(async |(scene, call)| {
        scene.cable.is(Quality::Good);
        scene.gives_up().await;
        let answer = tokio::time::timeout(BOUND, call).await.expect("it ends").expect("no panic");
        assert!(!matches!(answer, Ok(Outcome::Grant(_))), "{:?}: no row, no grant", scene.class);
        // A token that stays is in no spool, and its access token is committed.
        assert_eq!(scene.kept(), usize::from(scene.class != Class::Stays), "{:?}", scene.class);
    }));
    over.await;
    database.server().restart();
    join_all(scenes.into_iter().map(async |scene| {
        scene.replicas.database.advance(PATIENCE);
        scene.nothing_is_lost("refresh.stored", 1).await;
    }))
    .await;
}

/// The provider had nothing to give, and that the lease is given back is committed: whoever waits is told of the provider and nothing else.
///
/// Proves: RF9, RF11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf9_rf11_a_lease_that_is_given_back_unheard_of_is_found_given_back() {
    let scene = Scene::set(Class::SingleUse, PgDatabase::create()).await;
    let link = scene.link().await;
    walk::connect(&scene.browser, &link, &ALICE.sso, &ALICE.notes).await.expect("connected");
    granted(scene.ask().await);
    scene.advance(LIFE);
    scene.replicas.site.notes().script(Fault::Status500, 1);
    scene.cable.keep_the_acknowledgement_of("refresh.failed");
    let call = scene.asking();
    tokio::time::timeout(BOUND, scene.cable.silent()).await.expect("a commit is on its way");
    assert_eq!(scene.rows("refresh.failed"), 1, "it is committed");
    scene.cable.is(Quality::Good);
    let answer = tokio::time::timeout(BOUND, call).await.expect("it ends").expect("no panic");
    let error = answer.expect_err("nothing came");
    assert_eq!(error.reason(), "PROVIDER_UNAVAILABLE", "{error}");
    assert_eq!(scene.rows("refresh.failed"), 1, "it is on record once");
    let held = "SELECT count(*) FROM connections WHERE lease_owner <> '' OR attempts <> 0";
    assert_eq!(scene.replicas.database.sql(held), "0");
    scene.advance(error.retry_after().expect("when to come back"));
    granted(scene.ask().await);
    scene.replicas.stop().await;
}

/// Proves: RF5, CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_co12_a_code_whose_tokens_are_committed_unheard_of_is_found_done() {
    let scene = Scene::set(Class::SingleUse, PgDatabase::create()).await;
    let link = scene.link().await;
    let page = scene.redeems(&link, async || scene.cable.is(Quality::Good)).await;
    assert_eq!(page.expect("the pages lead through").status, 200);
    scene.nothing_is_lost("consent.obtained", 0).await;
}

/// The person is told to try again; when the database is back the account is there to be confirmed.
///
/// Proves: RF5, CO12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rf5_co12_a_code_whose_tokens_are_committed_unheard_of_in_an_outage_is_found_stored() {
    let scene = Scene::set(Class::SingleUse, PgDatabase::durable()).await;
    let link = scene.link().await;
    let outage = async || {
        scene.replicas.database.server().crash();
        scene.cable.is(Quality::Good);
        scene.gives_up().await;
        assert_eq!(scene.kept(), 1);
    };
    let page = scene.redeems(&link, outage).await.expect("a page");
    assert_eq!(page.status, 503, "{}", page.text());
    scene.replicas.database.server().restart();
    scene.replicas.database.advance(PATIENCE);
    emptied(&scene.replicas.site.path("spool")).await;
    let page = scene.browser.get(&link).await.expect("the link's page");
    assert_eq!(walk::confirm(page).await.expect("the account is confirmed").status, 200);
    scene.nothing_is_lost("consent.obtained", 0).await;
}
