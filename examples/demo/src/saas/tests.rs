//! The SaaS as a client and a browser see it.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::Url;

use super::{Endpoint, Event, ExpiresIn, Fault, NOTES, RevokedKind, Rotation, Saas};
use crate::browser::{Browser, Page};
use crate::clock::ManualClock;
use crate::http;
use crate::oauth::Client;

const CALLBACK: &str = "http://127.0.0.1:1/oauth/callback/notes";
const VERIFIER: &str = "0123456789-0123456789-0123456789-0123456789";

struct Setting {
    notes: Saas,
    clock: ManualClock,
    browser: Browser,
    http: reqwest::Client,
}

async fn setting() -> Setting {
    let clock = ManualClock::at(1_800_000_000);
    let notes = Saas::start(NOTES, clock.now()).await.unwrap();
    for id in ["broker", "other"] {
        let (name, secret) = ("Company Broker".to_owned(), "s3cret".to_owned());
        let redirect_uris = vec![CALLBACK.to_owned()];
        notes.register_client(Client { id: id.to_owned(), name, secret, redirect_uris });
    }
    let browser = Browser::new(clock.now(), b"").unwrap();
    browser.hold_before(Some(CALLBACK));
    Setting { notes, clock, browser, http: http::client(b"").unwrap() }
}

