//! The world stands: the broker starts, is ready, knows its callers, and starts again on the same files.

use std::sync::Arc;
use std::time::Duration;

use broker::domain::{ManualClock, Timestamp};
use broker_client::{GrantRequest, Outcome, proto::ConsentReason};

use super::{ALICE, Options, PROVIDER, Workload, World};

#[tokio::test]
async fn a_world_starts_asks_for_consent_and_starts_again_on_the_same_files() {
    let world = World::start(Options::default()).await.expect("starts");
    let ready = crate::http::client(b"").expect("client");
    let ready = ready.get(format!("{}/readyz", world.ops_url())).send().await.expect("answers");
    assert_eq!(ready.status().as_u16(), 200);
    let first = ask(&world).await;

    let site = world.stop().await;
    let world = World::run(site).await.expect("starts again");
    assert_eq!(ask(&world).await, first, "the same open need gets the same link");
    world.stop().await;
}

#[tokio::test]
async fn a_prepared_site_runs_on_the_ports_that_its_files_name() {
    let site = World::prepare(Options::default()).await.expect("prepared");
    let addresses = site.addresses();
    let world = World::run(site).await.expect("starts");
    assert_eq!(world.addresses(), addresses);
    ask(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn a_person_connects_on_the_real_pages_and_is_served() {
    let world = World::start(Options::default()).await.expect("starts");
    let link = ask(&world).await;
    let browser = world.browser().expect("browser");
    let page = crate::walk::connect(&browser, &link, &ALICE.sso, &ALICE.notes).await.expect("connects");
    assert_eq!(page.status, 200, "{}", page.describe());
    assert!(page.text().contains(ALICE.notes.name), "{}", page.describe());

    let client = world.client(Workload::TicketHelper).await.expect("client");
    let assertion = world.assertion(&ALICE, Workload::TicketHelper);
    let request = GrantRequest::new(assertion, PROVIDER, ["notes.read"]);
    let Outcome::Grant(grant) = client.issue_grant(&request).await.expect("an outcome") else {
        panic!("it is connected")
    };
    let truth = world.notes().introspect(grant.access_token.expose()).expect("issued by the SaaS");
    assert!(truth.live && truth.scopes == ["notes.read"], "{truth:?}");
    assert_eq!(grant.account_label, ALICE.notes.name);
    world.stop().await;
}

#[tokio::test]
async fn a_world_can_stand_on_a_clock_that_is_moved_by_hand() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_900_000_000)));
    let world = World::start(Options { clock: clock.clone(), ..Options::default() }).await.expect("starts");
    let browser = world.browser().expect("browser");
    let link = ask(&world).await;
    crate::walk::connect(&browser, &link, &ALICE.sso, &ALICE.notes).await.expect("connects");
    let client = world.client(Workload::TicketHelper).await.expect("client");
    let mut generations = Vec::new();
    for _ in 0..3 {
        let assertion = world.assertion(&ALICE, Workload::TicketHelper);
        let request = GrantRequest::new(assertion, PROVIDER, ["notes.read"]);
        let Outcome::Grant(grant) = client.issue_grant(&request).await.expect("an outcome") else {
            panic!("it is connected")
        };
        assert!(world.notes().introspect(grant.access_token.expose()).expect("issued").live);
        generations.push(grant.access_token.expose().to_owned());
        // Past the token's ten minutes, so that the next grant needs a refresh.
        clock.advance(Duration::from_secs(700));
    }
    generations.dedup();
    assert_eq!(generations.len(), 3, "each grant stands on a fresh token");
    world.stop().await;
}

async fn ask(world: &World) -> String {
    let client = world.client(Workload::TicketHelper).await.expect("client");
    let assertion = world.assertion(&ALICE, Workload::TicketHelper);
    let request = GrantRequest::new(assertion, PROVIDER, ["notes.read"]).tool("list_notes");
    match client.issue_grant(&request).await.expect("an outcome") {
        Outcome::ConsentRequired(consent) => {
            assert_eq!(consent.reason, ConsentReason::NotConnected);
            consent.url.expose().to_owned()
        }
        Outcome::Grant(_) => panic!("nobody connected anything yet"),
    }
}
