//! One cached token never answers for somebody or something else.

use broker_tests::stage::{READ, READ_WRITE, Stage, account_of};
use demo::world::{ALICE, BOB, PROVIDER, Workload, Workload::TicketHelper};
use tokio::task::JoinSet;

/// Proves: GR4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_servers_and_scopes_asked_for_at_once_never_cross() {
    let stage = Stage::start().await;
    for person in [&ALICE, &BOB] {
        for workload in Workload::ALL {
            stage.connect(person, workload, READ_WRITE).await;
        }
    }
    let mut calls = JoinSet::new();
    for turn in 0..10 {
        for person in [&ALICE, &BOB] {
            for workload in Workload::ALL {
                for scopes in [READ, READ_WRITE] {
                    let mut asked = scopes.to_vec();
                    // Order does not matter.
                    if turn % 2 == 0 {
                        asked.reverse();
                    }
                    let (client, request) =
                        (stage.client(workload).clone(), stage.request(person, workload, &asked));
                    calls
                        .spawn(async move { (person, workload, scopes, client.issue_grant(&request).await) });
                }
            }
        }
    }
    let mut seen = 0;
    while let Some(call) = calls.join_next().await {
        let (person, workload, scopes, outcome) = call.expect("no panic");
        let grant = broker_tests::stage::granted(outcome);
        let facts = stage.facts(&grant);
        assert_eq!(facts.account, account_of(person));
        assert_eq!((&facts.scopes[..], &grant.scopes[..]), (&grant.scopes[..], &facts.scopes[..]));
        assert_eq!(facts.scopes, scopes);
        assert_eq!(grant.account_label, person.notes.name);
        let event = stage.database().await.event(&grant.id).await;
        assert_eq!(
            (event.text("/workload"), event.text("/connection")),
            (workload.id(), &grant.connection_id[..])
        );
        seen += 1;
    }
    assert_eq!(seen, 80);
    stage.stop().await;
}

/// Nothing but the access token itself is a token, and nothing is the assertion.
///
/// Proves: GR3
#[tokio::test]
async fn an_answer_holds_neither_the_assertion_nor_a_refresh_token() {
    let stage = Stage::start().await;
    let first = stage.connect(&ALICE, TicketHelper, READ_WRITE).await;
    let assertion = stage.world.assertion(&ALICE, TicketHelper);
    let request = broker_client::GrantRequest::new(assertion.as_str(), PROVIDER, READ.iter().copied());
    let second = broker_tests::stage::granted(stage.client(TicketHelper).issue_grant(&request).await);
    for grant in [first, second] {
        assert_eq!(stage.facts(&grant).generation, None, "an access token");
        let (stream, _) = &grant.audit_position;
        let texts = [
            &grant.id,
            &grant.header_name,
            &grant.header_value_prefix,
            &grant.connection_id,
            &grant.account_label,
            stream,
        ];
        for text in texts {
            assert!(stage.world.notes().introspect(text).is_none());
            assert!(!text.contains(&assertion) && !text.contains(grant.access_token.expose()));
        }
        assert_ne!(grant.access_token.expose(), assertion);
    }
    stage.stop().await;
}
