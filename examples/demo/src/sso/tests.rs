//! The SSO as a relying party and a browser see it.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use url::Url;

use super::Sso;
use crate::browser::{Browser, Page};
use crate::clock::ManualClock;
use crate::http;
use crate::oauth::Client;

const START: i64 = 1_800_000_000;
const CALLBACK: &str = "http://127.0.0.1:1/login/callback";
const VERIFIER: &str = "0123456789-0123456789-0123456789-0123456789";

struct Setting {
    sso: Sso,
    clock: ManualClock,
    browser: Browser,
    http: reqwest::Client,
}

async fn setting() -> Setting {
    let clock = ManualClock::at(START);
    let sso = Sso::start(clock.now()).await.unwrap();
    sso.register_client(Client {
        id: "broker".to_owned(),
        name: "Broker".to_owned(),
        secret: "s3cret/+".to_owned(),
        redirect_uris: vec![CALLBACK.to_owned()],
    });
    let browser = Browser::new(clock.now(), b"").unwrap();
    browser.hold_before(Some(CALLBACK));
    Setting { sso, clock, browser, http: http::client(b"").unwrap() }
}

impl Setting {
    fn authorize(&self, extra: &[(&str, &str)]) -> String {
        let challenge = BASE64URL_NOPAD.encode(digest(&SHA256, VERIFIER.as_bytes()).as_ref());
        let mut url = Url::parse(&format!("{}/authorize", self.sso.issuer())).unwrap();
        let base = [
            ("response_type", "code"),
            ("client_id", "broker"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile"),
            ("state", "st&te"),
            ("nonce", "n-1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let kept = base.iter().filter(|(name, _)| !extra.iter().any(|(other, _)| other == name));
        url.query_pairs_mut().extend_pairs(kept.chain(extra).filter(|(_, value)| !value.is_empty()));
        url.into()
    }

    async fn sign_in(&self, user: &str, password: &str) -> Page {
        let page = self.browser.get(&self.authorize(&[("prompt", "login")])).await.unwrap();
        let form = page.form("login").unwrap().fill("username", user).unwrap();
        form.fill("password", password).unwrap().submit("Sign in").await.unwrap()
    }

    async fn exchange(&self, code: &str, verifier: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        let request = self.http.post(format!("{}/token", self.sso.issuer())).form(&form);
        let response = request.basic_auth("broker", Some("s3cret%2F%2B")).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The claims of a token after its signature was checked against the published keys.
    async fn verified(&self, token: &str, jwks: &str) -> Value {
        let parts: Vec<&str> = token.split('.').collect();
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
        let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
        let keys: Value = self.http.get(jwks).send().await.unwrap().json().await.unwrap();
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
        let (x, y) = (decode(key["x"].as_str().unwrap()), decode(key["y"].as_str().unwrap()));
        let point = [&[4][..], &x, &y].concat();
        let message = format!("{}.{}", parts[0], parts[1]);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(message.as_bytes(), &decode(parts[2])).unwrap();
        serde_json::from_slice(&decode(parts[1])).unwrap()
    }
}

fn answer(page: &Page, name: &str) -> Option<String> {
    let location = page.location().unwrap_or_else(|| panic!("no way back on {}", page.describe()));
    location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_login_becomes_a_signed_id_token_once() {
    let s = setting().await;
    let refused = s.sign_in("alice", "wrong").await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("do not match"));
    let page = s.sign_in("alice", "wonderland").await;
    assert_eq!(answer(&page, "state").as_deref(), Some("st&te"));
    assert_eq!(answer(&page, "iss").as_deref(), Some(s.sso.issuer()));
    let code = answer(&page, "code").unwrap();
    let (status, tokens) = s.exchange(&code, VERIFIER).await;
    assert_eq!(status, 200, "{tokens}");
    let claims = s.verified(tokens["id_token"].as_str().unwrap(), &format!("{}/jwks", s.sso.issuer())).await;
    assert_eq!(s.sso.jwks_fetches(), 1);
    for (name, value) in [
        ("iss", json!(s.sso.issuer())),
        ("sub", json!("u-7f3a19c2e4")),
        ("aud", json!("broker")),
        ("azp", json!("broker")),
        ("nonce", json!("n-1")),
        ("auth_time", json!(START)),
        ("iat", json!(START)),
        ("exp", json!(START + 3600)),
        ("email", json!("alice@company.example")),
        ("roles", json!(["engineering", "notes-users"])),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims["sid"].as_str().unwrap().starts_with("sid_"));
    assert_eq!(s.exchange(&code, VERIFIER).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn a_session_answers_at_once_and_prompt_login_switches_the_account() {
    let s = setting().await;
    let nobody = s.browser.get(&s.authorize(&[("prompt", "none")])).await.unwrap();
    assert_eq!(answer(&nobody, "error").as_deref(), Some("login_required"));
    s.sign_in("alice", "wonderland").await;
    let again = s.browser.get(&s.authorize(&[])).await.unwrap();
    assert!(answer(&again, "code").is_some());
    s.clock.advance(120);
    let stale = s.browser.get(&s.authorize(&[("max_age", "60")])).await.unwrap();
    assert_eq!(stale.title(), "Sign in · Company SSO");
    let page = s.sign_in("bob", "builder").await;
    let (_, tokens) = s.exchange(&answer(&page, "code").unwrap(), VERIFIER).await;
    let claims = s.verified(tokens["id_token"].as_str().unwrap(), &format!("{}/jwks", s.sso.issuer())).await;
    assert_eq!((&claims["sub"], &claims["auth_time"]), (&json!("u-c05d88b1a7"), &json!(START + 120)));
    let again = s.browser.get(&s.authorize(&[])).await.unwrap();
    let (_, tokens) = s.exchange(&answer(&again, "code").unwrap(), VERIFIER).await;
    let again = s.verified(tokens["id_token"].as_str().unwrap(), &format!("{}/jwks", s.sso.issuer())).await;
    assert_eq!((&again["sub"], &again["sid"]), (&claims["sub"], &claims["sid"]));
}

#[tokio::test]
async fn bad_requests_are_refused_where_it_is_safe_to_say_so() {
    let s = setting().await;
    for (extra, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("scope", "profile"), "invalid_scope"),
    ] {
        let page = s.browser.get(&s.authorize(&[extra])).await.unwrap();
        assert_eq!(answer(&page, "error").as_deref(), Some(error), "{extra:?}");
    }
    for extra in [("redirect_uri", "http://127.0.0.1:1/other"), ("client_id", "stranger")] {
        let page = s.browser.get(&s.authorize(&[extra])).await.unwrap();
        assert_eq!((page.status, page.location()), (400, None), "{extra:?}");
    }
    let twice = format!("{}&client_id=broker", s.authorize(&[]));
    assert_eq!(s.browser.get(&twice).await.unwrap().status, 400);
    let page = s.browser.get(&s.authorize(&[])).await.unwrap();
    let id = page.form("login").unwrap().value("request").unwrap().to_owned();
    let fields = [("request", id.as_str()), ("username", "alice"), ("password", "wonderland")];
    let login = format!("{}/login", s.sso.issuer());
    let forged = s.browser.post_from("http://evil.example/", &login, &fields).await.unwrap();
    assert_eq!((forged.status, s.browser.cookies(&login).len()), (400, 0));
}

#[tokio::test]
async fn a_code_needs_its_verifier_its_client_and_a_minute() {
    let s = setting().await;
    let page = s.sign_in("alice", "wonderland").await;
    let wrong = VERIFIER.replace('0', "1");
    let (status, body) = s.exchange(&answer(&page, "code").unwrap(), &wrong).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    let page = s.sign_in("alice", "wonderland").await;
    s.clock.advance(60);
    assert_eq!(s.exchange(&answer(&page, "code").unwrap(), VERIFIER).await.0, 400);
    let token = format!("{}/token", s.sso.issuer());
    let stranger =
        s.http.post(token).basic_auth("broker", Some("guess")).form(&[("a", "b")]).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}

#[tokio::test]
async fn minted_tokens_verify_and_take_overrides() {
    let s = setting().await;
    let people = format!("{}/jwks", s.sso.issuer());
    let assertion = s.sso.mint_assertion("bob", "https://tools.example/notes");
    s.sso.rotate_key(false);
    let claims = s.verified(&assertion, &people).await;
    assert_eq!((&claims["aud"], claims.get("nonce")), (&json!("https://tools.example/notes"), None));
    let bent = s.sso.mint_with("bob", "aud", json!({ "exp": START - 1, "azp": null, "org": "b" }));
    let claims = s.verified(&bent, &people).await;
    assert_eq!((&claims["exp"], claims.get("azp"), &claims["org"]), (&json!(START - 1), None, &json!("b")));
    let raw = s.sso.mint_raw(json!({ "typ": "at+jwt" }), &json!({ "only": 1 }));
    assert_eq!(s.verified(&raw, &people).await, json!({ "only": 1 }));
    s.sso.rotate_key(true);
    let keys: Value = s.http.get(&people).send().await.unwrap().json().await.unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);

    let discovery = format!("{}/.well-known/openid-configuration", s.sso.workload_issuer());
    let cluster: Value = s.http.get(discovery).send().await.unwrap().json().await.unwrap();
    assert_eq!(cluster["issuer"], json!(s.sso.workload_issuer()));
    let token = s.sso.mint_workload_token("system:serviceaccount:tools:notes-tool", "broker");
    let claims = s.verified(&token, cluster["jwks_uri"].as_str().unwrap()).await;
    assert_eq!(claims["iss"], json!(s.sso.workload_issuer()));
    assert_eq!(
        claims["kubernetes.io"],
        json!({ "namespace": "tools", "serviceaccount": { "name": "notes-tool" } })
    );
}
