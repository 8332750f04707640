//! A broker dies while it redeems a code, or before and after. A code is good once, and what came for it is known to one process: it is
//! kept, or revoked, or it ends by itself, and the person begins anew with the next link.

use std::time::Duration;

use broker_client::Outcome;
use broker_tests::process::BrokerProcess;
use broker_tests::replicas::client;
use demo::saas::{Event, RevokedKind};
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Site, Workload::TicketHelper, World};

/// What the person finds once the broker is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The link as it was: what they did last is to be done again.
    Again,
    /// Nothing came, or nobody knows of what came: it ends by itself at the provider. A new link.
    NewLink,
    /// What came is revoked at the provider. A new link.
    Revoked,
    /// What came waits for their word.
    Confirm,
    /// They are connected.
    Connected,
}
use Found::{Again, Confirm, Connected, NewLink, Revoked};

pub const POINTS: [(&str, Found); 7] = [
    ("consent.approved", Again),
    ("code.after_intent", NewLink),
    ("code.response_read", NewLink),
    ("code.spooled", Revoked),
    ("code.settling", Confirm),
    ("code.settled", Confirm),
    ("consent.confirmed", Connected),
];

/// An exchange that nobody finishes ends after this.
const EXCHANGE: Duration = Duration::from_secs(60);

struct Scene {
    site: Site,
    clock: std::sync::Arc<broker_tests::clock::ShiftedClock>,
}

impl Scene {
    async fn set() -> Scene {
        let clock = std::sync::Arc::new(broker_tests::clock::ShiftedClock::default());
        let amend = |text: String| text.replace("level: warn", "level: info");
        let options = Options {
            clock: clock.clone(),
            amend_config: Some(Box::new(amend)),
            extra_config: "consent: { max_open_per_subject: 50 }".to_owned(),
            ..Options::default()
        };
        Scene { site: World::prepare(options).await.expect("prepared"), clock }
    }

    async fn link(&self) -> Option<String> {
        let client = client(&self.site, &self.site.grpc_url(), TicketHelper, Duration::from_secs(20)).await;
        let assertion = self.site.assertion(&ALICE, TicketHelper);
        let request = broker_client::GrantRequest::new(assertion, PROVIDER, ["notes.read"]);
        match client.issue_grant(&request).await.expect("an outcome") {
            Outcome::ConsentRequired(consent) => Some(consent.url.expose().to_owned()),
            Outcome::Grant(_) => None,
        }
    }

    async fn serve(&self, point: Option<&str>) -> BrokerProcess {
        let directory = self.site.directory();
        let mut broker = match point {
            Some(point) => BrokerProcess::serve_to(directory, "broker.yaml", point),
            None => BrokerProcess::serve(directory, "broker.yaml"),
        };
        broker.listening().await;
        broker
    }
}

fn revoked(events: &[Event]) -> usize {
    let ended = |event: &&Event| matches!(event, Event::Revoked { kind: RevokedKind::Family, .. });
    events.iter().filter(ended).count()
}

/// Proves: RF5
#[tokio::test]
async fn rf5_a_broker_that_dies_around_a_code_keeps_what_came_or_revokes_it() {
    for (point, outcome) in POINTS {
        println!("{point}: {outcome:?}");
        let scene = Scene::set().await;
        let dying = scene.serve(Some(point)).await;
        let link = scene.link().await.expect("nobody is connected");
        let browser = scene.site.browser().expect("a browser");
        let walked = walk::connect(&browser, &link, &ALICE.sso, &ALICE.notes).await;
        assert!(walked.is_err(), "{point}: the page never comes");
        dying.died().await;

        let broker = scene.serve(None).await;
        match outcome {
            Connected => assert_eq!(scene.link().await, None, "{point}"),
            Again => {
                assert_eq!(scene.link().await.as_ref(), Some(&link), "{point}");
                walk::connect(&browser, &link, &ALICE.sso, &ALICE.notes).await.expect("it goes on");
                assert_eq!(scene.link().await, None, "{point}");
            }
            Confirm => {
                let page = browser.get(&link).await.expect("the link's page");
                walk::confirm(page).await.expect("the account is confirmed");
                assert_eq!(scene.link().await, None, "{point}");
            }
            NewLink | Revoked => {
                if outcome == Revoked {
                    let told = scene.site.notes().wait_until(|events| revoked(events) == 1);
                    tokio::time::timeout(EXCHANGE, told).await.expect("the provider is told");
                }
                new_link(&scene, broker, &link, point).await;
                continue;
            }
        }
        assert_eq!(revoked(&scene.site.notes().truth()), 0, "{point}");
        broker.terminate().await;
        assert!(broker.ended().await.0.success());
    }
}

/// The old link leads nowhere any more, at the latest when an exchange would be over; the next one does.
async fn new_link(scene: &Scene, broker: BrokerProcess, old: &str, point: &str) {
    broker.terminate().await;
    assert!(broker.ended().await.0.success());
    // The clock is put ahead, which a process cannot: from here on a broker inside this one.
    scene.clock.advance(EXCHANGE);
    let config = broker::config::Config::load(&scene.site.config_path()).expect("the configuration");
    let sockets = broker::app::Sockets::bind(&config).expect("the same ports");
    let started =
        broker::app::start(&config, scene.site.clock().clone(), scene.site.rng().clone(), sockets).await;
    let running = started.expect("it starts");
    broker::worker::round(running.rooms()).await;
    let link = scene.link().await.expect("nobody is connected");
    assert_ne!(link, old, "{point}");
    let browser = scene.site.browser().expect("a browser");
    walk::connect(&browser, &link, &ALICE.sso, &ALICE.notes).await.expect("it leads through");
    assert_eq!(scene.link().await, None, "{point}");
    running.stop(EXCHANGE).await;
}
