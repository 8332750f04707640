//! Callbacks that are replayed, mixed up, tampered with or doubled.

use broker_client::proto::ConsentState;
use broker_tests::certified::{ARCHIVE, Certified, READ, SAAS, TOOL, User, WRITE};
use broker_tests::walk;

/// Proves: CO3, CO6
#[tokio::test]
async fn co3_a_replayed_callback_shows_the_outcome_and_exchanges_nothing_again() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let browser = world.browser();
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    let twice = tokio::join!(browser.get(&callback), browser.get(&callback));
    assert!(twice.0.is_ok_and(|page| page.status == 200) && twice.1.is_ok_and(|page| page.status == 200));
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 1);
    let page = browser.get(&callback).await.expect("answers");
    assert_eq!((page.status, page.title()), (200, "Is this the right account? · Token broker"));
    walk::press(&page, "confirm").await;
    let page = browser.get(&callback).await.expect("answers");
    assert_eq!((page.status, page.title()), (200, "Done · Token broker"));
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 1);
    let decided = ("consent.exchange".to_owned(), String::new());
    assert_eq!(world.events().await.iter().filter(|event| **event == decided).count(), 1, "decided once");
    world.stop().await;
}

/// Each is refused before any token request, and none of them spends the consent.
/// Proves: CO3, CO5, CO6
#[tokio::test]
async fn co5_tampered_doubled_and_misdirected_callbacks_reach_no_token_endpoint() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let browser = world.browser();
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    let state_value = walk::param(&callback, "state");
    assert_eq!(state_value.len(), 43, "256 bits");
    let mut flipped = state_value.clone().into_bytes();
    flipped[0] = if flipped[0] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("ASCII");
    let crafted = [
        (callback.replace("/callback/saas", "/callback/archive"), 404),
        (callback.replace("/callback/saas", "/callback/nobody"), 404),
        (walk::with_param(&callback, "state", Some(&flipped)), 404),
        (walk::with_param(&callback, "state", Some(&format!("{state_value}A"))), 404),
        (walk::with_param(&callback, "state", Some(&state_value[..42])), 404),
        (walk::with_param(&callback, "state", Some("")), 400),
        (walk::with_param(&callback, "state", None), 400),
        (format!("{callback}&state={state_value}"), 400),
        (format!("{callback}&code=another"), 400),
        (format!("{callback}&iss=http%3A%2F%2Fevil.example"), 400),
        (walk::with_param(&callback, "code", Some(&"a".repeat(9000))), 400),
    ];
    for (url, status) in crafted {
        let page = browser.get(&url).await.expect("answers");
        assert_eq!(page.status, status, "{}", page.describe());
        assert!(!page.html().contains(&state_value));
    }
    // An answer by form (`response_mode=form_post`) is none, from the provider's own origin or ours.
    for from in [world.saas.issuer(), &world.web()] {
        let (code, target) = (walk::param(&callback, "code"), format!("{}/oauth/callback/saas", world.web()));
        let fields = [("state", state_value.as_str()), ("code", &code), ("iss", world.saas.issuer())];
        assert_eq!(browser.post_from(from, &target, &fields).await.expect("answers").status, 405);
    }
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0);
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Approved, "nothing was spent");
    let page = browser.get(&callback).await.expect("answers");
    walk::press(&page, "confirm").await;
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Completed);
    world.stop().await;
}

/// Proves: CO5, CO12
#[tokio::test]
async fn co5_a_wrong_or_missing_iss_ends_the_consent_before_any_token_request() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let idp = world.idp.issuer().to_owned();
    let slashed = format!("{}/", world.saas.issuer());
    for iss in [Some(idp.as_str()), Some(slashed.as_str()), Some(""), None] {
        let needed = alice.needs(SAAS, &[READ]).await;
        let browser = world.browser();
        let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
        let page = browser.get(&walk::with_param(&callback, "iss", iss)).await.expect("answers");
        assert_eq!((page.status, page.title()), (200, "This did not work · Token broker"), "{iss:?}");
        assert!(!page.html().contains(&idp));
        let consent = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
        assert_eq!(
            (consent.state(), consent.reason.as_str()),
            (ConsentState::Failed, "CONSENT_ISSUER_MISMATCH")
        );
        // Nor does the true callback work afterwards.
        let page = browser.get(&callback).await.expect("answers");
        assert_eq!(page.title(), "This did not work · Token broker");
    }
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0);
    let failed = ("consent.failed".to_owned(), "CONSENT_ISSUER_MISMATCH".to_owned());
    assert_eq!(world.events().await.iter().filter(|event| **event == failed).count(), 4);
    world.stop().await;
}

