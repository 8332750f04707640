//! Back-channel logout: whose sessions a token ends, and what it is answered.

use super::{
    house::{Got, House, request, with_form},
    journey::{begin_sign_in, sign_in},
    outside::Outside,
};
use crate::{
    domain::{Clock as _, TenantId, WebSession},
    transport::{listener::Peer, web::cookies},
    usecase::session::LOGIN_UNDER_WAY,
};
use axum::{body::Body, extract::ConnectInfo, http::Method};
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/logout/backchannel/sso";

/// As an identity provider sends it: no cookie, no `Origin`.
async fn tell(house: &House, token: &str) -> Got {
    house.send(with_form(request(Method::POST, PATH, ""), &[("logout_token", token)])).await
}

/// The same from the ingress that everybody comes through.
async fn tell_through_the_ingress(house: &House, token: &str) -> Got {
    let ingress = Peer { address: ([127, 0, 0, 9], 443).into() };
    let request = request(Method::POST, PATH, "").extension(ConnectInfo(ingress));
    house.send(with_form(request, &[("logout_token", token)])).await
}

async fn lives(house: &House, cookie: &str) -> bool {
    house.get("/connections", cookie).await.status == 200
}

fn refused(got: &Got, status: u16, error: &str) {
    assert_eq!((got.status, got.header("content-type")), (status, "application/json"), "{}", got.body);
    assert_eq!(got.header("cache-control"), "no-store");
    let body: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["error"], error);
    assert!(!body["error_description"].as_str().unwrap().is_empty());
}

fn of<'a>(outside: &'a Outside, sid: &'a str) -> impl Fn(&mut WebSession) + 'a {
    move |session| {
        session.issuer.clone_from(&outside.issuer);
        session.sid = sid.to_owned();
    }
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_logout_token_ends_the_session_that_the_sign_in_began_and_no_later_one() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let (alice, bob) = (sign_in(&house, &outside, "alice").await, sign_in(&house, &outside, "bob").await);
    assert!(lives(&house, &alice).await && lives(&house, &bob).await);
    let rows = house.audit_rows().await;
    let token = outside.logout_token(&json!({ "sid": "sid-of-alice", "sub": "alice" }));
    let got = tell(&house, &token).await;
    assert_eq!((got.status, got.body.as_str(), got.header("cache-control")), (200, "", "no-store"));
    assert!(got.set_cookies().is_empty());
    assert!(!lives(&house, &alice).await && lives(&house, &bob).await);
    assert_eq!(house.audit_rows().await, rows + 2, "one event for the logout and one for its session");

    // Sent again: nothing is left to end, and a session that began later is another one.
    house.clock.advance(Duration::from_secs(61));
    let later = house.signed_in_as("alice", of(&outside, "sid-of-alice")).await;
    let rows = house.audit_rows().await;
    assert_eq!(tell(&house, &token).await.status, 200);
    assert!(lives(&house, &later).await);
    assert_eq!(house.audit_rows().await, rows + 1, "what was said, and no session");
    let by_name = outside.logout_token(&json!({ "sub": "alice", "iat": 1_800_000_061 }));
    assert_eq!(tell(&house, &by_name).await.status, 200);
    assert!(!lives(&house, &later).await && lives(&house, &bob).await);
}

