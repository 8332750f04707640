//! The layer that takes the user's token.

use crate::bearer::{BearerLayer, ProtectedResource};
use crate::testing::FakeBroker;
use crate::{Assertion, Clock as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::json;
use std::convert::Infallible;
use std::time::{Duration, SystemTime};
use tower::{Layer as _, ServiceExt as _, service_fn};

fn resource() -> ProtectedResource {
    let resource = ProtectedResource::new("https://notes.example:8443/mcp").expect("a resource");
    resource.authorization_server("https://sso.example").scope("notes").scope("profile")
}

/// Sends these `authorization` headers; answers the status, the challenge, and what the service behind the layer saw.
async fn send(headers: &[&[u8]]) -> (StatusCode, Option<String>, String) {
    through(&BearerLayer::new(&resource()), headers).await
}

async fn through(layer: &BearerLayer, headers: &[&[u8]]) -> (StatusCode, Option<String>, String) {
    let response = send_through(layer, headers).await;
    let challenge =
        response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().expect("text").to_owned());
    (response.status(), challenge, response.into_body())
}

async fn send_through(layer: &BearerLayer, headers: &[&[u8]]) -> Response<String> {
    let behind = service_fn(async |request: Request<()>| {
        // Whatever logs a request behind the layer does not log the token.
        assert!(!format!("{request:?}").contains("abc.def"));
        let seen = request.extensions().get::<Assertion>().map(|assertion| assertion.expose().to_owned());
        let header = if request.headers().contains_key(AUTHORIZATION) { " and the header" } else { "" };
        Ok::<_, Infallible>(Response::new(format!("{}{header}", seen.unwrap_or_default())))
    });
    let mut request = Request::new(());
    for header in headers {
        request.headers_mut().append(AUTHORIZATION, HeaderValue::from_bytes(header).expect("a header"));
    }
    layer.layer(behind).oneshot(request).await.expect("an answer")
}

#[tokio::test]
async fn a_bearer_token_goes_on_as_the_assertion_and_the_header_does_not() {
    for header in ["Bearer abc.def-_~+/==", "bearer abc.def-_~+/==", "BEARER  abc.def-_~+/== "] {
        assert_eq!(send(&[header.as_bytes()]).await, (StatusCode::OK, None, "abc.def-_~+/==".to_owned()));
    }
}

