//! Everything at every form: bodies that no form of ours sends, and cookies that we never set so.

use super::scene::{FORM, Scene, check_harmless};
use broker_client::proto::ConsentState;
use broker_tests::composite::both;
use broker_tests::http1;
use demo::world::ALICE;

const BROWSER: &str = "__Host-broker-browser";

/// Bodies that no form of ours sends, with a true token where there is one; and how each is answered.
fn hostile(token: &str) -> Vec<(&'static str, Vec<u8>, u16)> {
    let huge = "a".repeat(3_000_000);
    vec![
        (FORM, b"".to_vec(), 403),
        (FORM, b"csrf".to_vec(), 403),
        (FORM, b"csrf=%3Cscript%3Exss-mark".to_vec(), 403),
        (FORM, b"csrf=%00%0d%0aX-Injected:%20xss-mark".to_vec(), 403),
        (FORM, "csrf=\u{202e}".into(), 403),
        (FORM, b"csrf=%ff%fe".to_vec(), 400),
        (FORM, vec![b'c', b's', b'r', b'f', b'=', 0xff, 0xfe], 400),
        (FORM, format!("csrf={token}&csrf={token}").into(), 400),
        (FORM, format!("csrf={token}&{}", "x=y&".repeat(40)).into(), 400),
        (FORM, format!("csrf={token}&x={}", "a".repeat(9000)).into(), 400),
        (FORM, format!("csrf={token}&x={}", "a".repeat(20_000)).into(), 413),
        (FORM, format!("csrf={token}&x={huge}").into(), 413),
        (FORM, format!("csrf[]={token}").into(), 403),
        (FORM, format!("CSRF={token}").into(), 403),
        (FORM, format!("csrf= {token}").into(), 403),
        ("application/json", format!("{{\"csrf\":\"{token}\"}}").into(), 415),
        ("text/plain", format!("csrf={token}").into(), 415),
        ("multipart/form-data; boundary=x", format!("--x\r\n\r\ncsrf={token}").into(), 415),
        ("\u{202e}", format!("csrf={token}").into(), 415),
        ("application/x-www-form-urlencoded, text/plain", format!("csrf={token}").into(), 415),
    ]
}

/// Nothing of it does anything at these forms, and a token for one is none for another.
async fn check_forms(scene: &Scene, forms: &[(String, String)]) {
    for (action, page) in forms {
        let token = scene.token(page, action).await;
        for (kind, body, status) in hostile(&token) {
            let what = format!("{action} {kind} {:.60}", String::from_utf8_lossy(&body));
            let reply = scene.post_with(action, kind, &scene.cookies(), &body).await;
            check_harmless(&reply, &what);
            reply.check_error(&what, status);
        }
        for (other, page) in forms.iter().filter(|(other, _)| other != action) {
            let token = scene.token(page, other).await;
            scene
                .post(action, &format!("csrf={token}"))
                .await
                .check_error(&format!("{other} at {action}"), 403);
        }
    }
}

/// Proves: CO6, CO9
#[tokio::test]
async fn co6_no_body_at_any_form_does_anything_or_comes_back() {
    let scene = Scene::set().await;
    let before = scene.events().await;
    check_forms(&scene, &scene.forms()).await;
    // Nobody has shown her another one's link, so she has no form for this.
    for (kind, body, _) in hostile("x") {
        let what = format!("switch {kind} {:.60}", String::from_utf8_lossy(&body));
        let reply = scene.post_with("/login/switch", kind, &scene.cookies(), &body).await;
        check_harmless(&reply, &what);
        assert!(matches!(reply.status, 400 | 403 | 413 | 415), "{what}: {}", reply.status);
    }
    scene.check_untouched(before).await;
    scene.end().await;
}

