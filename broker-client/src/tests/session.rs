//! Sessions belong to the user who began them.

use crate::Assertion;
use crate::bearer::SessionLayer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use serde_json::json;
use std::convert::Infallible;
use tower::{Layer as _, ServiceExt as _, service_fn};

const SESSION: &str = "mcp-session-id";

/// A token of this subject; its signature is nobody's.
fn token(subject: &str, signature: &str) -> Assertion {
    let claims = json!({ "iss": "https://sso.example", "sub": subject }).to_string();
    Assertion::from(format!("e30.{}.{signature}", URL_SAFE_NO_PAD.encode(claims)))
}

/// Answers the status, the session that the client is given, and the one that the server inside was shown.
async fn send(layer: &SessionLayer, user: Option<Assertion>, shown: &[&str]) -> (StatusCode, String, String) {
    let inside = service_fn(async |request: Request<()>| {
        let seen = request.headers().get(SESSION).map(|id| id.to_str().expect("text").to_owned());
        let mut response = Response::new(seen.clone().unwrap_or_default());
        // The first request begins one.
        response
            .headers_mut()
            .insert(SESSION, seen.as_deref().unwrap_or("inner-1").parse().expect("a header"));
        Ok::<_, Infallible>(response)
    });
    let mut request = Request::new(());
    for id in shown {
        request.headers_mut().append(SESSION, id.parse().expect("a header"));
    }
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    }
    let response = layer.layer(inside).oneshot(request).await.expect("an answer");
    let given = response.headers().get(SESSION).map(|id| id.to_str().expect("text").to_owned());
    (response.status(), given.unwrap_or_default(), response.into_body())
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_session_answers_its_own_user_alone() {
    let layer = SessionLayer::new().expect("a key");
    let alice = || Some(token("alice", "one"));
    let (status, session, seen) = send(&layer, alice(), &[]).await;
    assert_eq!((status, seen.as_str()), (StatusCode::OK, ""));
    assert!(session.starts_with("inner-1.") && session.is_ascii() && session.len() > 40, "{session}");
    // Hers, and hers still when her token is another one.
    for user in [alice(), Some(token("alice", "two"))] {
        let (status, given, seen) = send(&layer, user, &[&session]).await;
        assert_eq!((status, given, seen.as_str()), (StatusCode::OK, session.clone(), "inner-1"));
    }

    let refused = (StatusCode::NOT_FOUND, String::new(), String::new());
    let other = SessionLayer::new().expect("a key");
    let (_, bobs, _) = send(&layer, Some(token("bob", "one")), &[]).await;
    assert_ne!(bobs, session, "the same session inside is another one outside");
    assert_eq!(send(&layer, Some(token("bob", "one")), &[&session]).await, refused);
    assert_eq!(send(&layer, Some(Assertion::from("opaque")), &[&session]).await, refused);
    assert_eq!(send(&layer, None, &[&session]).await, refused);
    assert_eq!(send(&other, alice(), &[&session]).await, refused, "of another process");
    let tag = session.rsplit('.').next().expect("a tag");
    let cut = &session[..session.len() - 1];
    for odd in ["inner-1", "", ".", "inner-1.", &format!("inner-2.{tag}"), cut, &format!("{session}A")] {
        assert_eq!(send(&layer, alice(), &[odd]).await, refused, "{odd}");
    }
    assert_eq!(send(&layer, alice(), &[&session, &session]).await, refused, "two at once");
}

#[tokio::test]
async fn a_session_of_nobody_is_not_given_out() {
    let layer = SessionLayer::new().expect("a key");
    assert_eq!(send(&layer, None, &[]).await, (StatusCode::OK, String::new(), String::new()));
    assert_eq!(format!("{layer:?}"), "SessionLayer { .. }");
}