/// Proves: CO16
#[tokio::test]
async fn co16_another_issuers_or_tenants_session_of_the_same_sid_goes_on() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let same = |change: fn(&mut WebSession)| {
        let of = of(&outside, "s-1");
        move |session: &mut WebSession| {
            of(session);
            change(session);
        }
    };
    let ours = house.signed_in_as("alice", same(|_| {})).await;
    let second = house.signed_in_as("alice", same(|_| {})).await;
    let others = [
        house.signed_in_as("alice", same(|s| s.issuer = "https://other.example".into())).await,
        house.signed_in_as("alice", same(|s| s.subject.tenant = TenantId::parse("elsewhere").unwrap())).await,
        house.signed_in_as("alice", same(|s| s.sid = "S-1".into())).await,
        house.signed_in_as("alice", same(|s| s.sid = String::new())).await,
        house.signed_in_as("bob", same(|_| {})).await,
    ];
    let token = outside.logout_token(&json!({ "sid": "s-1", "sub": "alice" }));
    assert_eq!(tell(&house, &token).await.status, 200);
    assert!(!lives(&house, &ours).await && !lives(&house, &second).await, "both began from it");
    for (n, other) in others.iter().enumerate() {
        assert!(lives(&house, other).await, "{n}");
    }
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_sign_in_under_way_does_not_outlive_its_logout() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    for (person, named) in [
        ("alice", json!({ "sid": "sid-of-alice" })),
        ("bob", json!({ "sid": "sid-of-bob", "sub": "bob" })),
        ("carol", json!({ "sub": "carol" })),
    ] {
        let (back, login) = begin_sign_in(&house, &outside, person).await;
        assert_eq!(tell(&house, &outside.logout_token(&named)).await.status, 200);
        // The identity provider gives an ID token for the code all the same, a fresh one.
        let got = house.get(&back, &login).await;
        assert_eq!(got.status, 409, "{person}: {}", got.body);
        assert!(got.body.contains("signed out") && got.body.contains("/connections"), "{}", got.body);
        assert!(!got.set_cookies().iter().any(|cookie| cookie.starts_with(cookies::SESSION)), "{person}");
        house.clock.advance(Duration::from_secs(1));
        let again = sign_in(&house, &outside, person).await;
        assert!(
            lives(&house, &again).await,
            "{person}: begun after the logout, although within the skew of clocks"
        );
    }
    let logouts = "UPDATE logouts SET until = until";
    assert_eq!(house.edit(logouts).await, 3);
    house.clock.advance(LOGIN_UNDER_WAY);
    house.rooms.store.sessions.purge(house.clock.now()).await.unwrap();
    assert_eq!(house.edit(logouts).await, 0, "by then no sign-in from before is under way");
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_logout_keeps_no_other_sign_in_out() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let sent_late = json!({ "sid": "sid-of-dave", "iat": 1_799_999_900 });
    let (back, login) = begin_sign_in(&house, &outside, "dave").await;
    for named in [
        sent_late,
        json!({ "sid": "another" }),
        json!({ "sid": "sid-of-dave", "sub": "erin" }),
        json!({ "sub": "erin" }),
    ] {
        assert_eq!(tell(&house, &outside.logout_token(&named)).await.status, 200);
    }
    let got = house.get(&back, &login).await;
    assert_eq!(got.status, 303, "{}", got.body);
}

/// Proves: CO16, VA11
#[tokio::test]
async fn co16_a_row_that_was_edited_does_not_keep_the_others_alive() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let edited = house.signed_in_as("mallory", of(&outside, "s-1")).await;
    let unreadable = house.signed_in_as("trudy", of(&outside, "s-1")).await;
    house.edit("UPDATE web_sessions SET label = 'alice' WHERE subject = 'mallory'").await;
    house.edit("UPDATE web_sessions SET subject = '' WHERE subject = 'trudy'").await;
    let alice = house.signed_in_as("alice", of(&outside, "s-1")).await;
    assert_eq!(tell(&house, &outside.logout_token(&json!({ "sid": "s-1" }))).await.status, 200);
    for cookie in [edited, unreadable, alice] {
        assert!(!lives(&house, &cookie).await);
    }
}

