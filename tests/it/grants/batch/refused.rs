//! One item is refused, or revoked meanwhile: so is the whole batch.

use broker_proto::v1::{batch_issue_grants_response::Outcome, block_target::Target};
use broker_tests::composite::{Composite, TASKS, both, item, reason};
use broker_tests::operator::{Operator, person};
use broker_tests::stage::READ;
use demo::saas::Fault;
use demo::world::{ALICE, BOB, Options, PROVIDER};
use std::time::Duration;

const NO_WRITING: &str = r#"
@id("nobody-writes-tasks") @reason("Tasks are read only.")
forbid (principal, action == Broker::Action::"issue", resource is Broker::Scope)
when { resource.provider == "tasks" && resource.access == "write" };
"#;

/// Proves: GR6, PO4, AU1
#[tokio::test]
async fn gr6_a_denied_item_refuses_the_batch_and_nobody_is_asked_to_connect() {
    let duo = Composite::with(Options { extra_policy: NO_WRITING.to_owned(), ..Options::default() }).await;
    let items = vec![item(PROVIDER, READ), item(TASKS, &["notes.write"])];
    assert_eq!(reason(duo.ask(&ALICE, items).await), ("POLICY_DENIED".to_owned(), Some("1".to_owned())));
    let mut database = duo.stage.database().await;
    let events = database.events().await;
    let rows = &events[events.len() - 2..];
    assert_eq!((rows[0].outcome.as_str(), rows[0].reason.as_str()), ("failed", "CONFLICT"));
    assert_eq!(rows[0].body.pointer("/detail/group_failed"), Some(&true.into()));
    assert_eq!((rows[1].outcome.as_str(), rows[1].reason.as_str()), ("denied", "POLICY_DENIED"));
    assert_eq!(rows[1].texts("/policy/rules"), ["nobody-writes-tasks"]);
    assert_eq!(database.text("SELECT CAST(count(*) AS TEXT) FROM consents").await, "0");
    assert_eq!(database.text("SELECT CAST(count(*) AS TEXT) FROM parent_pages").await, "0");
    duo.stop().await;
}

/// Proves: GR6
#[tokio::test]
async fn gr6_an_item_nobody_offers_names_itself() {
    let duo = Composite::start().await;
    let unknown = vec![item(PROVIDER, READ), item("mail", READ)];
    assert_eq!(reason(duo.ask(&ALICE, unknown).await), ("PROVIDER_UNKNOWN".to_owned(), Some("1".to_owned())));
    let scope = vec![item(PROVIDER, &["notes.delete"]), item(TASKS, READ)];
    assert_eq!(reason(duo.ask(&ALICE, scope).await), ("SCOPE_UNKNOWN".to_owned(), Some("0".to_owned())));
    duo.stop().await;
}

/// Proves: GR6, RV3
#[tokio::test]
async fn gr6_a_block_on_one_provider_or_person_ends_the_whole_batch() {
    let duo = Composite::start().await;
    for who in [&ALICE, &BOB] {
        let required = duo.needed(who, both()).await;
        duo.walk(who, &required).await;
    }
    let operator = Operator::of(&duo.stage.world);
    operator.block(Target::Provider(TASKS.to_owned())).await.expect("done");
    assert_eq!(reason(duo.ask(&ALICE, both()).await).0, "BLOCKED");
    assert_eq!(duo.granted(&ALICE, vec![item(PROVIDER, READ)]).await.len(), 1);
    operator.unblock(Target::Provider(TASKS.to_owned())).await.expect("done");
    operator.block(person(&BOB)).await.expect("done");
    assert_eq!(reason(duo.ask(&BOB, both()).await).0, "BLOCKED");
    assert_eq!(duo.granted(&ALICE, both()).await.len(), 2);
    duo.stop().await;
}

/// What was decided is not what counts: what stands at the commit is.
/// Proves: GR6, RV2
#[tokio::test]
async fn gr6_a_revoke_between_decision_and_commit_fails_all_of_it() {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    let grants = duo.granted(&ALICE, both()).await;
    // The token of the first has to be refreshed, which the provider holds up: decided, and not committed yet.
    duo.stage.clock.advance(Duration::from_secs(24 * 3600));
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    duo.stage.world.notes().script(Fault::SlowAnswer(release.clone()), 1);
    let refreshes = |log: &[demo::saas::Event]| {
        log.iter().filter(|e| matches!(e, demo::saas::Event::Refreshed { .. })).count()
    };
    let before = refreshes(&duo.stage.world.notes().truth());
    let batch = duo.ask(&ALICE, both());
    let revoke = async {
        duo.stage.world.notes().wait_until(|log| refreshes(log) >= before + 2).await;
        // One of the two answers is held back: the batch cannot be committed before it comes.
        let operator = Operator::of(&duo.stage.world);
        operator.block(Target::Provider(TASKS.to_owned())).await.expect("done");
        release.notify_one();
    };
    let (answer, ()) = tokio::join!(batch, revoke);
    assert_eq!(reason(answer).0, "BLOCKED");
    let events = duo.stage.database().await.events().await;
    let issued = events.iter().filter(|e| e.kind == "grant.issue" && e.outcome == "allowed").count();
    assert_eq!(issued, grants.len(), "only those from before");
    duo.stop().await;
}

/// Proves: GR6, RF6
#[tokio::test]
async fn gr6_a_provider_that_is_down_holds_back_the_others_grants() {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    duo.stage.clock.advance(Duration::from_secs(24 * 3600));
    duo.stage.world.notes().script(Fault::Status500, 1);
    let (why, item) = reason(duo.ask(&ALICE, both()).await);
    assert_eq!(why, "PROVIDER_UNAVAILABLE");
    assert!(item.is_some());
    let again = duo.ask(&ALICE, both()).await;
    match again {
        Ok(Outcome::Grants(_)) => {}
        other => {
            // Left alone for a moment after its failure.
            assert_eq!(reason(other).0, "PROVIDER_UNAVAILABLE");
            duo.stage.clock.advance(Duration::from_secs(120));
            assert_eq!(duo.granted(&ALICE, both()).await.len(), 2);
        }
    }
    duo.stop().await;
}
