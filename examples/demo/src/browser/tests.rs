//! The browser against a server made for it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{RawForm, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse};
use axum::routing::{any, get};
use reqwest::Url;

use super::html::Document;
use super::{Browser, BrowserError};
use crate::clock::ManualClock;
use crate::server::{Bound, Server};

type Seen = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A server whose `/echo` remembers what it was sent, and whose other pages are made for one test each.
async fn server() -> (String, Seen, Server) {
    let seen = Seen::default();
    let page = r#"<title>A &amp; B</title><p>Hello <b>there</b></p><a href="/echo?x=1">Go on</a>
        <form id="f" method="post" action="/echo"><input name="who" required><input type=hidden name="k" value="v&quot;">
        <input type="checkbox" name="box" value="1" checked><select name="s"><option value="a">A<option selected>B</select>
        <button name="do" value="yes">Do it</button><button name="do" value="no">Do not</button></form>
        <form id="away" method="post" action="/see-other"><button>Leave</button></form>"#;
    let policy = [("content-security-policy", "default-src 'none'; form-action 'self'")];
    let cookies = [
        ("set-cookie", "__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ("set-cookie", "__Host-bad=1; Secure"),
        ("set-cookie", "short=1; Max-Age=60"),
        ("set-cookie", "strict=1; SameSite=Strict"),
        ("set-cookie", "deep=1; Path=/deep"),
        ("set-cookie", "none=1; SameSite=None; Secure"),
    ];
    let cookies = axum::response::AppendHeaders(cookies);
    let router = Router::new()
        .route("/", get(move || async move { (policy, Html(page)) }))
        .route("/cookies", get(move || async move { (cookies, "ok") }))
        .route("/deep/page", get(|| async { "ok" }))
        .route("/drop", get(|| async { ([("set-cookie", "short=; Max-Age=0")], "ok") }))
        .route("/loop", get(|| async { (StatusCode::FOUND, [("location", "/loop")]) }))
        .route(
            "/see-other",
            any(|| async { (StatusCode::SEE_OTHER, [("location", "http://localhost:1/x?code=secret")]) }),
        )
        .route(
            "/leave",
            get(|| async {
                (
                    [("referrer-policy", "no-referrer")],
                    Html("<meta http-equiv=refresh content='0; url=/echo'>leaving"),
                )
            }),
        )
        .route("/echo", any(echo))
        .with_state(seen.clone());
    let bound = Bound::loopback().await.unwrap();
    let origin = bound.origin();
    (origin, seen, bound.serve(router))
}

async fn echo(State(seen): State<Seen>, headers: HeaderMap, RawForm(body): RawForm) -> impl IntoResponse {
    seen.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
    "echoed"
}

fn last(seen: &Seen) -> (HeaderMap, String) {
    seen.lock().unwrap().last().cloned().expect("a request came")
}

fn sent<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

fn browser() -> (Browser, ManualClock) {
    let clock = ManualClock::at(1_800_000_000);
    (Browser::new(clock.now(), b"").unwrap(), clock)
}

#[tokio::test]
async fn forms_are_read_filled_and_sent_in_page_order() {
    let (origin, seen, _server) = server().await;
    let (browser, _) = browser();
    let page = browser.get(&origin).await.unwrap();
    assert_eq!(page.title(), "A & B");
    assert!(page.text().starts_with("Hello there\nGo on"), "{}", page.text());
    let form = page.form("f").unwrap().fill("who", "me & you").unwrap();
    let page = form.submit("Do it").await.unwrap();
    assert_eq!((page.text(), page.trail.len()), ("echoed", 1));
    let (headers, body) = last(&seen);
    assert_eq!(body, "who=me+%26+you&k=v%22&box=1&s=B&do=yes");
    assert_eq!(sent(&headers, "origin"), Some(origin.as_str()));
    assert_eq!(sent(&headers, "sec-fetch-site"), Some("same-origin"));
    assert_eq!(sent(&headers, "sec-fetch-user"), Some("?1"));
    assert_eq!(sent(&headers, "referer"), Some(format!("{origin}/").as_str()));
}

#[tokio::test]
async fn errors_name_what_was_on_the_page() {
    let (origin, _seen, _server) = server().await;
    let page = browser().0.get(&origin).await.unwrap();
    let error = page.form("login").unwrap_err().to_string();
    assert!(error.contains("Hello there") && error.contains("\"Do it\""), "{error}");
    let form = page.form("f").unwrap();
    assert!(matches!(form.clone().fill("nobody", "x"), Err(BrowserError::NoField { .. })));
    assert!(matches!(form.clone().submit("Nothing").await, Err(BrowserError::NoButton { .. })));
    assert!(matches!(form.submit("Do it").await, Err(BrowserError::RequiredFieldEmpty { .. })));
    assert!(page.link("Nowhere").unwrap_err().to_string().contains("Go on"));
    assert!(page.click("Go on").await.unwrap().url.as_str().ends_with("/echo?x=1"));
}

#[tokio::test]
async fn cookies_keep_their_rules() {
    let (origin, seen, _server) = server().await;
    let (browser, clock) = browser();
    browser.get(&format!("{origin}/cookies")).await.unwrap();
    let echo = format!("{origin}/echo");
    let cookies = async |browser: &Browser| {
        browser.get(&echo).await.unwrap();
        sent(&last(&seen).0, "cookie").unwrap_or_default().to_owned()
    };
    assert_eq!(cookies(&browser).await, "__Host-a=1; short=1; strict=1; none=1");
    assert_eq!(browser.cookies(&format!("{origin}/deep/page"))[0].0, "deep");
    assert_eq!(browser.cookies("http://127.0.0.1:1/"), [], "another port is another host");

    browser.post_from("http://evil.example/", &echo, &[("a", "b")]).await.unwrap();
    let (headers, body) = last(&seen);
    assert_eq!((sent(&headers, "cookie"), body.as_str()), (Some("none=1"), "a=b"));
    assert_eq!(sent(&headers, "origin"), Some("http://evil.example"));
    assert_eq!(sent(&headers, "sec-fetch-site"), Some("cross-site"));
    browser.get_from("http://evil.example/", &echo).await.unwrap();
    assert_eq!(sent(&last(&seen).0, "cookie"), Some("__Host-a=1; short=1; none=1"));

    clock.advance(60);
    assert_eq!(cookies(&browser).await, "__Host-a=1; strict=1; none=1");
    clock.advance(-60);
    browser.get(&format!("{origin}/cookies")).await.unwrap();
    browser.get(&format!("{origin}/drop")).await.unwrap();
    assert!(!cookies(&browser).await.contains("short"));
    browser.clear_cookies();
    assert_eq!(cookies(&browser).await, "");
}

#[tokio::test]
async fn redirects_end_are_held_and_are_checked_against_the_form_policy() {
    let (origin, seen, _server) = server().await;
    let (browser, _) = browser();
    let error = browser.get(&format!("{origin}/loop")).await.unwrap_err();
    assert!(matches!(error, BrowserError::TooManyRedirects { .. }), "{error}");

    let page = browser.get(&origin).await.unwrap();
    let error = page.form("away").unwrap().submit("Leave").await.unwrap_err();
    assert_eq!(error.to_string(), "the page's form-action policy forbids http://localhost:1/x");

    browser.hold_before(Some("http://localhost:1/"));
    let held = page.form("away").unwrap().submit("Leave").await.unwrap();
    assert_eq!((held.status, held.location()), (303, Url::parse("http://localhost:1/x?code=secret").ok()));

    let page = browser.get(&format!("{origin}/leave")).await.unwrap();
    let ways: Vec<&str> = page.trail.iter().map(|hop| hop.url.path()).collect();
    assert_eq!(ways, ["/leave", "/echo"]);
    let (headers, _) = last(&seen);
    assert_eq!((sent(&headers, "referer"), sent(&headers, "sec-fetch-user")), (None, None));
}

#[tokio::test]
async fn an_unreachable_page_is_an_error_without_the_query() {
    let error = browser().0.get("http://127.0.0.1:1/cb?code=secret").await.unwrap_err();
    assert!(error.to_string().starts_with("http://127.0.0.1:1/cb could not be loaded"), "{error}");
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn odd_html_is_read_without_surprises() {
    let odd = "a < b <!-- <p>no</p> --><script>if (a</b) {}</script>&lt;ok&gt; &nope; &#x41;<br/>c<p hidden>d<a href=x>\
        l<input form=z name=n></a><form id=z><textarea name=t>\n<b></textarea><button type=button>no</button></form><div";
    let document = Document::parse(odd);
    assert_eq!(document.text, "a < b <ok> &nope; A\nc\ndl\nno");
    assert_eq!(document.links, [("l".to_owned(), "x".to_owned())]);
    let names: Vec<&str> = document.forms[0].controls.iter().map(|control| control.name.as_str()).collect();
    assert_eq!(names, ["t", "n"]);
    assert_eq!(document.forms[0].controls[0].value, "<b>");
    for cut in 0..odd.len() {
        Document::parse(&odd[..cut]);
    }
}
