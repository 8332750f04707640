//! Somebody else, or another browser: they learn nothing, they get nothing, and they spoil nothing.

use broker_client::proto::ConsentState;
use broker_tests::certified::{Certified, OTHER, READ, SAAS, TOOL};
use broker_tests::walk;

/// Everything about the consent that its page shows to the right person.
const PARTICULARS: [&str; 9] = [
    "Acme Notes",
    "saas",
    "Ticket tool",
    "tool-server",
    "notes.read",
    "Look at the notes",
    "list_notes",
    "Show the notes",
    "alice",
];

/// Proves: CO2
#[tokio::test]
async fn co2_a_link_tells_another_person_nothing_is_not_burnt_and_counts_twenty_attempts() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let link = needed.url.expose();

    let bobs = world.browser();
    let page = walk::open(&bobs, link, "bob").await;
    assert_eq!(page.status, 403);
    for particular in PARTICULARS {
        assert!(!page.html().contains(particular), "{particular} on {}", page.describe());
    }
    assert!(page.forms().iter().all(|form| !form.buttons().contains(&"Allow")), "{}", page.describe());
    for verb in ["approve", "decline", "confirm", "reject"] {
        let url = format!("{link}/{verb}");
        let token =
            page.form("/login/switch").expect("switch account").value("csrf").expect("csrf").to_owned();
        let page = bobs.post_from(page.url.as_str(), &url, &[("csrf", &token)]).await.expect("answers");
        assert_eq!(page.status, 403, "{verb}: a token for another form");
    }
    for _ in 0..25 {
        assert_eq!(bobs.get(link).await.expect("answers").status, 403);
    }
    let events = world.events().await;
    let mismatches: Vec<_> = events.iter().filter(|(kind, _)| kind == "consent.user_mismatch").collect();
    assert_eq!(mismatches.len(), 20);
    assert!(mismatches.iter().all(|(_, reason)| reason == "CONSENT_USER_MISMATCH"));

    walk::connect(&world.browser(), link, "alice", "alice").await;
    alice.grant(SAAS, &[READ]).await;
    world.stop().await;
}

/// Proves: CO2, CO16
#[tokio::test]
async fn co2_switching_the_account_ends_the_session_and_leads_back_to_the_link() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let link = alice.needs(SAAS, &[READ]).await.url.expose().to_owned();
    let browser = world.browser();
    let page = walk::open(&browser, &link, "bob").await;
    let bobs_cookie = cookie(&browser.cookies(&world.web()), "__Host-broker-session");
    let form = page.form("/login/switch").expect("switch account");
    let page = walk::at_provider(form.submit("Switch account").await.expect("the IdP"), "alice").await;
    assert!(walk::words(&page).contains("Allow Ticket tool to use Acme Notes"), "{}", page.describe());
    assert_eq!(page.url.as_str(), link);

    let old = world.browser();
    old.plant_cookie(&world.web(), &format!("__Host-broker-session={bobs_cookie}; Path=/; Secure"));
    let page = old.get(&format!("{}/connections", world.web())).await.expect("answers");
    assert!(page.form("/interaction/").is_ok(), "bob's session is over: {}", page.describe());
    world.stop().await;
}

/// The callback is checked like the page: bob, in the very browser that alice used, gets nothing out of it.
/// Proves: CO2
#[tokio::test]
async fn co2_a_callback_under_another_persons_session_stores_nothing() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let browser = world.browser();
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "bob").await;

    // Bob takes over the browser: alice's browser binding is in it, her session is not.
    let page = browser.get(&format!("{}/connections", world.web())).await.expect("her page");
    page.form("/logout").expect("sign out").submit("Sign out").await.expect("signed out");
    let bob = world.browser();
    walk::open(&bob, &format!("{}/connections", world.web()), "bob").await;
    let session = cookie(&bob.cookies(&world.web()), "__Host-broker-session");
    browser.plant_cookie(&world.web(), &format!("__Host-broker-session={session}; Path=/; Secure"));
    let page = browser.get(&callback).await.expect("answers");
    assert_eq!(page.status, 403);
    for particular in PARTICULARS {
        assert!(!page.html().contains(particular), "{particular} on {}", page.describe());
    }
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0);
    assert_eq!(world.count("consent.user_mismatch").await, 1);
    let consent = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
    assert_eq!(consent.state(), ConsentState::Approved);
    world.stop().await;
}