#[tokio::test]
async fn who_shows_no_token_is_told_where_to_sign_in() {
    let challenge = "Bearer resource_metadata=\"https://notes.example:8443/.well-known/oauth-protected-resource/mcp\", \
                     scope=\"notes profile\"";
    for headers in [&[][..], &[&b"Basic YTpi"[..]], &[&b""[..]], &[&b"abc"[..]]] {
        assert_eq!(
            send(headers).await,
            (StatusCode::UNAUTHORIZED, Some(challenge.to_owned()), String::new())
        );
    }
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused_and_not_taken_for_none() {
    let long = [b"Bearer ".to_vec(), vec![b'a'; 16 * 1024 + 1]].concat();
    for header in
        [&b"Bearer"[..], b"Bearer ", b"Bearer a b", b"Bearer a,b", b"Bearer =", b"Bearer a=b", &long]
    {
        let (status, challenge, seen) = send(&[header]).await;
        assert_eq!((status, seen.as_str()), (StatusCode::UNAUTHORIZED, ""));
        let challenge = challenge.expect("a challenge");
        assert!(challenge.ends_with(", error=\"invalid_token\""), "{challenge}");
        assert!(
            !challenge.contains('a') || !challenge.contains("aaaa"),
            "it does not come back: {challenge}"
        );
    }
    let longest = [b"Bearer ".to_vec(), vec![b'a'; 16 * 1024]].concat();
    assert_eq!(send(&[&longest]).await.0, StatusCode::OK);
    for headers in
        [&[&b"Bearer a"[..], b"Bearer b"][..], &[&b"Bearer a"[..], b"Basic b"], &[&b"Bearer \xff"[..]]]
    {
        let (status, challenge, seen) = send(headers).await;
        assert_eq!((status, seen.as_str()), (StatusCode::BAD_REQUEST, ""));
        assert!(challenge.expect("a challenge").ends_with(", error=\"invalid_request\""));
    }
}

/// Proves: CL6
#[tokio::test]
async fn cl6_tokens_that_the_broker_does_not_take_go_nowhere() {
    let broker = FakeBroker::start().await;
    broker.refuse("expired", "ASSERTION_EXPIRED");
    broker.refuse("blocked", "BLOCKED");
    broker.refuse("early", "ISSUER_UNAVAILABLE");
    let layer = BearerLayer::new(&resource()).verified_by(broker.client().await);
    for _ in 0..3 {
        assert_eq!(through(&layer, &[b"Bearer alice"]).await, (StatusCode::OK, None, "alice".to_owned()));
    }
    assert_eq!(broker.calls().len(), 1, "once a minute is enough");
    broker.refuse("alice", "ASSERTION_EXPIRED");
    broker.clock().advance(Duration::from_secs(60));
    for header in [&b"Bearer alice"[..], b"Bearer expired"] {
        let (status, challenge, seen) = through(&layer, &[header]).await;
        assert_eq!((status, seen.as_str()), (StatusCode::UNAUTHORIZED, ""));
        assert!(challenge.expect("a challenge").ends_with(", error=\"invalid_token\""));
    }
    let (status, challenge, seen) = through(&layer, &[b"Bearer blocked"]).await;
    assert_eq!((status, challenge, seen.as_str()), (StatusCode::FORBIDDEN, None, ""));
    let (status, challenge, seen) = through(&layer, &[b"Bearer early"]).await;
    assert_eq!((status, challenge, seen.as_str()), (StatusCode::SERVICE_UNAVAILABLE, None, ""));
    assert!(broker.calls().iter().all(|call| call.method == "ListConnections"), "nothing is issued");
}

/// Proves: CL6
#[tokio::test]
async fn cl6_made_up_tokens_lock_nobody_out_who_was_here_before() {
    let broker = FakeBroker::start().await;
    let layer = BearerLayer::new(&resource()).verified_by(broker.client().await);
    assert_eq!(through(&layer, &[b"Bearer alice"]).await.0, StatusCode::OK);
    broker.clock().advance(Duration::from_secs(3599));
    let mut answers = Vec::new();
    for n in 0..150 {
        let token = format!("made-up-{n}");
        broker.refuse(&token, "ASSERTION_INVALID");
        answers.push(through(&layer, &[format!("Bearer {token}").as_bytes()]).await.0);
    }
    let asked = |answers: &[StatusCode], status| answers.iter().all(|answer| *answer == status);
    assert!(asked(&answers[..100], StatusCode::UNAUTHORIZED), "{answers:?}");
    assert!(asked(&answers[100..], StatusCode::SERVICE_UNAVAILABLE), "{answers:?}");
    assert_eq!(broker.calls().len(), 101, "the others are not shown to the broker");
    let refused = send_through(&layer, &[b"Bearer bob"]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    // Long known, and to be verified again: she does not stand in line with strangers.
    assert_eq!(through(&layer, &[b"Bearer alice"]).await.0, StatusCode::OK);
    assert_eq!(broker.calls().len(), 102);
    // One each 20 ms.
    broker.clock().advance(Duration::from_millis(20));
    assert_eq!(through(&layer, &[b"Bearer bob"]).await.0, StatusCode::OK);
    assert_eq!(through(&layer, &[b"Bearer carol"]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // Whom the broker no longer takes is a stranger from then on.
    broker.clock().advance(Duration::from_secs(60));
    broker.refuse("bob", "ASSERTION_EXPIRED");
    assert_eq!(through(&layer, &[b"Bearer bob"]).await.0, StatusCode::UNAUTHORIZED);
    for _ in 0..100 {
        through(&layer, &[b"Bearer made-up-0"]).await;
    }
    assert_eq!(through(&layer, &[b"Bearer bob"]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(through(&layer, &[b"Bearer alice"]).await.0, StatusCode::OK);
}

/// Proves: CL6
#[tokio::test]
async fn cl6_a_token_that_is_not_known_is_shown_to_the_broker_once() {
    let broker = FakeBroker::start().await;
    broker.refuse("new", "ISSUER_UNAVAILABLE");
    let layer = BearerLayer::new(&resource()).verified_by(broker.client().await);
    assert_eq!(through(&layer, &[b"Bearer new"]).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(broker.calls().len(), 1);
}

/// Proves: CL6
#[tokio::test]
async fn cl6_what_was_verified_ends_with_the_token() {
    let broker = FakeBroker::start().await;
    let layer = BearerLayer::new(&resource()).verified_by(broker.client().await);
    let now = broker.clock().now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": "alice", "exp": now + 30 }).to_string());
    let token = format!("e30.{claims}.c2ln");
    let header = format!("Bearer {token}");
    assert_eq!(through(&layer, &[header.as_bytes()]).await.0, StatusCode::OK);
    broker.clock().advance(Duration::from_secs(29));
    assert_eq!(through(&layer, &[header.as_bytes()]).await.0, StatusCode::OK);
    assert_eq!(broker.calls().len(), 1);
    broker.refuse(&token, "ASSERTION_EXPIRED");
    broker.clock().advance(Duration::from_secs(1));
    assert_eq!(through(&layer, &[header.as_bytes()]).await.0, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_resource_describes_itself() {
    let expected = json!({
        "resource": "https://notes.example:8443/mcp",
        "authorization_servers": ["https://sso.example"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["notes", "profile"],
    });
    assert_eq!(resource().metadata(), expected);
    let plain = ProtectedResource::new("http://127.0.0.1:8080").expect("a resource");
    assert_eq!(plain.metadata_url(), "http://127.0.0.1:8080/.well-known/oauth-protected-resource");
    assert_eq!(plain.metadata().get("scopes_supported"), None);
    for odd in [
        "",
        "notes",
        "/mcp",
        "ftp://notes.example",
        "https://n.example/?a",
        "https://n.example/#a",
        "https://a@b.example",
        "https://é.example",
    ] {
        ProtectedResource::new(odd).expect_err(odd);
    }
}
