//! Signing in and out: how a session begins, and everything that ends it.

use std::time::Duration;

use broker_tests::browser::http_client;
use broker_tests::certified::Certified;
use broker_tests::walk;
use demo::browser::{Browser, Page};

const SESSION: &str = "__Host-broker-session";
const MINUTE: Duration = Duration::from_secs(60);

fn session(world: &Certified, browser: &Browser) -> Option<String> {
    let cookies = browser.cookies(&world.web());
    cookies.into_iter().find(|(name, _)| name == SESSION).map(|(_, value)| value)
}

fn plant(world: &Certified, browser: &Browser, value: &str) {
    browser.plant_cookie(&world.web(), &format!("{SESSION}={value}; Path=/; Secure"));
}

/// Opens the connections page without answering any form on the way.
async fn peek(world: &Certified, browser: &Browser) -> Page {
    browser.get(&format!("{}/connections", world.web())).await.expect("answers")
}

fn is_in(page: &Page) -> bool {
    page.title() == "Your connections · Token broker"
}

/// Proves: CO16
#[tokio::test]
async fn co16_the_session_id_rotates_at_every_sign_in_and_a_planted_one_never_counts() {
    let world = Certified::start().await;
    let browser = world.browser();
    let planted = "A".repeat(43);
    plant(&world, &browser, &planted);
    let page = walk::at_provider(peek(&world, &browser).await, "alice").await;
    assert!(is_in(&page), "{}", page.describe());
    let first = session(&world, &browser).expect("a session");
    assert_ne!(first, planted);

    // A second sign-in in the same browser: a new id, and the old one is worth nothing.
    let start = format!("{}/login/start?realm=staff&return=/connections", world.web());
    let page = walk::open(&browser, &start, "alice").await;
    assert!(is_in(&page), "{}", page.describe());
    let second = session(&world, &browser).expect("a session");
    assert_ne!(first, second);
    let thief = world.browser();
    for worthless in [&first, &planted] {
        plant(&world, &thief, worthless);
        assert!(!is_in(&peek(&world, &thief).await));
    }
    plant(&world, &thief, &second);
    assert!(is_in(&peek(&world, &thief).await), "the test can tell");
    let http = http_client();
    let twice = format!("{SESSION}={second}; {SESSION}={first}");
    let doubled = http.get(format!("{}/connections", world.web())).header("cookie", twice).send().await;
    assert_eq!(doubled.expect("answers").status(), 303, "a cookie given twice counts as missing");
    world.stop().await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_session_ends_when_idle_at_its_absolute_end_and_at_sign_out() {
    let world = Certified::start().await;
    let browser = world.browser();
    walk::open(&browser, &format!("{}/connections", world.web()), "alice").await;
    world.clock.advance(29 * MINUTE);
    assert!(is_in(&peek(&world, &browser).await));
    world.clock.advance(29 * MINUTE);
    assert!(is_in(&peek(&world, &browser).await), "each visit counts");
    world.clock.advance(31 * MINUTE);
    assert!(!is_in(&peek(&world, &browser).await), "half an hour without a visit");

    let browser = world.browser();
    walk::open(&browser, &format!("{}/connections", world.web()), "alice").await;
    for _ in 0..23 {
        world.clock.advance(20 * MINUTE);
        assert!(is_in(&peek(&world, &browser).await));
    }
    world.clock.advance(20 * MINUTE);
    assert!(!is_in(&peek(&world, &browser).await), "eight hours, whatever happens");

    let browser = world.browser();
    let page = walk::open(&browser, &format!("{}/connections", world.web()), "alice").await;
    let kept = session(&world, &browser).expect("a session");
    let page = page.form("/logout").expect("sign out").submit("Sign out").await.expect("signed out");
    assert_eq!((page.status, page.title()), (200, "Signed out · Token broker"));
    assert_eq!(session(&world, &browser), None);
    plant(&world, &browser, &kept);
    assert!(!is_in(&peek(&world, &browser).await), "the id itself is over");
    assert_eq!(world.count("session.ended").await, 1);
    world.stop().await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_login_callback_counts_once_with_its_own_state_issuer_and_nonce_and_returns_to_known_pages() {
    let world = Certified::start().await;
    let start = |back: &str| format!("{}/login/start?realm=staff&return={back}", world.web());
    let browser = world.browser();
    for back in
        ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2Flogin%2Fstart", "%2Fconsent%2F..%2Fx"]
    {
        assert_eq!(browser.get(&start(back)).await.expect("answers").status, 400, "{back}");
    }
    assert_eq!(
        browser.get(&format!("{}/login/start?realm=nobody", world.web())).await.expect("answers").status,
        404
    );

    walk::open(&browser, &start("/connections"), "alice").await;
    let logins = world.idp.token_calls("authorization_code").await.len();
    let begin = async || {
        browser.hold_before(Some(&format!("{}/login/callback", world.web())));
        let page = walk::open(&browser, &start("/connections"), "alice").await;
        browser.hold_before(None);
        page.location().unwrap_or_else(|| panic!("sent back: {}", page.describe())).to_string()
    };
    let (one, two) = (begin().await, begin().await);
    assert_ne!(walk::param(&one, "state"), walk::param(&two, "state"));
    let state = walk::param(&one, "state");
    let another = format!("{}{}", &state[..42], if state.ends_with('A') { 'E' } else { 'A' });
    let bad = [
        (walk::with_param(&one, "state", None), 400),
        (walk::with_param(&one, "state", Some(&another)), 400),
        (format!("{one}&state={state}"), 400),
        (format!("{one}&code=other"), 400),
        (walk::with_param(&one, "iss", Some("https://evil.example")), 403),
    ];
    for (url, status) in bad {
        let page = browser.get(&url).await.expect("answers");
        assert_eq!(page.status, status, "{}", page.describe());
    }
    assert_eq!(world.idp.token_calls("authorization_code").await.len(), logins, "nothing was redeemed");

    // A code of one sign-in under the state of another: the challenge does not fit.
    let three = begin().await;
    let crossed = walk::with_param(&three, "code", Some(&walk::param(&two, "code")));
    let page = browser.get(&crossed).await.expect("answers");
    assert!(!is_in(&page) && (400..=503).contains(&page.status), "{}", page.describe());
    let missing = walk::with_param(&begin().await, "iss", None);
    assert_eq!(browser.get(&missing).await.expect("answers").status, 403, "the IdP promises to send it");
    let said_no =
        walk::with_param(&walk::with_param(&begin().await, "code", None), "error", Some("access_denied"));
    let page = browser.get(&said_no).await.expect("answers");
    assert_eq!((page.status, page.title()), (403, "You are not signed in · Token broker"));
    assert!(is_in(&browser.get(&begin().await).await.expect("answers")), "and a good one works");
    world.stop().await;
}
