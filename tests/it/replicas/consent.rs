//! A consent begun on one replica and finished on another.

use broker_client::ConsentRequired;
use broker_tests::replicas::Replicas;
use broker_tests::stage::READ;
use broker_tests::walk::press;
use demo::browser::{Browser, Page};
use demo::saas::Event;
use demo::walk;
use demo::world::{ALICE, BOB, Workload::TicketHelper};

/// From the link to the provider's redirect back; answers that address, not visited.
async fn to_callback(replicas: &Replicas, browser: &Browser, needed: &ConsentRequired) -> String {
    let page = browser.get(needed.url.expose()).await.expect("the link opens");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    browser.hold_before(Some(&callback_of(replicas)));
    let page = walk::approve(page).await.expect("approved");
    let page = walk::allow(page, &ALICE.notes).await.expect("allowed");
    browser.hold_before(None);
    page.location().unwrap_or_else(|| panic!("not sent back: {}", page.describe())).to_string()
}

fn callback_of(replicas: &Replicas) -> String {
    format!("{}/oauth/callback/", replicas.site.web_url())
}

fn exchanges(replicas: &Replicas) -> usize {
    let truth = replicas.site.notes().truth();
    assert!(!truth.iter().any(|event| matches!(event, Event::CodeReplayed { .. })), "a code went out twice");
    truth.iter().filter(|event| matches!(event, Event::TokensIssued { .. })).count()
}

fn allowed(replicas: &Replicas, kind: &str) -> String {
    let sql = format!("SELECT count(*) FROM audit_events WHERE kind = '{kind}' AND outcome = 'allowed'");
    replicas.database.sql(&sql)
}

fn is_done(page: &Page) {
    assert_eq!((page.status, page.title()), (200, "Done · Token broker"), "{}", page.describe());
}

/// Proves: CO3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co3_a_consent_begun_on_one_replica_is_finished_on_another() {
    let replicas = Replicas::start(3).await;
    let needed = replicas.consent(0, &ALICE, TicketHelper, READ).await;
    let same = replicas.consent(1, &ALICE, TicketHelper, READ).await;
    assert_eq!(same.url.expose(), needed.url.expose(), "one need, one link, whoever is asked");
    let browser = replicas.browser();
    let callback = to_callback(&replicas, &browser, &needed).await;
    replicas.pages_at(1);
    let page = browser.get(&callback).await.expect("answers");
    replicas.pages_at(2);
    is_done(&press(&page, "confirm").await);
    for number in 0..3 {
        replicas.grant(number, &ALICE, TicketHelper, READ).await;
    }
    assert_eq!(exchanges(&replicas), 1);

    // And with every single request at another replica.
    replicas.pages_everywhere();
    replicas.connect(1, &BOB, TicketHelper, READ).await;
    replicas.stop().await;
}

/// Proves: CO3, CO6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co3_a_callback_that_comes_to_two_replicas_at_once_is_exchanged_once() {
    let replicas = Replicas::start(2).await;
    let needed = replicas.consent(0, &ALICE, TicketHelper, READ).await;
    let browser = replicas.browser();
    let callback = to_callback(&replicas, &browser, &needed).await;
    replicas.pages_everywhere();
    let (one, other) = tokio::join!(browser.get(&callback), browser.get(&callback));
    let (one, other) = (one.expect("answers"), other.expect("answers"));
    assert_eq!((one.status, other.status), (200, 200), "{} {}", one.describe(), other.describe());
    assert_eq!(exchanges(&replicas), 1);
    assert_eq!(allowed(&replicas, "consent.exchange"), "1");

    // The state is spent everywhere: either replica shows what came of it.
    for number in 0..2 {
        replicas.pages_at(number);
        let page = browser.get(&callback).await.expect("answers");
        assert_eq!(page.title(), "Is this the right account? · Token broker");
    }
    assert_eq!(exchanges(&replicas), 1);

    // Two answers to the question at once attach the account once.
    let page = browser.get(&callback).await.expect("answers");
    replicas.pages_everywhere();
    let (one, other) = tokio::join!(press(&page, "confirm"), press(&page, "confirm"));
    is_done(&one);
    is_done(&other);
    assert_eq!(allowed(&replicas, "consent.completed"), "1");
    assert_eq!(replicas.database.sql("SELECT count(*) FROM connections"), "1");

    // The link is spent everywhere too.
    for number in 0..2 {
        replicas.pages_at(number);
        let page = browser.get(needed.url.expose()).await.expect("answers");
        assert!(page.form("/approve").is_err() && page.form("/confirm").is_err(), "{}", page.describe());
    }
    replicas.stop().await;
}

/// Proves: CO3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn co3_an_approval_pressed_on_two_replicas_at_once_leaves_one_state_that_counts() {
    let replicas = Replicas::start(2).await;
    let needed = replicas.consent(0, &ALICE, TicketHelper, READ).await;
    let browser = replicas.browser();
    let page = browser.get(needed.url.expose()).await.expect("the link opens");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    browser.hold_before(Some(&callback_of(&replicas)));
    replicas.pages_everywhere();
    let (one, other) = tokio::join!(press(&page, "approve"), press(&page, "approve"));
    let mut callbacks: Vec<String> = Vec::new();
    for page in [one, other] {
        let page = walk::allow(page, &ALICE.notes).await.expect("allowed");
        callbacks.extend(page.location().map(|location| location.to_string()));
    }
    browser.hold_before(None);
    let mut finished = 0;
    for callback in &callbacks {
        let page = browser.get(callback).await.expect("answers");
        finished += usize::from(page.form("/confirm").is_ok());
    }
    assert_eq!((finished, exchanges(&replicas)), (1, 1), "one approval counts of {}", callbacks.len());
    replicas.stop().await;
}