/// One `iss` need not be there for a provider that does not promise it; a wrong one is refused all the same.
/// Proves: CO5
#[tokio::test]
async fn co5_an_unpromised_iss_is_checked_when_it_is_there() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(ARCHIVE, &[READ]).await;
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    let wrong = walk::with_param(&callback, "iss", Some("https://evil.example"));
    assert_eq!(browser.get(&wrong).await.expect("answers").title(), "This did not work · Token broker");
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0);
    let needed = alice.needs(ARCHIVE, &[READ]).await;
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    let page = browser.get(&walk::with_param(&callback, "iss", None)).await.expect("answers");
    walk::press(&page, "confirm").await;
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Completed);
    world.stop().await;
}

/// A code planted under the state of another consent does not match that consent's challenge: the peer refuses it.
/// Proves: CO3, CO4
#[tokio::test]
async fn co4_a_code_under_the_state_of_another_consent_is_refused_by_its_challenge() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let (narrow, wide) = (alice.needs(SAAS, &[READ]).await, alice.needs(SAAS, &[READ, WRITE]).await);
    assert_ne!(narrow.url.expose(), wide.url.expose());
    let browser = world.browser();
    let first = walk::to_callback(&browser, narrow.url.expose(), "alice", "alice").await;
    let second = walk::to_callback(&browser, wide.url.expose(), "alice", "alice").await;
    let planted = walk::with_param(&second, "code", Some(&walk::param(&first, "code")));
    let page = browser.get(&planted).await.expect("answers");
    assert_eq!(page.title(), "This did not work · Token broker", "{}", page.describe());
    let calls = world.saas.token_calls("authorization_code").await;
    assert_eq!((calls.len(), calls[0].error.as_deref()), (1, Some("invalid_grant")));
    assert_eq!(state(&alice, &wide.consent_id).await, ConsentState::Failed);
    assert_eq!(state(&alice, &narrow.consent_id).await, ConsentState::Approved, "the other one stands");
    alice.needs(SAAS, &[READ]).await;
    world.stop().await;
}

/// Proves: CO12
#[tokio::test]
async fn co12_a_refusal_at_the_provider_is_terminal_told_in_its_words_and_can_be_retried() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[READ]).await;
    let page = walk::open(&browser, needed.url.expose(), "alice").await;
    let page = walk::press(&page, "approve").await;
    let page = page.click("[ Cancel ]").await.expect("back at the broker");
    assert_eq!((page.status, page.title()), (200, "Declined · Token broker"), "{}", page.describe());
    assert!(walk::words(&page).contains("End-User aborted interaction"), "{}", page.describe());
    let consent = alice.client.get_consent(&needed.consent_id, None).await.expect("the consent");
    assert_eq!((consent.state(), consent.reason.as_str()), (ConsentState::Declined, "CONSENT_DECLINED"));

    let again = alice.needs(SAAS, &[READ]).await;
    assert_ne!(again.url.expose(), needed.url.expose(), "a new attempt");
    let callback = walk::to_callback(&browser, again.url.expose(), "alice", "alice").await;
    let broken = walk::with_param(&callback, "code", None);
    let broken = walk::with_param(&broken, "error", Some("server_error"));
    let hostile = "Ring <b>555</b> or <script>alert(1)</script> \u{202e}now";
    let page =
        browser.get(&walk::with_param(&broken, "error_description", Some(hostile))).await.expect("answers");
    assert_eq!((page.status, page.title()), (200, "This did not work · Token broker"));
    assert!(page.text().contains("Ring <b>555</b>"), "as text: {}", page.describe());
    assert!(!page.html().contains("<script") && !page.html().contains('\u{202e}'));
    let consent = alice.client.get_consent(&again.consent_id, None).await.expect("the consent");
    assert_eq!((consent.state(), consent.reason.as_str()), (ConsentState::Failed, "PROVIDER_UNAVAILABLE"));
    let reloaded = browser.get(again.url.expose()).await.expect("answers");
    assert!(!reloaded.text().contains("555"), "shown once");
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0);
    assert_eq!((world.count("consent.declined").await, world.count("consent.failed").await), (1, 1));

    let third = alice.needs(SAAS, &[READ]).await;
    walk::connect(&browser, third.url.expose(), "alice", "alice").await;
    alice.grant(SAAS, &[READ]).await;
    world.stop().await;
}

/// Proves: CO6
#[tokio::test]
async fn co6_reloading_a_callback_that_said_no_shows_the_outcome() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let browser = world.browser();
    let needed = alice.needs(SAAS, &[READ]).await;
    let callback = walk::to_callback(&browser, needed.url.expose(), "alice", "alice").await;
    let no = walk::with_param(&walk::with_param(&callback, "code", None), "error", Some("access_denied"));
    for _ in 0..2 {
        let page = browser.get(&no).await.expect("answers");
        assert_eq!((page.status, page.title()), (200, "Declined · Token broker"), "{}", page.describe());
    }
    world.stop().await;
}

async fn state(user: &User, consent: &str) -> ConsentState {
    user.client.get_consent(consent, None).await.expect("the consent").state()
}
