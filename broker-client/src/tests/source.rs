//! The token source: what is remembered, for how long and for whom.

use super::fake::{Step, failure};
use super::{Bench, granted, request};
use crate::{Error, Grant, GrantRequest, Outcome, TokenSource};
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::Code;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn get(source: &TokenSource, request: &GrantRequest) -> Grant {
    granted(source.grant(request).await)
}

/// Proves: CL1, CL5
#[tokio::test]
async fn cl1_a_hundred_callers_make_one_request() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    bench.fake.close();
    let (waiting, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (source, waiting) = (source.clone(), waiting.clone());
        callers.spawn(async move {
            waiting.send(()).expect("counter");
            get(&source, &request()).await.id
        });
    }
    for _ in 0..100 {
        arrivals.recv().await.expect("arrival");
    }
    bench.fake.open();
    let ids = callers.join_all().await;
    assert!(ids.iter().all(|id| id == "evt_1"), "{ids:?}");
    assert_eq!(bench.fake.seen().len(), 1);
}

/// Proves: CL1
#[tokio::test]
async fn cl1_a_caller_who_goes_away_does_not_stop_the_request() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    bench.fake.close();
    let caller = tokio::spawn({
        let source = source.clone();
        async move { source.grant(&request()).await }
    });
    while bench.fake.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.expect_err("aborted").is_cancelled());
    bench.fake.open();
    assert_eq!(get(&source, &request()).await.id, "evt_1");
}

/// Proves: CL5, GR4
#[tokio::test]
async fn cl5_a_remembered_grant_answers_only_for_its_own_request() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    let first = get(&source, &request()).await;
    let reordered =
        GrantRequest::new("assertion-of-alice", "notes", ["notes.write", "notes.read", "notes.read"])
            .tool("list")
            .purpose("Show notes")
            .request_id("ignored");
    assert_eq!(get(&source, &reordered).await.id, first.id);
    let scopes = |scopes: &[&str]| {
        GrantRequest::new("assertion-of-alice", "notes", scopes.iter().copied())
            .tool("list")
            .purpose("Show notes")
    };
    let others = [
        scopes(&["notes.read"]),
        scopes(&["notes.readnotes.write"]),
        scopes(&["notes.read", "notes.write", "notes.share"]),
        GrantRequest::new("assertion-of-bob", "notes", ["notes.read", "notes.write"])
            .tool("list")
            .purpose("Show notes"),
        GrantRequest::new("assertion-of-alice", "mail", ["notes.read", "notes.write"])
            .tool("list")
            .purpose("Show notes"),
        request().connection("con_1"),
        request().connection(""),
        request().resource("con_1"),
        request().ttl(seconds(60)),
        request().tool("delete"),
        request().purpose("Something else"),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_eq!(get(&source, other).await.id, format!("evt_{}", index + 2), "{other:?}");
    }
}

/// Proves: CL5
#[tokio::test]
async fn cl5_nothing_is_handed_out_after_sixty_seconds_or_near_its_end() {
    let bench = Bench::new().await;
    let source =
        TokenSource::builder(bench.client.clone()).early_refresh(Duration::ZERO).build().expect("source");
    assert_eq!(get(&source, &request()).await.id, "evt_1");
    bench.clock.advance(Duration::from_millis(59_999));
    assert_eq!(get(&source, &request()).await.id, "evt_1");
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(get(&source, &request()).await.id, "evt_2");

    *bench.fake.shared().grant_life.lock().expect("life") = seconds(20);
    source.clear();
    assert_eq!(get(&source, &request()).await.id, "evt_3");
    bench.clock.advance(Duration::from_millis(14_999));
    assert_eq!(get(&source, &request()).await.id, "evt_3");
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(get(&source, &request()).await.id, "evt_4");

    *bench.fake.shared().grant_life.lock().expect("life") = seconds(5);
    source.clear();
    assert_eq!(get(&source, &request()).await.id, "evt_5");
    assert_eq!(get(&source, &request()).await.id, "evt_6", "a grant within its margin is not remembered");
    TokenSource::builder(bench.client.clone()).max_age(seconds(301)).build().expect_err("too old");
}

