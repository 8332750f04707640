//! Several things at once: two consents, two tabs, and others' doings while a code is being exchanged.

use broker::worker;
use std::time::Duration;

use broker_client::proto::ConsentState;
use broker_tests::certified::{ARCHIVE, Certified, READ, SAAS, TOOL, User, WRITE};
use broker_tests::oidc::{Call, Fault};
use broker_tests::stage::{self, Stage};
use broker_tests::walk;
use demo::world::{ALICE, BOB, Options, Workload::ReportWriter, Workload::TicketHelper};

/// Proves: CO1
#[tokio::test]
async fn co1_the_same_need_asked_for_at_once_gets_one_link_and_one_person_a_bounded_number() {
    let world = Certified::with(|text| format!("{text}\nconsent: {{ max_open_per_subject: 6 }}\n")).await;
    let alice = world.user("alice", TOOL).await;
    let asked = futures::future::join_all((0..20).map(|_| alice.needs(SAAS, &[READ]))).await;
    assert!(asked.iter().all(|needed| needed.url.expose() == asked[0].url.expose()));
    assert_eq!(world.rooms().store.consents.by_id(&id(&asked[0])).await.expect("stored").iter().count(), 1);

    alice.needs(SAAS, &[WRITE]).await;
    alice.needs(SAAS, &[READ, WRITE]).await;
    alice.needs(SAAS, &[READ]).await;
    assert_eq!(alice.refused(ARCHIVE, &[READ]).await.reason(), "TOO_MANY_CONSENTS");
    let bob = world.user("bob", TOOL).await;
    let bobs = bob.needs(SAAS, &[READ]).await;
    assert_ne!(bobs.url.expose(), asked[0].url.expose(), "another person's need is another");
    world.stop().await;
}

/// One that was stolen, with a person's assertion, keeps no other from its links.
/// Proves: CO1
#[tokio::test]
async fn co1_one_server_uses_up_at_most_half_of_what_a_person_may_have_open() {
    let extra_config = "consent: { max_open_per_subject: 5 }".to_owned();
    let stage = Stage::with(Options { extra_config, ..Options::default() }).await;
    for workload in [TicketHelper, ReportWriter] {
        let mut links = Vec::new();
        for scopes in [stage::READ, stage::READ_WRITE] {
            links.push(stage.consent(&ALICE, workload, scopes).await.consent_id);
        }
        let third = stage.ask(&ALICE, workload, &["notes.write"]).await;
        assert_eq!(stage::refused(third), "TOO_MANY_CONSENTS", "{}", workload.id());
        assert_eq!(stage.consent(&ALICE, workload, stage::READ).await.consent_id, links[0], "as before");
    }
    stage.consent(&BOB, TicketHelper, &["notes.write"]).await;
    stage.stop().await;
}

/// Proves: CO1, CO12
#[tokio::test]
async fn co1_a_link_ends_by_time_and_by_use() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let late = alice.needs(SAAS, &[READ]).await;
    let callback = walk::to_callback(&browser, late.url.expose(), "alice", "alice").await;
    world.clock.advance(Duration::from_secs(601));
    for _ in 0..2 {
        let page = browser.get(&callback).await.expect("answers");
        assert_eq!((page.status, page.title()), (200, "This request has ended · Token broker"));
    }
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0);
    assert_eq!(state(&alice, &late.consent_id).await, ConsentState::Expired);
    assert_eq!(world.count("consent.expired").await, 1);

    let fresh = alice.needs(SAAS, &[READ]).await;
    assert_ne!(fresh.url.expose(), late.url.expose());
    walk::connect(&browser, fresh.url.expose(), "alice", "alice").await;
    let page = browser.get(fresh.url.expose()).await.expect("answers");
    assert_eq!((page.status, page.title()), (200, "Done · Token broker"));
    assert!(page.form("/approve").is_err() && page.form("/confirm").is_err(), "{}", page.describe());
    let unknown = format!("{}/consent/{}", world.web(), "A".repeat(43));
    assert_eq!(browser.get(&unknown).await.expect("answers").status, 404);
    world.stop().await;
}

/// Proves: CO3
#[tokio::test]
async fn co3_two_consents_share_one_browser_and_the_later_of_two_tabs_counts() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let (first, second) = (alice.needs(SAAS, &[READ]).await, alice.needs(ARCHIVE, &[READ]).await);
    let browser = world.browser();
    let to_saas = walk::to_callback(&browser, first.url.expose(), "alice", "alice").await;
    let to_archive = walk::to_callback(&browser, second.url.expose(), "alice", "alice").await;
    let one = browser.get(&to_archive).await.expect("answers");
    let tab = browser.get(first.url.expose()).await.expect("the second tab");
    let again = walk::held(&browser, tab, "alice").await;
    assert_eq!(browser.get(&to_saas).await.expect("answers").status, 404, "the first tab's state is void");
    let two = browser.get(&again).await.expect("answers");
    for page in [two, one] {
        assert_eq!(walk::press(&page, "confirm").await.title(), "Done · Token broker");
    }
    for needed in [&first, &second] {
        assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Completed);
    }
    alice.grant(SAAS, &[READ]).await;
    alice.grant(ARCHIVE, &[READ]).await;
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 2);
    world.stop().await;
}