/// Proves: CO6, CO11
#[tokio::test]
async fn co6_no_body_confirms_or_rejects_an_account() {
    let scene = Scene::set().await;
    scene.bring_an_account().await;
    let before = scene.events().await;
    let consent = format!("/consent/{}", scene.consent);
    let forms = ["confirm", "reject"].map(|what| (format!("{consent}/{what}"), consent.clone()));
    check_forms(&scene, &forms).await;
    assert_eq!((scene.events().await, scene.state().await), (before, ConsentState::AwaitingConfirmation));
    scene.end().await;
}

/// The right form, filled in by somebody else.
/// Proves: CO6, CO9, CO16
#[tokio::test]
async fn co6_a_true_token_does_not_carry_false_fields() {
    let scene = Scene::set().await;
    let before = scene.events().await;
    let (consent, list) = (format!("/consent/{}", scene.consent), "/connections".to_owned());
    let approve = format!("{consent}/approve");
    let token = scene.token(&consent, &approve).await;
    let terms = {
        let page = scene.page(&consent).await;
        page.form(&approve).expect("the form").value("terms").expect("what it says").to_owned()
    };
    let upper = terms.to_uppercase();
    for (fields, status) in [
        ("".to_owned(), 409),
        ("terms=".to_owned(), 409),
        ("terms=xss-mark".to_owned(), 409),
        (format!("terms={}", &terms[1..]), 409),
        (format!("terms={terms}%00"), 400),
        (format!("terms={}%20", &terms[1..]), 409),
        (format!("terms={terms}&terms={terms}"), 400),
        (format!("terms={}", "a".repeat(65)), 400),
        ("terms=%ff".to_owned(), 400),
        (format!("terms={terms}&connection=xss-mark"), 400),
        (format!("terms={terms}&connection=con_%00"), 400),
        (format!("terms={terms}&connection={}", "a".repeat(65)), 400),
        ("terms=x&connection=%E2%80%AE".to_owned(), 400),
        (format!("terms={upper}"), 409),
    ] {
        let reply = scene.post(&approve, &format!("csrf={token}&{fields}")).await;
        let what = format!("approve {fields:.60}");
        check_harmless(&reply, &what);
        reply.check_error(&what, status);
    }
    // The token for ending one connection ends no other.
    let disconnect = format!("/connections/{}/disconnect", scene.connection);
    let token = scene.token(&disconnect, &disconnect).await;
    for other in
        ["con_00000000000000000000000000", "x", "%3Cscript%3Exss-mark", "%00", "%ff", "con_", "..%2fcon_x"]
    {
        let reply = scene.post(&format!("/connections/{other}/disconnect"), &format!("csrf={token}")).await;
        check_harmless(&reply, other);
        assert!(matches!(reply.status, 403 | 404), "{other}: {}", reply.status);
    }
    // Switching leads to our own pages alone, and needs the form of somebody else's link.
    for back in [
        "//evil.example",
        "/connections/../..",
        "%00",
        "%ff",
        "/consents/xss-mark",
        &format!("/consents/{}", scene.parent),
        "",
    ] {
        let reply = scene.post("/login/switch", &format!("csrf={token}&return={back}")).await;
        check_harmless(&reply, back);
        assert!(matches!(reply.status, 400 | 403), "{back}: {}", reply.status);
    }
    scene.post("/login/switch", "csrf=x").await.check_error("no way back", 400);
    // The parent page takes no forms.
    for path in [format!("/consents/{}", scene.parent), format!("/consents/{}/approve", scene.parent)] {
        let status = if path.ends_with("approve") { 404 } else { 405 };
        scene.post(&path, &format!("csrf={token}")).await.check_error(&path, status);
    }
    assert_eq!(scene.page(&list).await.status, 200);
    scene.check_untouched(before).await;
    scene.end().await;
}