/// Proves: CO16, AU2
#[tokio::test]
async fn co16_a_bad_token_ends_nothing_and_writes_no_row() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let alice = house.signed_in_as("alice", of(&outside, "s-1")).await;
    let rows = house.audit_rows().await;
    let good = outside.logout_token(&json!({ "sid": "s-1" }));
    let elsewhere = with_form(request(Method::POST, "/logout/backchannel/x", ""), &[("logout_token", &good)]);
    refused(&house.send(elsewhere).await, 404, "invalid_request");
    let twice = [("logout_token", good.as_str()), ("logout_token", good.as_str())];
    let long = "a".repeat(9000);
    for fields in [&[][..], &[("logout_token", "")], &[("token", &good)], &twice, &[("logout_token", &long)]]
    {
        let got = house.send(with_form(request(Method::POST, PATH, ""), fields)).await;
        refused(&got, 400, "invalid_request");
    }
    let huge = request(Method::POST, PATH, "").header("content-type", "application/x-www-form-urlencoded");
    refused(&house.send(huge.body(Body::from("a".repeat(20_000))).unwrap()).await, 413, "invalid_request");
    let json = request(Method::POST, PATH, "").header("content-type", "application/json");
    refused(&house.send(json.body(Body::from("{}")).unwrap()).await, 415, "invalid_request");
    for bad in
        ["x", "a.b.c", &good[..good.len() - 2], &outside.logout_token(&json!({ "nonce": "n", "sid": "s-1" }))]
    {
        refused(&tell(&house, bad).await, 400, "invalid_request");
    }
    assert!(lives(&house, &alice).await);
    assert_eq!(house.audit_rows().await, rows, "no row for a refused token");
    assert_eq!(tell(&house, &good).await.status, 200);
    assert!(!lives(&house, &alice).await);
}

/// Behind an ingress everybody has one address.
///
/// Proves: CO16, AV1
#[tokio::test]
async fn co16_strangers_who_flood_with_junk_keep_no_logout_away() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let alice = house.signed_in_as("alice", of(&outside, "s-1")).await;
    let rows = house.audit_rows().await;
    let good = outside.logout_token(&json!({ "sid": "s-1" }));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let many = house.rooms.settings.limits.max_concurrent_verifications as usize + 32;
    let mut tokens: Vec<String> = (0..many).map(|n| format!("{signed}.{n:08}{}", &signature[8..])).collect();
    for junk in &tokens {
        refused(&tell_through_the_ingress(&house, junk).await, 400, "invalid_request");
    }
    assert!(lives(&house, &alice).await);
    tokens.insert(many / 2, good.clone());
    let told =
        futures::future::join_all(tokens.iter().map(|token| tell_through_the_ingress(&house, token))).await;
    for (n, got) in told.iter().enumerate() {
        assert_eq!(got.status, if n == many / 2 { 200 } else { 400 }, "{n}");
    }
    assert!(!lives(&house, &alice).await);
    assert_eq!(house.audit_rows().await, rows + 2, "the logout and its session, and no row for junk");
    let refusals = &house.rooms.refusals;
    let counts: Vec<_> = refusals
        .drain_all()
        .iter()
        .map(|summary| refusals.entry(summary).draft.detail["count"].clone())
        .collect();
    assert!(counts.contains(&(2 * many as u64).into()), "counted all the same: {counts:?}");
}

/// Proves: CO16, AV1
#[tokio::test]
async fn co16_everybodys_logout_at_once_is_served_in_turn() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let more = house.rooms.settings.limits.max_concurrent_verifications + 8;
    let mut cookies = Vec::new();
    for n in 0..more {
        cookies.push(house.signed_in_as("alice", of(&outside, &format!("s-{n}"))).await);
    }
    let tokens: Vec<String> =
        (0..more).map(|n| outside.logout_token(&json!({ "sid": format!("s-{n}") }))).collect();
    let told = futures::future::join_all(tokens.iter().map(|token| tell(&house, token))).await;
    assert!(
        told.iter().all(|got| got.status == 200),
        "{:?}",
        told.iter().map(|got| got.status).collect::<Vec<_>>()
    );
    for cookie in &cookies {
        assert!(!lives(&house, cookie).await);
    }
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_logout_that_cannot_be_stored_is_to_be_sent_again() {
    let outside = Outside::open().await;
    let house = House::open(Some(&outside)).await;
    let alice = house.signed_in_as("alice", of(&outside, "s-1")).await;
    let token = outside.logout_token(&json!({ "sid": "s-1" }));
    house.edit("ALTER TABLE web_sessions RENAME TO away").await;
    let got = tell(&house, &token).await;
    refused(&got, 503, "temporarily_unavailable");
    assert!(!got.header("retry-after").is_empty());
    house.edit("ALTER TABLE away RENAME TO web_sessions").await;
    assert_eq!(tell(&house, &token).await.status, 200);
    assert!(!lives(&house, &alice).await);
}
