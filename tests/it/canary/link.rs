//! The consent link itself.

use broker_client::{GrantRequest, Outcome};
use demo::world::{ALICE, BOB, Options, PROVIDER, Person, Workload, World};
use url::Url;

async fn link(world: &World, person: &Person, scopes: &[&str]) -> Url {
    let client = world.client(Workload::TicketHelper).await.expect("a client");
    let assertion = world.assertion(person, Workload::TicketHelper);
    let request = GrantRequest::new(assertion, PROVIDER, scopes.iter().copied());
    match client.issue_grant(&request).await.expect("an outcome") {
        Outcome::ConsentRequired(consent) => consent.url.expose().parse().expect("a URL"),
        Outcome::Grant(_) => panic!("nobody connected anything"),
    }
}

/// Proves: CO1
#[tokio::test]
async fn co1_the_link_carries_an_opaque_handle_and_the_same_need_gets_the_same_link() {
    let world = World::start(Options::default()).await.expect("starts");
    let read = link(&world, &ALICE, &["notes.read"]).await;
    assert_eq!(read.origin().ascii_serialization(), world.web_url());
    assert_eq!((read.query(), read.fragment()), (None, None));
    let handle = read.path().strip_prefix("/consent/").expect("the consent page");
    let opaque = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    assert!(handle.len() == 43 && handle.chars().all(opaque), "256 bits and nothing else");

    assert_eq!(link(&world, &ALICE, &["notes.read"]).await, read, "the same need");
    assert_ne!(link(&world, &ALICE, &["notes.write"]).await, read, "other scopes");
    assert_ne!(link(&world, &BOB, &["notes.read"]).await, read, "another person");

    for file in super::files_below(world.directory()) {
        let bytes = std::fs::read(&file).expect("readable");
        let there = bytes.windows(handle.len()).any(|window| window == handle.as_bytes());
        assert!(!there, "{} knows the link", file.display());
    }
    world.stop().await;
}