/// Whoever has the link may look at the door as often as they like; what the provider gave is kept.
/// Proves: CO2
#[tokio::test]
async fn co2_a_strangers_visit_during_the_exchange_costs_the_owner_nothing() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let (hers, bobs) = (world.browser(), world.browser());
    let callback = walk::to_callback(&hers, needed.url.expose(), "alice", "alice").await;
    walk::open(&bobs, &format!("{}/connections", world.web()), "bob").await;
    world.saas.inject([Fault::hold().on_grant("authorization_code")]).await;
    let visits = async {
        world.saas.held(1).await;
        for _ in 0..3 {
            assert_eq!(bobs.get(needed.url.expose()).await.expect("answers").status, 403);
        }
        world.saas.release().await;
    };
    let (page, ()) = tokio::join!(hers.get(&callback), visits);
    let page = page.expect("answers");
    assert_eq!(page.title(), "Is this the right account? · Token broker", "{}", page.describe());
    walk::press(&page, "confirm").await;
    alice.grant(SAAS, &[READ]).await;

    // Nor does it hide how a failed exchange ended.
    let failing = alice.needs(ARCHIVE, &[READ]).await;
    let callback = walk::to_callback(&hers, failing.url.expose(), "alice", "alice").await;
    let spoilt = walk::with_param(&callback, "code", Some("spoilt"));
    world.saas.inject([Fault::hold().on_grant("authorization_code")]).await;
    let visits = async {
        world.saas.held(1).await;
        assert_eq!(bobs.get(failing.url.expose()).await.expect("answers").status, 403);
        world.saas.release().await;
    };
    let (page, ()) = tokio::join!(hers.get(&spoilt), visits);
    assert_eq!(page.expect("answers").title(), "This did not work · Token broker");
    assert_eq!(state(&alice, &failing.consent_id).await, ConsentState::Failed);
    world.stop().await;
}

/// Proves: CO12
#[tokio::test]
async fn co12_what_the_provider_gives_to_a_consent_declined_meanwhile_is_given_back() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    for expires in [false, true] {
        let needed = alice.needs(SAAS, &[READ]).await;
        let browser = world.browser();
        let page = walk::open(&browser, needed.url.expose(), "alice").await;
        let decline = page.form("/decline").expect("the way out");
        let callback = walk::held(&browser, page, "alice").await;
        world.saas.inject([Fault::hold().on_grant("authorization_code")]).await;
        let meanwhile = async {
            world.saas.held(1).await;
            let page = if expires {
                world.clock.advance(Duration::from_secs(601));
                browser.get(needed.url.expose()).await.expect("answers")
            } else {
                decline.submit("Decline").await.expect("declined")
            };
            world.saas.release().await;
            page
        };
        let (page, over) = tokio::join!(browser.get(&callback), meanwhile);
        let title = page.expect("answers").title().to_owned();
        assert_eq!(title, over.title(), "both say the same");
        let wanted = if expires { ConsentState::Expired } else { ConsentState::Declined };
        assert_eq!(state(&alice, &needed.consent_id).await, wanted);
        given_back(&world).await;
    }
    world.stop().await;
}

/// Proves: CO11, CO12
#[tokio::test]
async fn co11_an_account_that_is_not_the_right_one_is_given_back() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[READ]).await;
    let page = walk::open(&browser, needed.url.expose(), "alice").await;
    let page = walk::press(&page, "decline").await;
    assert_eq!(page.title(), "Declined · Token broker");
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Declined);

    let needed = alice.needs(SAAS, &[READ]).await;
    let page = walk::to_confirmation(&browser, needed.url.expose(), "alice", "bob").await;
    alice.needs(SAAS, &[READ]).await;
    let page = walk::press(&page, "reject").await;
    assert_eq!(page.title(), "Declined · Token broker");
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Declined);
    given_back(&world).await;

    let needed = alice.needs(SAAS, &[READ]).await;
    walk::to_confirmation(&world.browser(), needed.url.expose(), "alice", "bob").await;
    world.clock.advance(Duration::from_secs(601));
    let page = walk::open(&browser, needed.url.expose(), "alice").await;
    assert_eq!(page.title(), "This request has ended · Token broker");
    given_back(&world).await;
    world.stop().await;
}

/// The last code's tokens are presented to the revocation endpoint, which accepts them. The worker does that.
async fn given_back(world: &Certified) {
    worker::round(world.rooms()).await;
    let codes = world.saas.token_calls("authorization_code").await;
    let code = codes.last().expect("a code");
    assert!(code.issued_refresh.is_some() && code.issued_access.is_some());
    for token in [&code.issued_refresh, &code.issued_access] {
        let ended = |call: &Call| {
            call.endpoint == "revocation" && call.presented == *token && call.status == Some(200)
        };
        let told = async { while !world.saas.log().await.iter().any(ended) {} };
        tokio::time::timeout(Duration::from_secs(20), told).await.expect("given back");
    }
}

fn id(needed: &broker_client::ConsentRequired) -> broker::domain::ConsentId {
    broker::domain::ConsentId::parse(&needed.consent_id).expect("an id")
}

async fn state(user: &User, consent: &str) -> ConsentState {
    user.client.get_consent(consent, None).await.expect("the consent").state()
}
