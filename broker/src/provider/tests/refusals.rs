//! The class of every refusal (RF6), over the wire.

use super::{
    engine,
    fake::{Answer, Fake},
    opened, patient, set, spec,
};
use crate::{
    domain::Reason,
    net::NetError,
    provider::{ProviderError, Trouble},
};
use std::time::Duration;

async fn refresh(answer: Answer) -> ProviderError {
    let fake = Fake::start().await;
    fake.will(answer);
    let held = set("read");
    patient().refresh(&spec(&fake.base), opened("rt"), None, &held).await.unwrap_err()
}

fn error(code: &str) -> String {
    format!(r#"{{"error":"{code}","error_description":"canary"}}"#)
}

/// Proves: RF6
#[tokio::test]
async fn rf6_only_a_refused_grant_is_terminal_and_providers_have_many_words_for_it() {
    for (status, code) in [
        (400, "invalid_grant"),
        (401, "invalid_grant"),
        (403, "invalid_grant"),
        (200, "bad_refresh_token"),
        (200, "bad_verification_code"),
        (200, "invalid_grant"),
        (400, "invalid_refresh_token"),
    ] {
        let refused = refresh(Answer::new(status, error(code))).await;
        assert!(matches!(&refused, ProviderError::GrantRejected(c) if c.as_str() == code), "{refused:?}");
        assert!(refused.is_terminal());
        assert_eq!(refused.reason(), Reason::ProviderGrantRejected);
    }
    let slack = refresh(Answer::new(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#)).await;
    assert!(slack.is_terminal(), "{slack:?}");
}

/// Proves: RF6
#[tokio::test]
async fn rf6_sub_errors_that_concern_one_resource_are_not_terminal() {
    for (sub, terminal) in [
        ("basic_action", false),
        ("consent_required", false),
        ("device_authentication_failed", false),
        ("unheard_of", false),
        ("bad_token", true),
        ("token_expired", true),
    ] {
        let body = format!(r#"{{"error":"invalid_grant","suberror":"{sub}","error_codes":[50076]}}"#);
        let refused = refresh(Answer::new(400, body)).await;
        assert_eq!(refused.is_terminal(), terminal, "{sub}: {refused:?}");
    }
    let step = refresh(Answer::new(400, error("interaction_required"))).await;
    assert!(matches!(step, ProviderError::UserActionRequired(_)), "{step:?}");
}

/// Proves: RF6
#[tokio::test]
async fn rf6_a_refused_client_is_the_operators_fault() {
    for answer in [
        Answer::new(401, error("invalid_client")),
        Answer::new(400, error("unauthorized_client")),
        Answer::new(200, error("incorrect_client_credentials")),
        Answer::new(401, ""),
    ] {
        let refused = refresh(answer).await;
        assert!(matches!(refused, ProviderError::ClientRejected(_)), "{refused:?}");
        assert_eq!(refused.reason(), Reason::ProviderClientRejected);
        assert!(!refused.is_terminal());
    }
}

/// Proves: RF6
#[tokio::test]
async fn rf6_server_errors_cost_nothing_whatever_they_say() {
    for (status, body) in [
        (500, error("invalid_grant")),
        (502, "<html>bad gateway".to_owned()),
        (503, String::new()),
        (408, String::new()),
        (504, error("invalid_client")),
    ] {
        let down = refresh(Answer::new(status, body)).await;
        assert!(
            matches!(&down, ProviderError::Unavailable { trouble: Trouble::Status(s), .. } if *s == status),
            "{down:?}"
        );
        assert_eq!(down.reason(), Reason::ProviderUnavailable);
        assert!(down.maybe_received());
    }
    for code in ["temporarily_unavailable", "server_error"] {
        let down = refresh(Answer::new(400, error(code))).await;
        assert!(matches!(down, ProviderError::Unavailable { trouble: Trouble::Said(_), .. }), "{down:?}");
    }
    let page = refresh(Answer::new(200, "<html>log in</html>").with("content-type", "text/html")).await;
    assert!(matches!(page, ProviderError::Unavailable { trouble: Trouble::Html, .. }), "{page:?}");
}

/// Proves: RF6, RF9
#[tokio::test]
async fn rf9_the_providers_wish_to_wait_is_passed_on() {
    // 2027-01-15T08:00:00Z is where the clock stands.
    for (header, expected) in [
        ("7", Some(7)),
        ("0", Some(0)),
        ("Fri, 15 Jan 2027 08:00:30 GMT", Some(30)),
        ("Fri, 15 Jan 2027 07:00:00 GMT", Some(0)),
        ("99999999999999999999", Some(3_600)),
        ("86400", Some(3_600)),
        ("soon", None),
        ("-5", None),
    ] {
        let slow = refresh(Answer::new(429, "<html>").with("retry-after", header)).await;
        assert!(matches!(slow, ProviderError::RateLimited { .. }), "{slow:?}");
        assert_eq!(slow.retry_after(), expected.map(Duration::from_secs), "{header}");
        assert_eq!(slow.reason(), Reason::ProviderRateLimited);
    }
    let down = refresh(Answer::new(503, "").with("retry-after", "9")).await;
    assert_eq!(down.retry_after(), Some(Duration::from_secs(9)));
    let said =
        refresh(Answer::new(200, r#"{"ok":false,"error":"ratelimited"}"#).with("retry-after", "3")).await;
    assert_eq!(
        (said.reason(), said.retry_after()),
        (Reason::ProviderRateLimited, Some(Duration::from_secs(3)))
    );
}

/// Proves: RF6
#[tokio::test]
async fn rf6_scopes_and_other_refusals_are_classes_of_their_own() {
    let scope = refresh(Answer::new(400, error("invalid_scope"))).await;
    assert!(matches!(scope, ProviderError::ScopeRejected(_)), "{scope:?}");
    for body in [error("invalid_request"), r#"{"ok":false}"#.to_owned(), r#"{"error":{"x":1}}"#.to_owned()] {
        let other = refresh(Answer::new(400, body)).await;
        assert!(matches!(other, ProviderError::Refused(_)) && !other.is_terminal(), "{other:?}");
    }
}

#[tokio::test]
async fn an_error_prints_nothing_but_a_bounded_code() {
    let long = "x".repeat(65);
    for code in ["invalid grant", "canary\\u001b[31m", long.as_str(), "<canary>"] {
        let refused = refresh(Answer::new(400, error(code))).await;
        let printed = format!("{refused} {refused:?}");
        assert!(printed.contains("unreadable") && !printed.contains("canary"), "{printed}");
        assert!(!printed.contains(&long));
    }
}

/// Proves: RF6
#[tokio::test]
async fn rf6_a_slow_answer_and_a_silent_host_cost_nothing_and_say_whether_anything_was_sent() {
    let fake = Fake::start().await;
    fake.will(Answer::never_ending());
    let (_, hasty) = engine(Duration::from_millis(300));
    let spec_of_fake = spec(&fake.base);
    let slow = hasty.refresh(&spec_of_fake, opened("rt"), None, &set("read")).await.unwrap_err();
    assert!(
        matches!(slow, ProviderError::Unavailable { trouble: Trouble::Net(NetError::Timeout), .. }),
        "{slow:?}"
    );
    assert!(slow.maybe_received() && !slow.is_terminal());

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let silent = patient().refresh(&spec(&base), opened("rt"), None, &set("read")).await.unwrap_err();
    assert!(
        matches!(silent, ProviderError::Unavailable { trouble: Trouble::Net(NetError::Connect), .. }),
        "{silent:?}"
    );
    assert!(!silent.maybe_received() && !silent.is_terminal());
}
