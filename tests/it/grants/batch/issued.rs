//! Everything is at hand: n grants, one commit.

use broker_proto::v1::batch_issue_grants_response::Outcome;
use broker_tests::composite::{Composite, TASKS, both, item};
use demo::world::{ALICE, BOB, PROVIDER, Workload::ReportWriter, Workload::TicketHelper};

/// Proves: GR6, AU1
#[tokio::test]
async fn gr6_all_items_are_issued_by_one_commit_in_the_order_asked_for() {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    let grants = duo.granted(&ALICE, both()).await;
    assert_eq!(grants.len(), 2);
    assert_ne!(grants[0].connection_id, grants[1].connection_id);
    assert_ne!(grants[0].access_token, grants[1].access_token);
    let mut database = duo.stage.database().await;
    for (grant, provider) in grants.iter().zip([PROVIDER, TASKS]) {
        let facts = duo.stage.world.notes().introspect(&grant.access_token).expect("a token of the SaaS");
        assert!(facts.live && facts.scopes == ["notes.read"]);
        let event = database.event(&grant.id).await;
        assert_eq!((event.kind.as_str(), event.outcome.as_str()), ("grant.issue", "allowed"));
        assert_eq!((event.text("/provider"), event.text("/tool")), (provider, "plan_week"));
        assert_eq!(event.text("/detail/batch"), grants[0].id);
        let position = grant.audit_position.as_ref().expect("a position");
        assert_eq!((&position.stream, position.seq), (&event.stream, u64::try_from(event.seq).unwrap()));
    }
    let seqs: Vec<u64> = grants.iter().map(|g| g.audit_position.as_ref().expect("a position").seq).collect();
    assert_eq!(seqs[0] + 1, seqs[1], "side by side in the log");
    duo.stop().await;
}

/// Proves: GR6, GR4
#[tokio::test]
async fn gr6_two_items_at_one_provider_each_get_their_own_narrow_token() {
    let duo = Composite::start().await;
    duo.stage.connect(&ALICE, TicketHelper, &["notes.read", "notes.write"]).await;
    let items = vec![item(PROVIDER, &["notes.write"]), item(PROVIDER, &["notes.read"])];
    let grants = duo.granted(&ALICE, items).await;
    assert_eq!(
        (&grants[0].scopes[..], &grants[1].scopes[..]),
        (&["notes.write".to_owned()][..], &["notes.read".to_owned()][..])
    );
    for grant in &grants {
        let facts = duo.stage.world.notes().introspect(&grant.access_token).expect("a token of the SaaS");
        assert_eq!(facts.scopes, grant.scopes, "each can do no more than it says");
    }
    duo.stop().await;
}

/// Proves: GR6, CO8
#[tokio::test]
async fn gr6_a_batch_stands_on_the_approvals_of_its_own_workload_and_person() {
    let duo = Composite::start().await;
    let required = duo.needed(&ALICE, both()).await;
    duo.walk(&ALICE, &required).await;
    let writers = duo.request(&ALICE, ReportWriter, both());
    let answer = duo.send(ReportWriter, writers).await.expect("an outcome");
    let Outcome::ConsentRequired(writers) = answer else { panic!("she approved the ticket helper alone") };
    assert!(writers.items.iter().all(|item| item.standing.is_some()));
    assert_ne!(writers.url, required.url);
    assert!(matches!(duo.ask(&BOB, both()).await, Ok(Outcome::ConsentRequired(_))));
    duo.stop().await;
}
