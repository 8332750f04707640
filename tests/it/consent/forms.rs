//! Looking changes nothing, and a form counts only from our own page, in the session it was shown in.

use broker_client::proto::ConsentState;
use broker_tests::browser::http_client;
use broker_tests::certified::{ARCHIVE, Certified, READ, SAAS, TOOL};
use broker_tests::walk;

const EVIL: &str = "https://evil.example/page";

/// Proves: CO6
#[tokio::test]
async fn co6_looking_at_a_link_or_its_callback_by_scanner_prefetch_or_head_changes_nothing() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let link = needed.url.expose();
    let events = world.events().await.len();
    let http = http_client();
    for request in [http.get(link), http.head(link), http.get(link).header("sec-purpose", "prefetch")] {
        let status = request.send().await.expect("answers").status();
        assert!(status.is_success() || status.is_redirection(), "{status}");
    }
    assert_eq!(world.events().await.len(), events, "nothing was written");
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Pending);

    let browser = world.browser();
    walk::open(&browser, link, "alice").await;
    let events = world.events().await.len();
    for _ in 0..3 {
        browser.get(link).await.expect("answers");
        browser.get_from(EVIL, link).await.expect("answers");
    }
    for verb in ["approve", "decline", "confirm", "reject"] {
        assert_eq!(
            browser.get(&format!("{link}/{verb}")).await.expect("answers").status,
            405,
            "{verb} by GET"
        );
    }
    assert_eq!(browser.get(&format!("{}/logout", world.web())).await.expect("answers").status, 405);
    assert_eq!(
        (world.events().await.len(), state(&alice, &needed.consent_id).await),
        (events, ConsentState::Pending)
    );

    let page = browser.get(link).await.expect("answers");
    let callback = walk::held(&browser, page, "alice").await;
    let cookies: Vec<String> =
        browser.cookies(&world.web()).iter().map(|(n, v)| format!("{n}={v}")).collect();
    let head = http.head(&callback).header("cookie", cookies.join("; ")).send().await.expect("answers");
    assert!(head.status().is_success());
    assert_eq!(world.saas.token_calls("authorization_code").await.len(), 0, "HEAD spends no code");
    let page = browser.get(&callback).await.expect("answers");
    let events = world.events().await.len();
    for _ in 0..3 {
        browser.get(link).await.expect("answers");
        browser.get(&callback).await.expect("answers");
    }
    assert_eq!(world.events().await.len(), events);
    walk::press(&page, "confirm").await;
    world.stop().await;
}

/// Proves: CO6
#[tokio::test]
async fn co6_a_form_from_elsewhere_or_with_another_token_is_refused() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let link = needed.url.expose();
    let other = alice.needs(ARCHIVE, &[READ]).await;
    let browser = world.browser();
    let foreign = walk::open(&browser, other.url.expose(), "alice").await;
    let page = browser.get(link).await.expect("answers");
    let token = |page: &demo::browser::Page, form: &str| {
        page.form(form).expect("the form").value("csrf").expect("its token").to_owned()
    };
    let approve = token(&page, "/approve");
    let terms = page.form("/approve").expect("the form").value("terms").expect("what was shown").to_owned();
    let target = format!("{link}/approve");

    // From another site, with everything else right.
    let crossed = browser.post_from(EVIL, &target, &[("csrf", &approve)]).await.expect("answers");
    assert_eq!(crossed.status, 403);
    // From our own page, with no token or with one that was made for something else.
    let wrong = [
        String::new(),
        token(&page, "/decline"),
        token(&page, "/logout"),
        token(&foreign, "/approve"),
        format!("{approve}A"),
        approve[1..].to_owned(),
    ];
    for wrong in &wrong {
        let page = browser.post_from(link, &target, &[("csrf", wrong)]).await.expect("answers");
        assert_eq!(page.status, 403, "{}", page.describe());
    }
    assert_eq!(browser.post_from(link, &target, &[]).await.expect("answers").status, 403);
    let doubled = [("csrf", approve.as_str()), ("csrf", approve.as_str())];
    assert_eq!(browser.post_from(link, &target, &doubled).await.expect("answers").status, 400);

    // Another session of the same person: the token was not made for it.
    let second = world.browser();
    walk::open(&second, link, "alice").await;
    let page = second.post_from(link, &target, &[("csrf", &approve)]).await.expect("answers");
    assert_eq!(page.status, 403);

    // Without the headers by which a browser says where a form comes from; with only one of them; with a wrong one.
    let cookies: Vec<String> =
        browser.cookies(&world.web()).iter().map(|(n, v)| format!("{n}={v}")).collect();
    let send = |headers: &[(&'static str, String)]| {
        let fields = [("csrf", &approve), ("terms", &terms)];
        let request = http_client().post(&target).header("cookie", cookies.join("; ")).form(&fields);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, value)).send()
    };
    let (site, origin) = ("sec-fetch-site", "origin");
    let refused: [&[(&'static str, String)]; 6] = [
        &[],
        &[(site, "same-site".into())],
        &[(site, "none".into())],
        &[(origin, "null".into())],
        &[(origin, world.web()), (site, "cross-site".into())],
        &[(origin, "https://evil.example".into()), (site, "same-origin".into())],
    ];
    for headers in refused {
        assert_eq!(send(headers).await.expect("answers").status(), 403, "{headers:?}");
    }
    // A yes to other terms than the page shows now is no yes.
    for terms in ["", "another"] {
        let fields = [("csrf", approve.as_str()), ("terms", terms)];
        assert_eq!(browser.post_from(link, &target, &fields).await.expect("answers").status, 409);
    }
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Pending, "none of them counted");
    assert_eq!(world.count("consent.approved").await, 0);
    assert_eq!(send(&[(origin, world.web())]).await.expect("answers").status(), 200);
    assert_eq!(state(&alice, &needed.consent_id).await, ConsentState::Approved);
    world.stop().await;
}

/// Sending a form twice, or too late, shows how it stands.
/// Proves: CO6
#[tokio::test]
async fn co6_a_form_sent_twice_shows_the_outcome() {
    let world = Certified::start().await;
    let alice = world.user("alice", TOOL).await;
    let needed = alice.needs(SAAS, &[READ]).await;
    let browser = world.browser();
    let page = walk::to_confirmation(&browser, needed.url.expose(), "alice", "alice").await;
    for _ in 0..2 {
        assert_eq!(walk::press(&page, "confirm").await.title(), "Done · Token broker");
    }
    assert_eq!(walk::press(&page, "reject").await.title(), "Done · Token broker", "too late to say no here");
    assert_eq!(world.count("consent.completed").await, 1);
    alice.grant(SAAS, &[READ]).await;
    world.stop().await;
}

async fn state(user: &broker_tests::certified::User, consent: &str) -> ConsentState {
    user.client.get_consent(consent, None).await.expect("the consent").state()
}