impl Setting {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.notes.origin())
    }

    fn authorize(&self, scope: &str) -> String {
        let challenge = BASE64URL_NOPAD.encode(digest(&SHA256, VERIFIER.as_bytes()).as_ref());
        let query = [
            ("response_type", "code"),
            ("client_id", "broker"),
            ("redirect_uri", CALLBACK),
            ("scope", scope),
            ("state", "xyz"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        Url::parse_with_params(&self.at("/authorize"), query).unwrap().into()
    }

    /// Stops at the question, after signing alice in where nobody is.
    async fn asked(&self, scope: &str) -> Page {
        let page = self.browser.get(&self.authorize(scope)).await.unwrap();
        if page.url.path() == "/consent" {
            return page;
        }
        let form = page.form("login").unwrap().fill("username", "alice@notes.example").unwrap();
        form.fill("password", "alice-notes").unwrap().submit("Sign in").await.unwrap()
    }

    async fn code(&self, scope: &str) -> String {
        let page = self.asked(scope).await.form("consent").unwrap().submit("Allow").await.unwrap();
        answer(&page, "code").expect("a code came back")
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.http.post(self.at(path)).basic_auth("broker", Some("s3cret")).form(form)
    }

    fn exchange(&self, code: &str) -> reqwest::RequestBuilder {
        let base =
            [("grant_type", "authorization_code"), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        let [grant, uri, verifier] = base;
        self.post("/token", &[grant, uri, verifier, ("code", code)])
    }

    /// Tokens for alice.
    async fn connect(&self) -> Value {
        let code = self.code("notes.read notes.write").await;
        json(self.exchange(&code)).await.1
    }

    fn refresh(&self, token: &Value) -> reqwest::RequestBuilder {
        let token = token.as_str().expect("a refresh token");
        self.post("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    async fn read_notes(&self, tokens: &Value) -> u16 {
        let token = tokens["access_token"].as_str().expect("an access token");
        self.http.get(self.at("/notes")).bearer_auth(token).send().await.unwrap().status().as_u16()
    }
}

async fn json(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn answer(page: &Page, name: &str) -> Option<String> {
    let location = page.location().unwrap_or_else(|| panic!("no way back on {}", page.describe()));
    location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_browser_signs_in_allows_and_the_api_answers_as_the_account() {
    let s = setting().await;
    let page = s.asked("notes.read").await;
    for words in ["Company Broker", "alice@notes.example", "Read your notes"] {
        assert!(page.text().contains(words), "{}", page.describe());
    }
    let page = page.form("consent").unwrap().submit("Allow").await.unwrap();
    assert_eq!(answer(&page, "state").as_deref(), Some("xyz"));
    assert_eq!(answer(&page, "iss").as_deref(), Some(s.notes.origin()));
    let code = answer(&page, "code").unwrap();
    let (status, tokens) = json(s.exchange(&code)).await;
    assert_eq!((status, &tokens["scope"], &tokens["expires_in"]), (200, &json!("notes.read"), &json!(600)));
    let token = tokens["access_token"].as_str().unwrap();
    let (_, who) = json(s.http.get(s.at("/userinfo")).bearer_auth(token)).await;
    assert_eq!(who, json!({ "id": "acct-1001", "label": "alice@notes.example" }));
    let (_, list) = json(s.http.get(s.at("/notes")).bearer_auth(token)).await;
    assert_eq!(list, json!({ "account": "alice@notes.example", "notes": ["alice's first note"] }));
    let write = s.http.post(s.at("/notes")).bearer_auth(token).json(&json!({ "text": "hi" }));
    assert_eq!(json(write).await.0, 403);
    s.clock.advance(600);
    assert_eq!(s.read_notes(&tokens).await, 401);

    let (_, replay) = json(s.exchange(&code)).await;
    assert_eq!(replay["error"], "invalid_grant");
    let account = || "acct-1001".to_owned();
    let call = |method, path, status| Event::ApiCall {
        account: Some(account()),
        family: Some(1),
        method,
        path,
        status,
    };
    let scopes = vec!["notes.read".to_owned()];
    let expected = [
        Event::CodeIssued { account: account(), client: "broker".to_owned(), scopes: scopes.clone() },
        Event::TokensIssued { family: 1, account: account(), scopes, refresh_token: true },
        call("GET", "/userinfo", 200),
        call("GET", "/notes", 200),
        call("POST", "/notes", 403),
        call("GET", "/notes", 401),
        Event::CodeReplayed { family: 1 },
        Event::Revoked { family: 1, kind: RevokedKind::CodeReplay },
    ];
    assert_eq!(s.notes.truth(), expected);
}

#[tokio::test]
async fn a_code_needs_its_verifier_its_client_its_redirect_uri_and_a_minute() {
    let s = setting().await;
    let good =
        [("grant_type", "authorization_code"), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    let wrong = VERIFIER.replace('0', "1");
    for (client, name, value, status) in [
        ("broker", "code_verifier", wrong.as_str(), 400),
        ("broker", "redirect_uri", "http://127.0.0.1:1/other", 400),
        ("other", "redirect_uri", CALLBACK, 400),
        ("stranger", "redirect_uri", CALLBACK, 401),
        ("broker", "redirect_uri", CALLBACK, 200),
    ] {
        let code = s.code("notes.read").await;
        let mut form: Vec<(&str, &str)> = good.iter().copied().filter(|(key, _)| *key != name).collect();
        form.extend([(name, value), ("code", &code)]);
        let request = s.http.post(s.at("/token")).basic_auth(client, Some("s3cret")).form(&form);
        assert_eq!(json(request).await.0, status, "{client} {name} {value}");
    }
    let code = s.code("notes.read").await;
    s.clock.advance(60);
    assert_eq!(json(s.exchange(&code)).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn notes_can_be_written_and_denied_and_another_account_used() {
    let s = setting().await;
    let tokens = s.connect().await;
    let token = tokens["access_token"].as_str().unwrap();
    let write = s.http.post(s.at("/notes")).bearer_auth(token).json(&json!({ "text": "hi" }));
    assert_eq!(json(write).await, (201, json!({ "account": "alice@notes.example", "text": "hi" })));
    let page = s.browser.get(&s.authorize("notes.read")).await.unwrap();
    let login = page.click("Use another account").await.unwrap();
    let form = login.form("login").unwrap().fill("username", "bob@notes.example").unwrap();
    let page = form.fill("password", "bob-notes").unwrap().submit("Sign in").await.unwrap();
    assert!(page.text().contains("bob@notes.example"));
    let page = page.form("consent").unwrap().submit("Deny").await.unwrap();
    assert_eq!(answer(&page, "error").as_deref(), Some("access_denied"));
    let denied = Event::ConsentDenied { account: "acct-1002".to_owned(), client: "broker".to_owned() };
    assert_eq!(s.notes.truth().last(), Some(&denied));
    let wide = s.browser.get(&s.authorize("notes.read everything")).await.unwrap();
    assert_eq!(answer(&wide, "error").as_deref(), Some("invalid_scope"));
}

#[tokio::test]
async fn refresh_tokens_rotate_and_reuse_ends_the_family() {
    let s = setting().await;
    let first = s.connect().await;
    let (_, second) = json(s.refresh(&first["refresh_token"])).await;
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    let facts = s.notes.introspect(second["refresh_token"].as_str().unwrap()).unwrap();
    assert_eq!((facts.family, facts.generation, facts.live), (1, Some(2), true));
    assert_eq!((s.read_notes(&first).await, s.read_notes(&second).await), (200, 200));
    let (status, reused) = json(s.refresh(&first["refresh_token"])).await;
    assert_eq!((status, &reused["error"]), (400, &json!("invalid_grant")));
    assert_eq!((s.read_notes(&first).await, s.read_notes(&second).await), (401, 401));
    assert_eq!(json(s.refresh(&second["refresh_token"])).await.0, 400);
    let told: Vec<Event> =
        s.notes.truth().into_iter().filter(|event| !matches!(event, Event::ApiCall { .. })).skip(2).collect();
    let scopes = vec!["notes.read".to_owned(), "notes.write".to_owned()];
    let expected = [
        Event::Refreshed { family: 1, generation: 1, issued: 2, scopes },
        Event::ReuseDetected { family: 1, generation: 1 },
        Event::Revoked { family: 1, kind: RevokedKind::Reuse },
        Event::RefreshRefused { family: Some(1), generation: Some(2) },
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn rotation_can_be_off_or_have_a_grace() {
    let s = setting().await;
    let tokens = s.connect().await;
    s.notes.set_rotation(Rotation::None);
    for _ in 0..2 {
        let (status, again) = json(s.refresh(&tokens["refresh_token"])).await;
        assert_eq!((status, again.get("refresh_token")), (200, None));
    }
    s.notes.set_rotation(Rotation::WithGrace { seconds: 30 });
    assert_eq!(json(s.refresh(&tokens["refresh_token"])).await.0, 200);
    s.clock.advance(29);
    let (status, newest) = json(s.refresh(&tokens["refresh_token"])).await;
    assert_eq!((status, newest["refresh_token"].is_string()), (200, true));
    s.clock.advance(30);
    assert_eq!(json(s.refresh(&tokens["refresh_token"])).await.0, 400);
    assert_eq!(json(s.refresh(&newest["refresh_token"])).await.0, 400);
}

#[tokio::test]
async fn a_refresh_can_narrow_but_never_widen() {
    let s = setting().await;
    let code = s.code("notes.read").await;
    let narrow = json(s.exchange(&code)).await.1;
    let wide = s.connect().await;
    let ask = |token: &Value, scope| {
        let token = token["refresh_token"].as_str().unwrap();
        s.post("/token", &[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)])
    };
    assert_eq!(json(ask(&narrow, "notes.read notes.write")).await.1["error"], "invalid_scope");
    let (_, narrowed) = json(ask(&wide, "notes.read")).await;
    assert_eq!(narrowed["scope"], "notes.read");
    let facts = s.notes.introspect(narrowed["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(facts.scopes, ["notes.read"]);
    let (_, whole) = json(s.refresh(&narrowed["refresh_token"])).await;
    assert_eq!(whole["scope"], "notes.read notes.write", "the family keeps what was granted");
    assert_eq!(json(s.refresh(&narrow["refresh_token"])).await.0, 200, "a refused wish uses nothing up");
}

#[tokio::test]
async fn revocation_ends_one_token_or_the_family() {
    let s = setting().await;
    let tokens = s.connect().await;
    let revoke = async |client: &str, token: &str| {
        let request =
            s.http.post(s.at("/revoke")).basic_auth(client, Some("s3cret")).form(&[("token", token)]);
        request.send().await.unwrap().status().as_u16()
    };
    let (_, other) = json(s.refresh(&tokens["refresh_token"])).await;
    assert_eq!(revoke("broker", "never issued").await, 200);
    assert_eq!(revoke("other", other["refresh_token"].as_str().unwrap()).await, 400);
    assert_eq!(revoke("broker", tokens["access_token"].as_str().unwrap()).await, 200);
    assert_eq!((s.read_notes(&tokens).await, s.read_notes(&other).await), (401, 200));
    assert_eq!(revoke("broker", other["refresh_token"].as_str().unwrap()).await, 200);
    assert_eq!(s.read_notes(&other).await, 401);
    assert_eq!(json(s.refresh(&other["refresh_token"])).await.1["error"], "invalid_grant");
    let kinds: Vec<RevokedKind> = s
        .notes
        .truth()
        .into_iter()
        .filter_map(|event| match event {
            Event::Revoked { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [RevokedKind::AccessToken, RevokedKind::Family]);
    let fresh = s.connect().await;
    assert_eq!(s.notes.disconnect("alice@notes.example"), 1);
    assert_eq!(s.read_notes(&fresh).await, 401);
}

#[tokio::test]
async fn faults_that_process_nothing_leave_the_refresh_token_good() {
    let s = setting().await;
    let token = s.connect().await["refresh_token"].clone();
    for (fault, status, start) in [
        (Fault::Html, 200, "<!doctype html>"),
        (Fault::Status500, 500, "internal error"),
        (Fault::Status429 { retry_after: 7 }, 429, r#"{"error":"slow_down""#),
        (Fault::OkWithError("bad_refresh_token"), 200, r#"{"error":"bad_refresh_token""#),
        (Fault::Refuse(401, "invalid_client"), 401, r#"{"error":"invalid_client""#),
        (Fault::MalformedJson, 200, r#"{"access_token": "half"#),
    ] {
        s.notes.script(fault.clone(), 1);
        let response = s.refresh(&token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{fault:?}");
        let wait = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(wait.is_some(), status == 429);
        let body = response.text().await.unwrap();
        assert!(body.starts_with(start), "{fault:?}: {body}");
        let faulted = Event::Faulted { endpoint: Endpoint::Token, fault: fault.name() };
        assert_eq!(s.notes.truth().last(), Some(&faulted));
    }
    assert_eq!(json(s.refresh(&token)).await.0, 200);
    s.notes.script_at(Endpoint::Userinfo, Fault::Status500, 1);
    assert_eq!(s.http.get(s.at("/userinfo")).send().await.unwrap().status(), 500);
    s.notes.script_at(Endpoint::Revoke, Fault::Status500, 1);
    assert_eq!(s.post("/revoke", &[("token", "x")]).send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn a_lost_reply_has_used_the_refresh_token_up() {
    let s = setting().await;
    let token = s.connect().await["refresh_token"].clone();
    s.notes.script(Fault::DropConnection, 1);
    let error = s.refresh(&token).send().await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    let truth = s.notes.truth();
    let [.., refreshed, lost] = &truth[..] else { panic!("{truth:?}") };
    assert!(matches!(refreshed, Event::Refreshed { generation: 1, issued: 2, .. }), "{truth:?}");
    assert_eq!(*lost, Event::ReplyLost { family: 1, generation: 1 });
    assert_eq!(json(s.refresh(&token)).await.1["error"], "invalid_grant");
    assert!(s.notes.truth().contains(&Event::ReuseDetected { family: 1, generation: 1 }));
}

#[tokio::test]
async fn a_slow_call_waits_for_its_release_and_is_processed_for_nobody_too() {
    let s = setting().await;
    let token = s.connect().await["refresh_token"].clone();
    let release = Arc::new(Notify::new());
    s.notes.script(Fault::Slow(release.clone()), 1);
    let held = Event::Faulted { endpoint: Endpoint::Token, fault: "slow" };
    tokio::select! {
        answer = s.refresh(&token).send() => panic!("answered before its release: {answer:?}"),
        () = s.notes.wait_until(|events| events.contains(&held)) => {}
    }
    assert_eq!(s.notes.truth().last(), Some(&held));
    release.notify_one();
    s.notes.wait_until(|events| matches!(events.last(), Some(Event::Refreshed { generation: 1, .. }))).await;
}

#[tokio::test]
async fn faults_in_good_answers() {
    let s = setting().await;
    s.notes.script(Fault::NoRefreshToken, 1);
    assert_eq!(s.connect().await.get("refresh_token"), None);
    s.notes.script(Fault::FewerScopes, 1);
    let fewer = s.connect().await;
    assert_eq!(fewer["scope"], "notes.read");
    s.notes.script(Fault::MoreScopes, 1);
    let code = s.code("notes.read").await;
    let mut tokens = json(s.exchange(&code)).await.1;
    assert_eq!(tokens["scope"], "notes.read notes.write");
    s.notes.script(Fault::NoRefreshToken, 1);
    assert_eq!(json(s.refresh(&tokens["refresh_token"])).await.1.get("refresh_token"), None);
    for (shape, sent) in [
        (ExpiresIn::String, Some(json!("600"))),
        (ExpiresIn::Null, Some(Value::Null)),
        (ExpiresIn::Absent, None),
        (ExpiresIn::Zero, Some(json!(0))),
        (ExpiresIn::Negative, Some(json!(-1))),
        (ExpiresIn::Huge, Some(json!(u64::MAX))),
    ] {
        s.notes.script(Fault::ExpiresIn(shape), 1);
        tokens = json(s.refresh(&tokens["refresh_token"])).await.1;
        assert_eq!(tokens.get("expires_in"), sent.as_ref(), "{shape:?}");
        assert_eq!(s.read_notes(&tokens).await, 200);
    }
}
