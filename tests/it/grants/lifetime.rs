//! How long a grant lasts, and the truth about its token's own life.

use std::time::{Duration, SystemTime};

use broker_client::{Grant, Lifetime};
use broker_tests::stage::{READ, Stage, granted, refused};
use demo::world::{ALICE, Options, Workload::TicketHelper};

/// Seconds from now to the end of the grant.
fn lasts(stage: &Stage, grant: &Grant) -> i64 {
    unix(grant.expire_time) - stage.world.clock().now().unix_seconds()
}

fn unix(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs())
        .expect("in range")
}

/// Policy allows 15 minutes; the SaaS's tokens live 10, assertions an hour.
///
/// Proves: GR2
#[tokio::test]
async fn a_grant_ends_with_whatever_ends_first() {
    let stage = Stage::start().await;
    let client = stage.client(TicketHelper);
    let by_token = stage.connect(&ALICE, TicketHelper, READ).await;
    assert_eq!(lasts(&stage, &by_token), 600);
    assert_eq!(by_token.lifetime, Lifetime::Enforced);
    assert_eq!(by_token.token_expire_time, Some(by_token.expire_time));

    let asked = stage.request(&ALICE, TicketHelper, READ).ttl(Duration::from_secs(30));
    let by_request = granted(client.issue_grant(&asked).await);
    assert_eq!((lasts(&stage, &by_request), by_request.lifetime), (30, Lifetime::OutlivesGrant));
    assert_eq!(by_request.token_expire_time, by_token.token_expire_time);

    stage.world.sso().set_id_token_lifetime(90);
    let by_assertion = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!((lasts(&stage, &by_assertion), by_assertion.lifetime), (90, Lifetime::OutlivesGrant));

    stage.world.sso().set_id_token_lifetime(3600);
    stage.world.notes().set_access_lifetime(7200);
    stage.clock.advance(Duration::from_secs(590));
    let by_policy = stage.grant(&ALICE, TicketHelper, READ).await;
    assert_eq!((lasts(&stage, &by_policy), by_policy.lifetime), (900, Lifetime::OutlivesGrant));
    assert_eq!(stage.facts(&by_policy).expires_at, by_policy.token_expire_time.map(unix));
    stage.stop().await;
}

/// Proves: GR2
#[tokio::test]
async fn a_token_about_to_end_is_not_handed_out() {
    let stage = Stage::start().await;
    let first = stage.connect(&ALICE, TicketHelper, READ).await;
    for ahead in [590, 9, 2, 1000] {
        stage.clock.advance(Duration::from_secs(ahead));
        let grant = stage.grant(&ALICE, TicketHelper, READ).await;
        assert!(stage.facts(&grant).live && lasts(&stage, &grant) > 5);
    }
    assert!(!stage.facts(&first).live);
    stage.stop().await;
}

/// Proves: GR2, ID1
#[tokio::test]
async fn an_assertion_that_ended_meanwhile_is_refused_also_when_it_was_seen_before() {
    let stage = Stage::start().await;
    stage.connect(&ALICE, TicketHelper, READ).await;
    stage.world.sso().set_id_token_lifetime(120);
    let request = stage.request(&ALICE, TicketHelper, READ);
    granted(stage.client(TicketHelper).issue_grant(&request).await);
    stage.clock.advance(Duration::from_secs(300));
    assert_eq!(refused(stage.client(TicketHelper).issue_grant(&request).await), "ASSERTION_EXPIRED");
    stage.stop().await;
}

const LONG_LIVED: &str = r#"
@id("long-lived-notes") @max_ttl("15m") @long_lived("allow")
permit (principal is Broker::Subject, action == Broker::Action::"issue", resource is Broker::Scope)
when { principal.roles.contains("notes-users") };
"#;

/// Proves: GR10
#[tokio::test]
async fn a_token_that_outlives_its_grant_by_far_needs_a_rule_that_says_so() {
    for (policy, allowed) in [("", false), (LONG_LIVED, true)] {
        let options = Options { extra_policy: policy.to_owned(), ..Options::default() };
        let stage = Stage::with(options).await;
        stage.world.notes().set_access_lifetime(3 * 86_400);
        let consent = stage.consent(&ALICE, TicketHelper, READ).await;
        stage.walk(&ALICE, &consent).await;
        let outcome = stage.ask(&ALICE, TicketHelper, READ).await;
        let event = stage.database().await.last_event().await;
        if allowed {
            let grant = granted(outcome);
            assert_eq!((lasts(&stage, &grant), grant.lifetime), (900, Lifetime::OutlivesGrant));
            assert_eq!(event.body.pointer("/policy/inputs/token_outlives_bound"), Some(&true.into()));
            assert!(event.texts("/policy/rules").contains(&"long-lived-notes"));
        } else {
            assert_eq!(refused(outcome), "TOKEN_OUTLIVES_GRANT");
            assert_eq!((event.outcome.as_str(), event.reason.as_str()), ("denied", "TOKEN_OUTLIVES_GRANT"));
        }
        stage.stop().await;
    }
}

/// Proves: GR10
#[tokio::test]
async fn a_token_that_never_ends_is_said_to_be_one() {
    for (policy, allowed) in [("", false), (LONG_LIVED, true)] {
        let never = |config: String| {
            config.replace(
                "rotation: family_revoking",
                "rotation: family_revoking\n    tokens_never_expire: true",
            )
        };
        let options = Options {
            extra_policy: policy.to_owned(),
            amend_config: Some(Box::new(never)),
            ..Options::default()
        };
        let stage = Stage::with(options).await;
        let absent = demo::saas::Fault::ExpiresIn(demo::saas::ExpiresIn::Absent);
        stage.world.notes().script(absent, 1);
        let consent = stage.consent(&ALICE, TicketHelper, READ).await;
        stage.walk(&ALICE, &consent).await;
        let outcome = stage.ask(&ALICE, TicketHelper, READ).await;
        if allowed {
            let grant = granted(outcome);
            assert_eq!((grant.token_expire_time, grant.lifetime), (None, Lifetime::OutlivesGrant));
            assert_eq!(lasts(&stage, &grant), 900);
        } else {
            assert_eq!(refused(outcome), "TOKEN_OUTLIVES_GRANT");
        }
        stage.stop().await;
    }
}