/// Proves: CL5
#[tokio::test]
async fn cl5_the_number_of_remembered_grants_is_bounded() {
    let bench = Bench::new().await;
    let source = TokenSource::builder(bench.client.clone()).max_entries(3).build().expect("source");
    let tool = |number: u32| request().tool(format!("tool{number}"));
    for number in 0..10 {
        get(&source, &tool(number)).await;
        bench.clock.advance(Duration::from_millis(1));
    }
    assert_eq!(format!("{source:?}"), "TokenSource { remembered: 3, .. }");
    for number in 7..10 {
        get(&source, &tool(number)).await;
    }
    assert_eq!(bench.fake.seen().len(), 10, "the newest three are remembered");
    get(&source, &tool(6)).await;
    assert_eq!(bench.fake.seen().len(), 11, "an older one is not");
}

/// Proves: CL5
#[tokio::test]
async fn cl5_a_rejected_grant_is_forgotten_everywhere() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    let (first, other) = (get(&source, &request()).await, get(&source, &request().tool("other")).await);
    source.rejected(&first);
    assert_eq!(get(&source, &request()).await.id, "evt_3");
    assert_eq!(get(&source, &request().tool("other")).await.id, other.id);
    // The same token under another grant is refused as well.
    let same_token = Grant { id: "evt_x".into(), ..other };
    source.rejected(&same_token);
    assert_eq!(get(&source, &request().tool("other")).await.id, "evt_4");
}

/// Proves: CL5
#[tokio::test]
async fn cl5_a_refresh_under_way_does_not_bring_a_rejected_token_back() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    let first = get(&source, &request()).await;
    bench.clock.advance(seconds(50));
    bench.fake.close();
    assert_eq!(get(&source, &request()).await.id, first.id);
    let refresh = source.under_way(&request()).expect("a refresh under way");
    source.rejected(&first);
    bench.fake.open();
    let refreshed = refresh.await;
    assert_eq!(granted(refreshed).id, "evt_2");
    assert_eq!(get(&source, &request()).await.id, "evt_3");
}

/// Proves: CL1, CL5
#[tokio::test]
async fn cl1_the_successor_is_fetched_early_in_the_background() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    get(&source, &request()).await;
    bench.clock.advance(seconds(44));
    get(&source, &request()).await;
    assert!(source.under_way(&request()).is_none(), "too early");
    bench.clock.advance(seconds(1));
    bench.fake.close();
    for _ in 0..10 {
        assert_eq!(get(&source, &request()).await.id, "evt_1", "nobody waits for it");
    }
    let refresh = source.under_way(&request()).expect("a refresh under way");
    bench.fake.open();
    granted(refresh.await);
    assert_eq!(get(&source, &request()).await.id, "evt_2");
    assert_eq!(bench.fake.seen().len(), 2);
}

/// Proves: CL5
#[tokio::test]
async fn cl5_an_early_refresh_that_is_refused_ends_the_grant_and_one_that_fails_does_not() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    let refresh = async |step: Vec<Step>| {
        source.clear();
        get(&source, &request()).await;
        bench.clock.advance(seconds(46));
        bench.fake.script(step);
        get(&source, &request()).await;
        let landing = source.under_way(&request()).expect("a refresh under way");
        let result = landing.await;
        let before = bench.fake.seen().len();
        get(&source, &request()).await;
        (result, bench.fake.seen().len() - before)
    };
    let down = || Step::Fail(failure(Code::Unavailable, "STORE_UNAVAILABLE", Some(seconds(60))));
    let (result, asked) = refresh(vec![down()]).await;
    assert!(matches!(result, Err(Error::Unavailable(_))));
    assert_eq!(asked, 0, "the grant is still good");
    let (result, asked) = refresh(vec![Step::Fail(failure(Code::PermissionDenied, "BLOCKED", None))]).await;
    assert!(matches!(result, Err(Error::Denied(_))));
    assert_eq!(asked, 1, "the broker said no");
    let (result, asked) = refresh(vec![Step::Consent]).await;
    assert!(matches!(result, Ok(Outcome::ConsentRequired(_))));
    assert_eq!(asked, 1, "the user is needed");
}

/// Proves: CL5
#[tokio::test]
async fn cl5_consents_and_failures_are_not_remembered() {
    let bench = Bench::new().await;
    let source = TokenSource::new(bench.client.clone());
    bench.fake.script([Step::Consent, Step::Fail(failure(Code::PermissionDenied, "POLICY_DENIED", None))]);
    assert!(matches!(source.grant(&request()).await, Ok(Outcome::ConsentRequired(_))));
    assert!(matches!(source.grant(&request()).await, Err(Error::Denied(_))));
    assert_eq!(get(&source, &request()).await.id, "evt_3");
}
