//! The breaker (RF12), moved by the clock alone.

use super::{
    engine,
    fake::{Answer, Fake},
    opened, opened_in, set, spec,
};
use crate::{
    domain::{SystemClock, TenantId},
    provider::{
        ProviderError, Trouble,
        pacing::{CONCURRENT, FAILURES, Health, OPEN, Pacing},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Proves: RF9
#[tokio::test]
async fn rf9_repeated_failures_open_the_breaker_until_one_call_succeeds() {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let (clock, engine) = engine(Duration::from_secs(20));
    let (bad, mut good) = (spec(&fake.base), spec(&other.base));
    good.client.id = "client:2".to_owned();
    let held = set("read");
    let call = || engine.refresh(&bad, opened("rt"), None, &held);
    for _ in 0..FAILURES {
        fake.will(Answer::new(500, ""));
        let down = call().await.unwrap_err();
        assert!(matches!(down, ProviderError::Unavailable { trouble: Trouble::Status(500), .. }), "{down:?}");
    }
    let closed = call().await.unwrap_err();
    assert!(matches!(closed, ProviderError::Unavailable { trouble: Trouble::BreakerOpen, .. }), "{closed:?}");
    assert_eq!((closed.retry_after(), closed.maybe_received()), (Some(OPEN), false));
    assert_eq!(fake.asked().len(), FAILURES as usize, "an open breaker sends nothing");

    other.will(Answer::new(200, r#"{"access_token":"at"}"#));
    assert!(engine.refresh(&good, opened("rt"), None, &held).await.is_ok(), "others are not slowed");

    clock.advance(OPEN);
    fake.will(Answer::new(503, ""));
    assert!(matches!(call().await, Err(ProviderError::Unavailable { trouble: Trouble::Status(503), .. })));
    assert!(matches!(call().await, Err(ProviderError::Unavailable { trouble: Trouble::BreakerOpen, .. })));

    clock.advance(OPEN);
    for _ in 0..2 {
        fake.will(Answer::new(200, r#"{"access_token":"at"}"#));
        assert!(call().await.is_ok());
    }
}

/// Proves: RF12
#[tokio::test]
async fn rf12_what_one_tenant_meets_at_a_provider_is_nothing_to_another() {
    let fake = Fake::start().await;
    let (_, engine) = engine(Duration::from_secs(20));
    let (spec, held) = (spec(&fake.base), set("read"));
    for _ in 0..FAILURES {
        fake.will(Answer::new(500, ""));
        assert!(engine.refresh(&spec, opened("rt"), None, &held).await.is_err());
    }
    let closed = engine.refresh(&spec, opened("rt"), None, &held).await.unwrap_err();
    assert!(matches!(closed, ProviderError::Unavailable { trouble: Trouble::BreakerOpen, .. }), "{closed:?}");
    fake.will(Answer::new(200, r#"{"access_token":"at"}"#));
    assert!(engine.refresh(&spec, opened_in("other", "rt"), None, &held).await.is_ok());
}

/// Proves: RF6
#[tokio::test]
async fn rf6_refusals_and_rate_limits_do_not_open_the_breaker() {
    let fake = Fake::start().await;
    let (_, engine) = engine(Duration::from_secs(20));
    let (spec, held) = (spec(&fake.base), set("read"));
    for n in 0..FAILURES * 3 {
        let (status, body) =
            [(429, ""), (400, r#"{"error":"invalid_grant"}"#), (200, "<html>")][n as usize % 3];
        fake.will(Answer::new(status, body));
        assert!(engine.refresh(&spec, opened("rt"), None, &held).await.is_err());
    }
    assert_eq!(fake.asked().len(), FAILURES as usize * 3);
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_for_their_turn_and_other_hosts_do_not() {
    let pacing = Pacing::new(Arc::new(SystemClock::default()));
    let started = AtomicUsize::new(0);
    let tenant = TenantId::parse("acme").unwrap();
    let call = |host: &'static str, release: tokio::sync::oneshot::Receiver<()>| {
        let (started, tenant) = (&started, &tenant);
        let work = async move {
            started.fetch_add(1, Ordering::SeqCst);
            release.await.map_err(|_| ProviderError::protocol("not released"))
        };
        Box::pin(pacing.run(tenant, "client", host, work, |_| Health::Good))
    };
    let mut calls = Vec::new();
    let mut releases = Vec::new();
    for _ in 0..=CONCURRENT {
        let (release, released) = tokio::sync::oneshot::channel();
        releases.push(release);
        calls.push(call("slow.example", released));
    }
    for one in &mut calls {
        assert!(futures::poll!(one.as_mut()).is_pending());
    }
    assert_eq!(started.load(Ordering::SeqCst), CONCURRENT, "one waits");

    let (release, released) = tokio::sync::oneshot::channel();
    release.send(()).unwrap();
    call("other.example", released).await.unwrap();

    for release in releases {
        release.send(()).unwrap();
    }
    futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(started.load(Ordering::SeqCst), CONCURRENT + 2);
}