/// Proves: CO3
#[tokio::test]
async fn co3_a_callback_in_another_browser_stores_nothing_and_the_link_starts_over_there() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let link = needed.url.expose();
    let laptop = world.browser();
    let callback = walk::to_callback(&laptop, link, "alice", "alice").await;
    let bound = laptop.cookies(&world.web()).iter().any(|(name, _)| name == "__Host-broker-browser");
    assert!(bound, "bound at approval");

    let phone = world.browser();
    let page = phone.get(&callback).await.expect("answers");
    assert_eq!((page.status, page.title()), (403, "You are signed out · Token broker"));
    walk::open(&phone, &format!("{}/connections", world.web()), "alice").await;
    let page = phone.get(&callback).await.expect("answers");
    assert_eq!(page.status, 403);
    assert!(walk::words(&page).contains("Continue in the browser where you began"), "{}", page.describe());
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0);
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Approved);

    let page = phone.get(link).await.expect("answers");
    let restarted = walk::held(&phone, page, "alice").await;
    let stale = laptop.get(&callback).await.expect("answers");
    assert_eq!(stale.status, 404, "the state of the first start is void: {}", stale.describe());
    let page = phone.get(&restarted).await.expect("answers");
    let elsewhere = laptop.get(link).await.expect("answers");
    assert!(elsewhere.form("/confirm").is_err(), "only where it began: {}", elsewhere.describe());
    walk::press(&page, "confirm").await;
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Completed);
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 1);
    world.stop().await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_login_callback_in_another_browser_creates_no_session() {
    let world = Certified::start().await;
    let mallory = world.browser();
    mallory.hold_before(Some(&format!("{}/login/callback", world.web())));
    let page = walk::open(&mallory, &format!("{}/connections", world.web()), "bob").await;
    let callback = page.location().expect("sent back").to_string();
    mallory.hold_before(None);

    let victim = world.browser();
    let page = victim.get(&callback).await.expect("answers");
    assert_eq!(
        (page.status, page.title()),
        (400, "This sign-in did not begin in this browser · Token broker")
    );
    assert!(victim.cookies(&world.web()).iter().all(|(name, _)| name != "__Host-broker-session"));
    assert_eq!(world.count("session.started").await, 0);
    assert_eq!(world.idp.token_calls("authorization_code").await.len(), 0, "not even asked for");

    // Where it began it works, once.
    let page = mallory.get(&callback).await.expect("answers");
    assert_eq!((page.status, page.title()), (200, "Your connections · Token broker"));
    assert_eq!(mallory.get(&callback).await.expect("answers").status, 400);
    assert_eq!(world.count("session.started").await, 1);
    world.stop().await;
}

/// Proves: CO17
#[tokio::test]
async fn co17_a_consent_is_seen_by_its_workload_and_its_person_alone() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Pending);
    let stranger = world.caller(OTHER).await.get_consent(&needed.consent_id, None).await.expect_err("hidden");
    let unknown =
        alice.client.get_consent("cns_00000000000000000000000000", None).await.expect_err("unknown");
    assert_eq!((stranger.reason(), stranger.message()), ("NOT_FOUND", unknown.message()));
    let bob = world.assertion("bob", TOOL).await.into();
    let theirs = alice.client.get_consent(&needed.consent_id, Some(&bob)).await.expect_err("hidden");
    assert_eq!(theirs.reason(), "NOT_FOUND");
    world.stop().await;
}

async fn state(user: &broker_tests::certified::User, consent: &str) -> ConsentState {
    user.client.get_consent(consent, None).await.expect("the consent").state()
}

fn cookie(cookies: &[(String, String)], name: &str) -> String {
    cookies.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).expect("the cookie")
}
