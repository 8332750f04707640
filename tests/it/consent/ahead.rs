//! Connections in use are refreshed by the broker itself, a little before their callers would have to wait for it.

use std::time::Duration;

use broker::worker;
use broker_tests::operator::{Operator, person};
use broker_tests::stage::{READ, Stage};
use demo::saas::Event;
use demo::walk;
use demo::world::{ALICE, Options, Workload::TicketHelper};

/// Of an access token at the SaaS.
const LIFE: u64 = 600;
/// As configured here: callers refresh this long before its end, the broker half as much earlier at most.
const MARGIN: u64 = 60;

async fn stage(provider: &'static str, refresh: &'static str) -> Stage {
    let amend = move |text: String| {
        let lines = format!("rotation: family_revoking\n    refresh_margin: {MARGIN}s{provider}");
        text.replace("rotation: family_revoking", &lines)
    };
    let options = Options {
        amend_config: Some(Box::new(amend)),
        extra_config: refresh.to_owned(),
        ..Options::default()
    };
    let stage = Stage::with(options).await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage
}

fn refreshes(stage: &Stage) -> usize {
    stage.world.notes().truth().iter().filter(|event| matches!(event, Event::Refreshed { .. })).count()
}

/// So many rounds of background work; how often the provider was asked in them.
async fn rounds(stage: &Stage, count: usize) -> usize {
    let before = refreshes(stage);
    for _ in 0..count {
        worker::round(stage.world.rooms()).await;
    }
    refreshes(stage) - before
}

/// Proves: RF10
#[tokio::test]
async fn rf10_a_connection_in_use_is_refreshed_once_and_before_anybody_waits_for_it() {
    let stage = stage("", "").await;
    stage.clock.advance(Duration::from_secs(LIFE - MARGIN - MARGIN / 2 - 5));
    assert_eq!(rounds(&stage, 10).await, 0, "too early, whatever the jitter");
    stage.clock.advance(Duration::from_secs(MARGIN / 2 + 5));
    assert_eq!(rounds(&stage, 3).await, 1, "at the latest when a caller would do it; once");
    let grant = stage.grant(&ALICE, TicketHelper, READ).await;
    assert!(stage.facts(&grant).live);
    assert_eq!(refreshes(&stage), 1, "nobody waits for the provider");
    let mut database = stage.database().await;
    let noted = "SELECT count(*) FROM audit_events WHERE kind = 'refresh.intent' AND workload = ''";
    assert_eq!(database.text(noted).await, "1", "by the broker itself");
    database.close().await;
    stage.stop().await;
}

/// Proves: RF10
#[tokio::test]
async fn rf10_what_nobody_used_or_whose_owner_is_blocked_is_left_alone() {
    let unused = stage("", "refresh: { used_within: 5m }").await;
    unused.clock.advance(Duration::from_secs(LIFE - MARGIN));
    assert_eq!(rounds(&unused, 3).await, 0, "used nine minutes ago");
    unused.stop().await;

    let off = stage("", "refresh: { ahead: false }").await;
    off.clock.advance(Duration::from_secs(LIFE - MARGIN));
    assert_eq!(rounds(&off, 3).await, 0);
    off.stop().await;

    let blocked = stage("", "").await;
    let operator = Operator::of(&blocked.world);
    operator.block(person(&ALICE)).await.expect("blocked");
    blocked.clock.advance(Duration::from_secs(LIFE - MARGIN));
    assert_eq!(rounds(&blocked, 3).await, 0);
    operator.unblock(person(&ALICE)).await.expect("lifted");
    assert_eq!(rounds(&blocked, 3).await, 1);
    blocked.stop().await;
}

