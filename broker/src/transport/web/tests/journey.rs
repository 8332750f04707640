//! The way through the pages, with an identity provider and a notes service on this machine.

use super::{
    house::{Got, House},
    outside::{Outside, query, sso_answer},
};
use crate::{
    domain::{ConsentState, Reason},
    transport::web::cookies,
};
use std::time::Duration;
use url::Url;

/// The `name=value` parts of what was set, as the browser sends them back.
fn kept(got: &Got) -> String {
    let pairs: Vec<&str> = got.set_cookies().into_iter().filter(|c| !c.contains("Max-Age=0")).collect();
    pairs.iter().map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

fn refresh_target(got: &Got) -> Url {
    let rest = got.body.split_once("content=\"0;url=").unwrap().1;
    rest.split_once('"').unwrap().0.replace("&amp;", "&").parse().unwrap()
}

/// From a link to the identity provider: where the browser is sent, and its cookies.
async fn begin(house: &House, path: &str, cookies: &str) -> (Url, String) {
    let to_login = house.get(path, cookies).await;
    assert_eq!(to_login.status, 303, "{}", to_login.body);
    let to_sso = house.get(to_login.location(), cookies).await;
    assert_eq!(to_sso.status, 303, "{}", to_sso.body);
    (to_sso.location().parse().unwrap(), kept(&to_sso))
}

/// A sign-in of `name` that the identity provider has answered: the way back, and its cookies.
pub(super) async fn begin_sign_in(house: &House, outside: &Outside, name: &str) -> (String, String) {
    let (authorize, login) = begin(house, "/connections", "").await;
    (format!("/login/callback?{}", sso_answer(&authorize, name, &outside.issuer)), login)
}

/// A whole sign-in; answers with the session's cookie.
pub(super) async fn sign_in(house: &House, outside: &Outside, name: &str) -> String {
    let (back, login) = begin_sign_in(house, outside, name).await;
    let got = house.get(&back, &login).await;
    assert_eq!(got.status, 303, "{}", got.body);
    kept(&got)
}

/// Proves: CO16
#[tokio::test]
async fn co16_signing_in_ends_where_it_began_with_a_fresh_session() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let handle = house.consent_for("alice").await;
    let rows = house.audit_rows().await;
    let (authorize, login) = begin(&house, &format!("/consent/{handle}"), "").await;
    assert_eq!(house.audit_rows().await, rows, "nothing is recorded before it is known who it is (AU2)");
    let answer = sso_answer(&authorize, "alice", &outside.issuer);
    let got = house.get(&format!("/login/callback?{answer}"), &login).await;
    assert_eq!((got.status, got.location()), (303, format!("/consent/{handle}").as_str()), "{}", got.body);
    let session = got.set_cookies().into_iter().find(|c| c.starts_with(cookies::SESSION)).unwrap();
    for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        assert!(session.contains(attribute), "{session}");
    }
    let page = house.get(&format!("/consent/{handle}"), &kept(&got)).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Meeting assistant") && page.body.contains("Read your notes"));

    // Again in the same browser: another session id, and the earlier one is over.
    let first = kept(&got);
    let start = house.get("/login/start?realm=staff&return=/connections", &first).await;
    let (authorize, login) = (start.location().parse().unwrap(), kept(&start));
    let answer = sso_answer(&authorize, "alice", &outside.issuer);
    let again = house.get(&format!("/login/callback?{answer}"), &format!("{first}; {login}")).await;
    assert_eq!((again.status, again.location()), (303, "/connections"));
    assert_ne!(kept(&again), first);
    assert_eq!(house.get("/connections", &first).await.status, 303, "the earlier session is over");
    assert_eq!(house.get("/connections", &kept(&again)).await.status, 200);
    // Idle for half an hour: over.
    house.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(house.get("/connections", &kept(&again)).await.status, 303);
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_callback_in_a_browser_that_did_not_start_it_creates_no_session() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let rows = house.audit_rows().await;
    let (authorize, login) = begin(&house, "/connections", "").await;
    let path = |iss: &str| format!("/login/callback?{}", sso_answer(&authorize, "mallory", iss));
    let good = path(&outside.issuer);
    let other_login = begin(&house, "/connections", "").await.1;
    // No cookie; another sign-in's cookie; another sign-in's value under this one's name.
    let renamed = format!("{}={}", login.split_once('=').unwrap().0, other_login.split_once('=').unwrap().1);
    for cookies in ["", &other_login, &renamed] {
        let got = house.get(&good, cookies).await;
        assert_eq!(got.status, 400, "{cookies}");
        assert!(got.body.contains("did not begin in this browser"));
        assert!(got.set_cookies().is_empty());
    }
    // RFC 9207: another issuer's answer, and one without the `iss` that was promised.
    for bad in [path("https://evil.example"), good.replace("&iss=", "&was=")] {
        let got = house.get(&bad, &login).await;
        assert_eq!(got.status, 403);
        assert!(!got.set_cookies().iter().any(|cookie| cookie.starts_with(cookies::SESSION)));
        assert!(got.set_cookies().iter().any(|cookie| cookie.starts_with(cookies::LOGIN)), "spent");
    }
    assert_eq!(house.audit_rows().await, rows);
    // Too late.
    house.clock.advance(Duration::from_secs(600));
    assert_eq!(house.get(&good, &login).await.status, 400);
}

