//! Deadlines and repeats.

use super::fake::{Step, failure};
use super::{Bench, granted, request};
use crate::{Assertion, Client, Credential, Error, GrantRequest};
use std::collections::HashSet;
use std::time::Duration;
use tonic::Code;

/// Reads `grpc-timeout`: up to 8 digits and a unit.
fn timeout(value: Option<String>) -> Duration {
    let value = value.expect("grpc-timeout");
    let (number, unit) = value.split_at(value.len() - 1);
    let number: u64 = number.parse().expect("digits");
    match unit {
        "n" => Duration::from_nanos(number),
        "u" => Duration::from_micros(number),
        "m" => Duration::from_millis(number),
        "S" => Duration::from_secs(number),
        other => panic!("unit {other}"),
    }
}

/// Proves: CL1
#[tokio::test]
async fn cl1_every_call_carries_credential_deadline_and_fields() {
    let bench = Bench::new().await;
    let wanted = request().connection("con_1").resource("https://api.example").ttl(Duration::from_secs(90));
    let grant = granted(bench.client.issue_grant(&wanted).await);
    assert_eq!(grant.access_token.expose(), "token-canary-1");
    assert_eq!(grant.header_value().as_str(), "Bearer token-canary-1");
    bench.client.list_connections(&Assertion::new("a")).await.expect("list");
    bench.client.withdraw_approval("con_1", &Assertion::new("a")).await.expect("withdraw");
    for seen in bench.fake.seen() {
        assert_eq!(seen.authorization.as_deref(), Some("Bearer workload-secret"), "{}", seen.method);
        assert_eq!(timeout(seen.timeout), Duration::from_secs(10), "{}", seen.method);
    }
    let message = bench.fake.seen()[0].message.clone().expect("message");
    assert_eq!(message.assertion, "assertion-of-alice");
    assert_eq!(
        (message.provider.as_str(), message.tool.as_str(), message.purpose.as_str()),
        ("notes", "list", "Show notes")
    );
    assert_eq!(
        (message.connection.as_deref(), message.resource.as_deref()),
        (Some("con_1"), Some("https://api.example"))
    );
    assert_eq!(message.ttl.map(|ttl| ttl.seconds), Some(90));
}

/// Proves: CL1
#[tokio::test]
async fn cl1_unavailable_is_repeated_with_the_same_request_id_and_not_before_the_delay() {
    let bench = Bench::new().await;
    let delay = Duration::from_secs(2);
    bench.fake.script([
        Step::Fail(failure(Code::Unavailable, "AUDIT_UNAVAILABLE", Some(delay))),
        Step::Fail(failure(Code::ResourceExhausted, "RATE_LIMITED", Some(delay))),
    ]);
    granted(bench.client.issue_grant(&request()).await);
    let seen = bench.fake.seen();
    let ids: HashSet<_> = seen.iter().map(|seen| seen.request_id.clone().expect("request id")).collect();
    assert_eq!((seen.len(), ids.len()), (3, 1));
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    assert!(bench.clock.sleeps().iter().all(|slept| *slept >= delay), "{:?}", bench.clock.sleeps());
    // The deadline covers all attempts together.
    assert!(timeout(seen[2].timeout.clone()) <= Duration::from_secs(6));

    granted(bench.client.issue_grant(&request()).await);
    let last = bench.fake.seen()[3].request_id.clone().expect("request id");
    assert!(!ids.contains(&last), "another call is another request");
    granted(bench.client.issue_grant(&request().request_id("mine")).await);
    assert_eq!(bench.fake.seen()[4].request_id.as_deref(), Some("mine"));
}

/// Proves: CL1
#[tokio::test]
async fn cl1_refusals_and_unsafe_calls_are_never_repeated() {
    let bench = Bench::new().await;
    let refusals = [
        failure(Code::PermissionDenied, "POLICY_DENIED", None),
        failure(Code::ResourceExhausted, "TOO_MANY_CONSENTS", None),
        failure(Code::Internal, "INTERNAL", None),
        failure(Code::Aborted, "REQUEST_ID_STALE", None),
    ];
    for (index, status) in refusals.into_iter().enumerate() {
        bench.fake.script([Step::Fail(status)]);
        bench.client.issue_grant(&request()).await.expect_err("refused");
        assert_eq!(bench.fake.seen().len(), index + 1);
    }
    bench.fake.script([Step::Fail(failure(Code::Unavailable, "STORE_UNAVAILABLE", None))]);
    let error = bench.client.withdraw_approval("con_1", &Assertion::new("a")).await.expect_err("unavailable");
    assert_eq!(error.reason(), "STORE_UNAVAILABLE");
    assert_eq!(bench.fake.seen().len(), 5);
    assert!(bench.clock.sleeps().is_empty());
}

/// Proves: CL1
#[tokio::test]
async fn cl1_repeats_end_with_attempts_or_with_the_deadline() {
    let bench = Bench::new().await;
    let down = || Step::Fail(failure(Code::Unavailable, "STORE_UNAVAILABLE", None));
    bench.fake.script([down(), down(), down(), down(), down()]);
    bench.client.issue_grant(&request()).await.expect_err("down");
    assert_eq!((bench.fake.seen().len(), bench.clock.sleeps().len()), (4, 3));

    let bench = Bench::new().await;
    let far = Duration::from_secs(60);
    bench.fake.script([Step::Fail(failure(Code::Unavailable, "OVERLOADED", Some(far)))]);
    let error = bench.client.issue_grant(&request()).await.expect_err("overloaded");
    assert!(matches!(error, Error::Unavailable(_)));
    assert_eq!((error.reason(), error.retry_after()), ("OVERLOADED", Some(far)));
    assert_eq!(bench.fake.seen().len(), 1);
}

/// Proves: CL1
#[tokio::test]
async fn cl1_a_broker_that_never_answers_costs_no_more_than_the_deadline() {
    let bench = Bench::new().await;
    bench.fake.script([Step::Hang]);
    let client = Client::builder(bench.fake.address())
        .credential(Credential::secret("workload-secret"))
        .deadline(Duration::from_millis(50))
        .connect()
        .await
        .expect("client");
    let error = client.issue_grant(&request()).await.expect_err("hangs");
    assert!(matches!(error, Error::DeadlineExceeded(_)), "{error:?}");
    assert_eq!(bench.fake.seen().len(), 1);
}

/// Proves: CL1
#[tokio::test]
async fn cl1_a_broker_that_is_away_is_unavailable() {
    let bench = Bench::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let client = Client::builder(format!("http://127.0.0.1:{port}"))
        .credential(Credential::secret("workload-secret"))
        .clock(bench.clock.clone())
        .connect()
        .await
        .expect("client");
    let error = client.issue_grant(&request()).await.expect_err("nobody there");
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!((error.reason(), bench.clock.sleeps().len()), ("TRANSPORT", 3));
}

/// Proves: CL1
#[tokio::test]
async fn cl1_senseless_answers_and_requests_are_typed_errors() {
    let bench = Bench::new().await;
    bench.fake.script([Step::Empty]);
    let error = bench.client.issue_grant(&request()).await.expect_err("empty");
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    let too_long = GrantRequest::new("a", "notes", ["s"]).ttl(Duration::MAX);
    let error = bench.client.issue_grant(&too_long).await.expect_err("ttl");
    assert!(matches!(error, Error::Configuration(_)), "{error:?}");
}