/// Where a refresh would be refused, or would end a token that is in somebody's hands, nothing happens before its end.
///
/// Proves: RF10
#[tokio::test]
async fn rf10_no_refresh_is_too_early_for_its_provider() {
    for provider in ["\n    refuses_early_refresh: true", "\n    refresh_kills_access_token: true"] {
        let stage = stage(provider, "").await;
        let first = stage.grant(&ALICE, TicketHelper, READ).await;
        stage.clock.advance(Duration::from_secs(LIFE - 10));
        assert_eq!(rounds(&stage, 3).await, 0, "{provider}");
        let last = stage.grant(&ALICE, TicketHelper, READ).await;
        assert_eq!(
            last.access_token.expose(),
            first.access_token.expose(),
            "it serves to its end: {provider}"
        );
        stage.clock.advance(Duration::from_secs(10));
        assert_eq!(rounds(&stage, 3).await, 1, "{provider}");
        stage.stop().await;
    }
}

/// A refresh token that may lie idle for a day only is used in time, and an absolute limit is known from the start.
///
/// Proves: RF10
#[tokio::test]
async fn rf10_idle_and_absolute_limits_are_known_and_the_idle_one_is_kept() {
    let stage = stage("\n    idle_limit: 1d\n    absolute_limit: 90d", "").await;
    stage.world.notes().set_access_lifetime(12 * 3600);
    stage.clock.advance(Duration::from_secs(LIFE));
    stage.grant(&ALICE, TicketHelper, READ).await;
    let before = refreshes(&stage);
    assert_eq!(before, 1, "from now on its token lives for half a day");
    stage.clock.advance(Duration::from_secs(5 * 3600));
    assert_eq!(rounds(&stage, 2).await, 0);
    stage.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(rounds(&stage, 2).await, 1, "a quarter of the day is over");
    let mut database = stage.database().await;
    let days = "SELECT (expires_at - created_at) / 86400000000 FROM connections";
    assert_eq!(database.text(days).await, "90");
    database.close().await;
    stage.stop().await;
}

const DAY: Duration = Duration::from_secs(86400);

/// What an administrator and the person are told of the end of alice's connection, in whole days from now.
async fn days_left(stage: &Stage) -> Option<i64> {
    let listed = Operator::of(&stage.world).list(10, String::new()).await.expect("a list");
    let ends = listed.connections[0].expire_time.map(|at| at.seconds);
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(&format!("{}/connections", stage.world.web_url())).await.expect("a page");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    assert_eq!(page.text().contains("Connect again before"), ends.is_some(), "{}", page.text());
    ends.map(|at| (at - stage.world.clock().now().micros() / 1_000_000) / 86400)
}

async fn counted(stage: &Stage) -> Option<String> {
    worker::round(stage.world.rooms()).await;
    let metrics = stage.world.rooms().metrics.render();
    let line = metrics
        .lines()
        .find(|line| line.starts_with("broker_connections_ending{provider=\"notes\"}"))
        .map(str::to_owned)?;
    Some(line.rsplit(' ').next()?.to_owned())
}

/// An absolute limit is told from the start, and an idle one as soon as nothing keeps it from passing; operators see how many end soon.
///
/// Proves: RF10
#[tokio::test]
async fn rf10_who_must_connect_again_is_told_before_it_is_too_late() {
    let absolute = stage("\n    absolute_limit: 90d", "").await;
    assert_eq!((days_left(&absolute).await, counted(&absolute).await.as_deref()), (Some(90), Some("0")));
    absolute.clock.advance(DAY * 80);
    assert_eq!((days_left(&absolute).await, counted(&absolute).await.as_deref()), (Some(10), Some("1")));
    absolute.stop().await;

    // In use within a day it is kept; after that nobody does.
    let idle = stage("\n    idle_limit: 20d", "refresh: { used_within: 1d }").await;
    assert_eq!((days_left(&idle).await, counted(&idle).await.as_deref()), (None, Some("0")));
    idle.clock.advance(DAY * 11);
    assert_eq!((days_left(&idle).await, counted(&idle).await.as_deref()), (Some(9), Some("1")));
    idle.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!((days_left(&idle).await, counted(&idle).await.as_deref()), (None, Some("0")), "used again");
    idle.stop().await;

    let unlimited = stage("", "").await;
    assert_eq!((days_left(&unlimited).await, counted(&unlimited).await), (None, None));
    unlimited.stop().await;
}