#[tokio::test]
async fn the_identity_providers_words_are_shown_as_text() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let (authorize, login) = begin(&house, "/connections", "").await;
    let state = authorize.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let said = "<b>no\u{202e}</b>";
    let refused = query(&[("error", "access_denied"), ("error_description", said), ("state", &state)]);
    let got = house.get(&format!("/login/callback?{refused}"), &login).await;
    assert_eq!(got.status, 403);
    assert!(got.body.contains("&lt;b&gt;no&lt;/b&gt;"));
}

/// From consent to disconnect. Proves each step's redirects, cookies and pages on the way.
/// Proves: CO6, CO11
#[tokio::test]
async fn co6_co11_allow_confirm_and_disconnect() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let alice = house.signed_in("alice").await;
    let handle = house.consent_for("alice").await;
    let page = format!("/consent/{handle}");
    let step = |verb: &str| format!("{page}/{verb}");

    let asked = house.get(&page, &alice).await;
    let left = house
        .post(
            &step("approve"),
            &alice,
            &[("csrf", &asked.token(&step("approve"))), ("terms", &asked.terms())],
        )
        .await;
    assert_eq!((left.status, left.header("referrer-policy")), (200, "no-referrer"), "{}", left.body);
    let leave = refresh_target(&left);
    assert!(leave.path().ends_with("/notes/authorize"));
    let state = leave.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let browser = format!("{alice}; {}", kept(&left));
    assert!(kept(&left).starts_with(cookies::BROWSER));

    let back = format!("/oauth/callback/notes?{}", query(&[("code", "good-code"), ("state", &state)]));
    // Another browser of the same person: explained, nothing stored (CO3).
    let elsewhere = house.get(&back, &alice).await;
    assert_eq!(elsewhere.status, 403);
    assert!(elsewhere.body.contains("where you began"));
    assert!(matches!(house.stored(&handle).await.state, ConsentState::Approved { .. }));
    // Somebody else, with alice's binding even: nothing (CO2).
    let bob = house.signed_in("bob").await;
    let stolen = house.get(&back, &format!("{bob}; {}", kept(&left))).await;
    assert_eq!(stolen.status, 403);
    assert!(!stolen.body.contains("Acme Notes"));

    // The right browser; then the callback reloaded: the outcome, not a scare.
    for _ in 0..2 {
        let got = house.get(&back, &browser).await;
        assert_eq!((got.status, got.location()), (303, page.as_str()), "{}", got.body);
    }
    let confirm = house.get(&page, &browser).await;
    assert!(confirm.body.contains("alice-w"), "{}", confirm.body);
    assert!(
        house.get(&page, &alice).await.body.contains("where you began"),
        "confirmed where it was approved"
    );
    let token = confirm.token(&step("confirm"));
    let done = house.post(&step("confirm"), &browser, &[("csrf", &token)]).await;
    assert_eq!((done.status, done.location()), (303, page.as_str()), "{}", done.body);
    // The form sent twice shows the outcome.
    let twice = house.post(&step("confirm"), &browser, &[("csrf", &token)]).await;
    assert_eq!((twice.status, twice.location()), (303, page.as_str()));
    assert!(house.get(&back, &browser).await.location() == page);
    let shown = house.get(&page, &browser).await;
    assert!(shown.body.contains("may now use") && shown.body.contains("alice-w"));

    disconnect(&house, &alice, &bob).await;
}

