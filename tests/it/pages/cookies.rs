use super::house::House;
use demo::world::{ALICE, Workload::TicketHelper};

const SESSION: &str = "__Host-broker-session";
const BROWSER: &str = "__Host-broker-browser";

/// Proves: CO16
#[tokio::test]
async fn co16_a_cookie_that_we_did_not_set_so_is_no_session() {
    let house = House::open().await;
    let (link, handle) = house.consent(&ALICE, TicketHelper).await;
    let (alice, page) = house.visitor(&ALICE, &link).await;
    let value_of = |name: &str| {
        alice.browser.cookies(&house.origin()).into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    };
    let session = value_of(SESSION).expect("signed in");
    let csrf = page.form("/approve").expect("a form").value("csrf").expect("a token").to_owned();
    let mut flipped = session.clone().into_bytes();
    flipped[5] = if flipped[5] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("ASCII");
    let mut bad = vec![
        format!("{SESSION}="),
        format!("{SESSION}=x"),
        format!("{SESSION}={flipped}"),
        format!("{SESSION}={}", &session[1..]),
        format!("{SESSION}={session}x"),
        format!("{SESSION}=\"{session}\""),
        format!("{SESSION}={session}; {SESSION}={session}"),
        format!("{SESSION}=x; {SESSION}={session}"),
        format!("{BROWSER}={session}"),
        format!("__host-broker-session={session}"),
        format!("broker-session={session}"),
        format!("{SESSION}={csrf}"),
        format!("{SESSION}={}", "A".repeat(43)),
        format!("{SESSION}={}", "A".repeat(8192)),
        format!("{SESSION}=%00"),
        format!("{SESSION}=\u{ff}"),
        ";;;===".to_owned(),
        format!("{SESSION}='--"),
        format!("{SESSION}=../../x"),
        format!("{SESSION} ={session}x"),
        "a=b; ".repeat(1000),
    ];
    bad.push(format!("__Host-broker-login-AAAAAAAA={csrf}; __Host-broker-note={csrf}"));
    for cookies in &bad {
        let what = format!("{cookies:.80}");
        for path in ["/connections".to_owned(), format!("/consent/{handle}")] {
            let reply = house.get(&path, &[("cookie", cookies)]).await;
            reply.check_headers(&what);
            let to = reply.header("location").unwrap_or_else(|| panic!("{what}: {}", reply.status));
            assert!(reply.status == 303 && to.starts_with("/login/start?"), "{what}: {to}");
        }
        house
            .post(&format!("/consent/{handle}/approve"), cookies, &format!("csrf={csrf}"))
            .await
            .check_error(&what, 403);
        let callback = house
            .get(&format!("/login/callback?state={}&code=c", "A".repeat(43)), &[("cookie", cookies)])
            .await;
        callback.check_error(&what, 400);
    }
    let reply = house.get("/connections", &[("cookie", &format!("{SESSION}={session}"))]).await;
    assert_eq!(reply.status, 200, "the real one works");
    house.close().await;
}

/// Proves: CO3, CO16
#[tokio::test]
async fn co16_a_login_begun_elsewhere_or_sealed_for_another_cookie_makes_no_session() {
    let house = House::open().await;
    let begin = async || {
        let reply = house.get("/login/start?realm=staff", &[]).await;
        let to = url::Url::parse(reply.header("location").expect("a location")).expect("a URL");
        let state = to.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        let cookie =
            reply.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
        (state, cookie)
    };
    let ((mine, my_cookie), (other, other_cookie)) = (begin().await, begin().await);
    let (my_name, my_value) = my_cookie.split_once('=').expect("a pair");
    let (other_name, other_value) = other_cookie.split_once('=').expect("a pair");
    for (what, state, cookie) in [
        ("no cookie", &mine, String::new()),
        ("another's cookie", &mine, other_cookie.clone()),
        ("another's value under my name", &mine, format!("{my_name}={other_value}")),
        ("my value under another's name", &other, format!("{other_name}={my_value}")),
        ("twice", &mine, format!("{my_cookie}; {my_cookie}")),
        ("same beginning, another state", &format!("{}{}", &mine[..20], "A".repeat(23)), my_cookie.clone()),
        ("as a session", &mine, format!("{SESSION}={my_value}")),
    ] {
        let reply = house.get(&format!("/login/callback?state={state}&code=c"), &[("cookie", &cookie)]).await;
        reply.check_error(what, 400);
    }
    // After its ten minutes it is worth nothing either.
    house.rpc.clock.advance(std::time::Duration::from_secs(3600));
    let reply = house.get(&format!("/login/callback?state={mine}&code=c"), &[("cookie", &my_cookie)]).await;
    reply.check_error("too late", 400);
    house.close().await;
}

/// Proves: CO16
#[tokio::test]
async fn co16_every_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts() {
    let house = House::open().await;
    let reply = house.get("/login/start?realm=staff", &[]).await;
    let cookie = reply.header("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__Host-"), "{cookie}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{attribute}: {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    house.close().await;
}
