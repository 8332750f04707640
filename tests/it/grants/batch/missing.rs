//! Something is missing: nothing is issued, and one link leads through all of it.

use broker_client::proto::ConsentState;
use broker_tests::composite::{Composite, TASKS, both, item, open, standing};
use broker_tests::stage::READ;
use broker_tests::walk::words;
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};

/// Proves: GR6
#[tokio::test]
async fn gr6_one_missing_connection_holds_back_every_grant() {
    let duo = Composite::start().await;
    duo.stage.connect(&ALICE, TicketHelper, READ).await;
    let issued_before = duo.stage.database().await.events().await;
    let required = duo.needed(&ALICE, both()).await;
    assert!(standing(&required, 0).is_none(), "ready, without a token");
    let (consent, link) = standing(&required, 1).expect("its consent");
    assert_ne!(link, required.url);
    assert_eq!(required.message, "Ticket helper needs one connection that is missing.");

    let events = duo.stage.database().await.events().await;
    let new = &events[issued_before.len()..];
    assert_eq!(new.len(), 2, "one row per decision");
    assert!(new.iter().all(|e| e.kind == "grant.issue" && e.outcome == "consent_required"));
    assert_eq!(new[0].body.pointer("/detail/batch_ready"), Some(&true.into()));
    assert_eq!(new[1].text("/consent"), consent);
    assert!(new.iter().all(|e| e.text("/detail/parent").starts_with("par_")));

    let page = duo.walk(&ALICE, &required).await;
    assert!(words(&page).contains("All done"), "{}", page.describe());
    assert_eq!(duo.granted(&ALICE, both()).await.len(), 2);
    duo.stop().await;
}

/// Proves: GR6, CO1
#[tokio::test]
async fn gr6_the_same_missing_connections_have_the_same_links() {
    let duo = Composite::start().await;
    let single = duo.stage.consent(&ALICE, TicketHelper, READ).await;
    let first = duo.needed(&ALICE, both()).await;
    assert_eq!(standing(&first, 0).expect("a consent").1, single.url.expose(), "what is open is used");
    let again = duo.needed(&ALICE, both()).await;
    assert_eq!((&again.url, again.expire_time), (&first.url, first.expire_time));
    let turned = duo.needed(&ALICE, both().into_iter().rev().collect()).await;
    assert_eq!(turned.url, first.url);
    assert_eq!(standing(&turned, 0), standing(&first, 1));
    // Another set is another page, over the same consents.
    let mut three = both();
    three.push(item(TASKS, &["notes.write"]));
    let three = duo.needed(&ALICE, three).await;
    assert_ne!(three.url, first.url);
    assert_eq!(standing(&three, 1), standing(&first, 1));
    duo.stop().await;
}

/// Proves: GR6, CO1
#[tokio::test]
async fn gr6_items_that_differ_in_their_resource_alone_share_one_consent() {
    let duo = Composite::start().await;
    let mut items = vec![item(PROVIDER, READ), item(PROVIDER, READ)];
    items[1].resource = Some("https://notes.example/other".to_owned());
    let required = duo.needed(&ALICE, items.clone()).await;
    assert_eq!(standing(&required, 0), standing(&required, 1));
    duo.walk(&ALICE, &required).await;
    assert_eq!(duo.granted(&ALICE, items).await.len(), 2);
    duo.stop().await;
}

/// Proves: GR6, CO17
#[tokio::test]
async fn gr6_every_consent_of_a_batch_can_be_watched_by_its_workload() {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    for index in [0, 1] {
        let (id, _) = standing(&required, index).expect("a consent");
        let consent = duo.stage.client(TicketHelper).get_consent(&id, None).await.expect("the consent");
        assert_eq!(consent.state(), ConsentState::Completed);
    }
    duo.stop().await;
}

/// Proves: GR6, CO1
#[tokio::test]
async fn gr6_a_batch_opens_no_more_links_than_one_workload_may() {
    let extra_config = "consent: { max_open_per_subject: 2 }".to_owned();
    let duo = Composite::with(demo::world::Options { extra_config, ..Default::default() }).await;
    let refused = broker_tests::composite::reason(duo.ask(&ALICE, both()).await);
    assert_eq!(refused.0, "TOO_MANY_CONSENTS");
    let opened = duo.stage.database().await.text("SELECT CAST(count(*) AS TEXT) FROM consents").await;
    assert_eq!(opened, "0", "none of them");
    duo.stop().await;
}

/// Proves: GR6, CO1
#[tokio::test]
async fn gr6_a_page_on_which_everything_is_done_takes_no_place_from_the_next() {
    let extra_config = "consent: { max_open_per_subject: 2 }".to_owned();
    let duo = Composite::with(demo::world::Options { extra_config, ..Default::default() }).await;
    duo.stage.connect(&ALICE, TicketHelper, READ).await;
    let first = duo.needed(&ALICE, both()).await;
    let page = duo.walk(&ALICE, &first).await;
    assert!(words(&page).contains("All done"), "{}", page.describe());
    // There may be one page of this server at a time: that one leads nowhere any more, though its time is not over.
    let wider = vec![item(PROVIDER, READ), item(TASKS, &["notes.read", "notes.write"])];
    let second = duo.needed(&ALICE, wider.clone()).await;
    assert_ne!(second.url, first.url);
    assert_eq!(
        duo.needed(&ALICE, wider.clone()).await.url,
        second.url,
        "as long as it is open, it is the same"
    );
    let page = open(&duo.browser(), &first.url, &ALICE).await;
    assert!(
        words(&page).contains("All done"),
        "still there for whoever comes back to it: {}",
        page.describe()
    );
    duo.walk(&ALICE, &second).await;
    assert_eq!(duo.granted(&ALICE, wider).await.len(), 2);
    duo.stop().await;
}