async fn disconnect(house: &House, alice: &str, bob: &str) {
    let list = house.get("/connections", alice).await;
    for part in ["Acme Notes", "alice-w", "Working", "Meeting assistant", "Read your notes"] {
        assert!(list.body.contains(part), "{part}");
    }
    let path =
        list.body.split("href=\"").find(|p| p.contains("/disconnect\"")).unwrap().split('"').next().unwrap();
    assert_eq!(house.get(path, bob).await.status, 404);
    let ask = house.get(path, alice).await;
    assert!(ask.body.contains("Disconnect"));
    assert!(house.get("/connections", alice).await.body.contains("alice-w"), "asking ends nothing");
    let token = ask.token(path);
    assert_eq!(house.post(path, bob, &[("csrf", &token)]).await.status, 403);
    let ended = house.post(path, alice, &[("csrf", &token)]).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert!(ended.body.contains("confirmed that the access has ended there too"));
    assert!(house.get("/connections", alice).await.body.contains("Nothing is connected"));
}

/// Proves: CO12
#[tokio::test]
async fn co12_a_refusal_at_the_provider_is_shown_with_its_words_once() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let alice = house.signed_in("alice").await;
    for (error, title, failed) in [
        ("access_denied", "Declined", None),
        ("server_error", "did not work", Some(Reason::ProviderUnavailable)),
    ] {
        let handle = house.consent_for("alice").await;
        let page = format!("/consent/{handle}");
        let approve = format!("{page}/approve");
        let asked = house.get(&page, &alice).await;
        let left = house
            .post(&approve, &alice, &[("csrf", &asked.token(&approve)), ("terms", &asked.terms())])
            .await;
        let state = refresh_target(&left).query_pairs().find(|(n, _)| n == "state").unwrap().1.into_owned();
        let said = "<script>x()</script> not today";
        // Latin-1, as some providers send: words for people are no reason to lose the outcome.
        let parameters = query(&[("error", error), ("error_description", said), ("state", &state)]);
        let parameters = parameters.replace("+today", "+today+%e4");
        let browser = format!("{alice}; {}", kept(&left));
        let got = house.get(&format!("/oauth/callback/notes?{parameters}"), &browser).await;
        assert_eq!((got.status, got.location()), (303, page.as_str()), "{}", got.body);
        let shown = house.get(&page, &format!("{browser}; {}", kept(&got))).await;
        assert!(shown.body.contains(title) && shown.body.contains("not today"), "{}", shown.body);
        assert!(!shown.body.contains("<script"));
        let without = house.get(&page, &browser).await;
        assert!(without.body.contains(title) && !without.body.contains("not today"));
        let state = house.stored(&handle).await.state;
        match failed {
            None => assert!(matches!(state, ConsentState::Declined { .. })),
            Some(wanted) => assert!(matches!(state, ConsentState::Failed { reason, .. } if reason == wanted)),
        }
    }
}

/// Proves: CO2
#[tokio::test]
async fn co2_the_wrong_person_can_switch_and_the_link_is_not_burnt() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let (alice, bob) = (house.signed_in("alice").await, house.signed_in("bob").await);
    let handle = house.consent_for("alice").await;
    let page = format!("/consent/{handle}");
    let rows = house.audit_rows().await;
    let got = house.get(&page, &bob).await;
    assert_eq!(got.status, 403);
    assert_eq!(house.audit_rows().await, rows + 1, "the visit is recorded");
    for secret in ["Acme Notes", "Meeting assistant", "summarise", "alice"] {
        assert!(!got.body.contains(secret), "{secret}");
    }
    assert_eq!(house.stored(&handle).await.mismatches, 1);
    let token = got.token("/login/switch");
    let switched = house.post("/login/switch", &bob, &[("csrf", &token), ("return", &page)]).await;
    assert_eq!(switched.status, 200, "{}", switched.body);
    let authorize = refresh_target(&switched);
    assert!(authorize.query_pairs().any(|(n, v)| n == "prompt" && v == "login"));
    assert_eq!(house.get("/connections", &bob).await.status, 303, "the session is over");
    let answer = sso_answer(&authorize, "alice", &outside.issuer);
    let back = house.get(&format!("/login/callback?{answer}"), &kept(&switched)).await;
    assert_eq!(back.location(), page);
    assert_eq!(house.get(&page, &kept(&back)).await.status, 200);
    assert_eq!(house.get(&page, &alice).await.status, 200);
}
