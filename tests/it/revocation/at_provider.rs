//! What a revoke does at the SaaS, and what the answer says of it.

use broker::worker;
use broker_proto::v1::ProviderRevocation;
use broker_tests::operator::Operator;
use broker_tests::stage::{READ, READ_WRITE, Stage};
use demo::saas::{Endpoint, Event, Fault, RevokedKind};
use demo::world::{ALICE, Options, Workload::TicketHelper};
use std::time::Duration;

fn revoked(events: &[Event]) -> Vec<RevokedKind> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Revoked { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect()
}

/// Proves: RV1, RV8
#[tokio::test]
async fn a_revoke_ends_the_family_and_its_live_access_tokens_at_the_provider() {
    let stage = Stage::start().await;
    let wide = stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let narrow = stage.grant(&ALICE, TicketHelper, READ).await;
    assert!(stage.facts(&wide).live && stage.facts(&narrow).live);
    let answer = Operator::of(&stage.world).revoke(&wide.connection_id).await.expect("revoked");
    assert_eq!(answer.provider_revocation(), ProviderRevocation::Revoked);
    assert_eq!(
        (answer.outstanding_grants_expire_time, answer.outstanding_grants_never_expire),
        (None, false)
    );
    assert!(!stage.facts(&wide).live && !stage.facts(&narrow).live);
    // The refresh token first.
    assert_eq!(revoked(&stage.world.notes().truth()).first(), Some(&RevokedKind::Family));
    let left = "SELECT count(*) FROM connection_secrets";
    assert_eq!(stage.database().await.text(left).await, "0", "nothing is kept of what is dead");
    stage.stop().await;
}

/// Proves: RV1, RV8
#[tokio::test]
async fn a_provider_that_is_down_is_told_later() {
    let stage = Stage::start().await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 2);
    let answer = Operator::of(&stage.world).revoke(&grant.connection_id).await.expect("revoked here");
    assert_eq!(answer.provider_revocation(), ProviderRevocation::FailedWillRetry);
    let until = answer.outstanding_grants_expire_time.expect("how long what is out may work");
    assert_eq!(Some(until.seconds), stage.facts(&grant).expires_at);
    assert!(stage.facts(&grant).live, "the SaaS does not know yet");
    stage.consent(&ALICE, TicketHelper, READ).await;

    // Not due yet: nobody is asked. Then it fails once more, then it works.
    worker::round(stage.world.rooms()).await;
    assert!(stage.facts(&grant).live);
    for live in [true, false] {
        stage.clock.advance(Duration::from_secs(120));
        worker::round(stage.world.rooms()).await;
        assert_eq!(stage.facts(&grant).live, live);
    }
    let results: Vec<String> = stage
        .database()
        .await
        .events()
        .await
        .iter()
        .filter(|event| event.kind == "provider_revocation.result")
        .map(|event| event.text("/detail/at_provider").to_owned())
        .collect();
    assert_eq!(results, ["failed_will_retry", "failed_will_retry", "revoked"]);
    assert_eq!(stage.database().await.text("SELECT count(*) FROM provider_revocations").await, "0");
    stage.stop().await;
}

/// The retry survives the broker.
///
/// Proves: RV1
#[tokio::test]
async fn a_provider_that_was_down_is_told_after_a_restart() {
    let stage = Stage::start().await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Html, 1);
    stage.world.notes().script_at(Endpoint::Revoke, Fault::Status500, 1);
    let answer = Operator::of(&stage.world).revoke(&grant.connection_id).await.expect("revoked here");
    let told = answer.provider_revocation();
    let stage = stage.restart(async |_| {}).await.expect("starts again");
    for _ in 0..3 {
        stage.clock.advance(Duration::from_secs(600));
        worker::round(stage.world.rooms()).await;
    }
    let family_ended = revoked(&stage.world.notes().truth()).contains(&RevokedKind::Family);
    assert!(family_ended, "the first answer was {told:?}");
    stage.stop().await;
}

/// Proves: RV1, RV8
#[tokio::test]
async fn a_provider_that_cannot_revoke_is_said_to_be_one() {
    let without = |config: String| {
        config
            .lines()
            .filter(|line| !line.contains("revocation_url"))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let stage = Stage::with(Options { amend_config: Some(Box::new(without)), ..Options::default() }).await;
    let grant = stage.connect(&ALICE, TicketHelper, READ).await;
    let answer = Operator::of(&stage.world).revoke(&grant.connection_id).await.expect("revoked here");
    assert_eq!(answer.provider_revocation(), ProviderRevocation::Unsupported);
    let until = answer.outstanding_grants_expire_time.expect("how long what is out may work");
    assert_eq!(Some(until.seconds), stage.facts(&grant).expires_at);
    stage.consent(&ALICE, TicketHelper, READ).await;
    stage.stop().await;
}