/// A neighbour on a sister domain, or an older page, put cookies beside ours.
/// Proves: CO2, CO3, CO16
#[tokio::test]
async fn co3_tossed_doubled_and_foreign_cookies_are_none_at_every_page() {
    let scene = Scene::set().await;
    let page = scene.bring_an_account().await;
    let token = page.form("/confirm").expect("to be confirmed").value("csrf").expect("a token").to_owned();
    let before = scene.events().await;
    let held = scene.browser.cookies(&scene.origin());
    let value =
        |name: &str| held.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).expect(name);
    let (session, binding) = (value("__Host-broker-session"), value(BROWSER));
    let (path, confirm) =
        (format!("/consent/{}", scene.consent), format!("/consent/{}/confirm", scene.consent));
    for tossed in [
        format!("{BROWSER}={binding}; {BROWSER}={binding}"),
        format!("{BROWSER}=x; {BROWSER}={binding}"),
        format!("{BROWSER}={binding}; {BROWSER}=x"),
        format!("{BROWSER}="),
        format!("{BROWSER}={}", "A".repeat(43)),
        format!("{BROWSER}={}", "A".repeat(8000)),
        format!("{BROWSER}={session}"),
        format!("{BROWSER}=\"{binding}\""),
        format!("broker-browser={binding}"),
        format!("__host-broker-browser={binding}"),
        format!("{BROWSER} ={binding}x"),
        format!("__Host-broker-note={token}; __Host-broker-note={token}"),
        String::new(),
    ] {
        let cookies = format!("__Host-broker-session={session}; {tossed}");
        let reply = scene.get(&path, &[("cookie", &cookies)]).await;
        check_harmless(&reply, &tossed);
        assert!(
            reply.body.contains("Continue in the browser where you began"),
            "{tossed:.60}: {}",
            reply.body
        );
        let reply = scene.post_with(&confirm, FORM, &cookies, format!("csrf={token}").as_bytes()).await;
        check_harmless(&reply, &tossed);
        assert_eq!(reply.status, 403, "{tossed:.60}: {}", reply.body);
    }
    for tossed in [
        format!("__Host-broker-session={session}; __Host-broker-session={session}"),
        format!("__Host-broker-session=x; __Host-broker-session={session}; {BROWSER}={binding}"),
        format!("__Host-broker-session={binding}; {BROWSER}={session}"),
        format!("__Host-broker-session={token}"),
        format!("; ;=; {}", "x=y; ".repeat(2000)),
    ] {
        for path in [
            &path,
            &format!("/consents/{}", scene.parent),
            &format!("/connections/{}/disconnect", scene.connection),
        ] {
            let reply = scene.get(path, &[("cookie", &tossed)]).await;
            check_harmless(&reply, &tossed);
            assert!(
                reply.header("location").is_some_and(|to| to.starts_with("/login/start?")),
                "{path} {tossed:.60}"
            );
        }
        let reply = scene.post_with(&confirm, FORM, &tossed, format!("csrf={token}").as_bytes()).await;
        reply.check_error(&tossed, 403);
    }
    assert_eq!((scene.events().await, scene.state().await), (before, ConsentState::AwaitingConfirmation));
    let reply = scene.post(&confirm, &format!("csrf={token}")).await;
    assert_eq!(reply.status, 303, "hers counts: {}", reply.body);
    assert_eq!(scene.state().await, ConsentState::Completed);
    scene.end().await;
}

/// Proves: CO6
#[tokio::test]
async fn co6_methods_that_the_newer_pages_do_not_have_are_refused() {
    let scene = Scene::set().await;
    let (before, cookies) = (scene.events().await, scene.cookies());
    for path in
        [format!("/consents/{}", scene.parent), format!("/connections/{}/disconnect", scene.connection)]
    {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "X"] {
            let reply = http1::send(scene.web, method, &path, &[("cookie", &cookies)], b"").await;
            reply.check_error(&format!("{method} {path}"), 405);
        }
        let reply = http1::send(scene.web, "HEAD", &path, &[("cookie", &cookies)], b"").await;
        assert!(reply.status == 200 && reply.body.is_empty(), "HEAD {path}");
        reply.check_headers(&path);
    }
    scene.check_untouched(before).await;
    assert_eq!(scene.duo.needed(&ALICE, both()).await.items.len(), 2);
    scene.end().await;
}
