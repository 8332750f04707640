use std::cell::Cell;

use broker_proto::v1::IssueGrantRequest;
use broker_tests::rpc::{PATIENCE, Rpc};
use demo::world::{ALICE, Workload::TicketHelper};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tonic_types::StatusExt;

/// Sound values among the noise, so that some requests get past the first check.
fn text(sound: String) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(sound),
        3 => any::<String>(),
        1 => "\\PC{0,300}",
        1 => "[a-z0-9_.:/-]{0,80}",
        1 => vec(any::<char>(), 0..2000).prop_map(String::from_iter),
    ]
}

fn requests(sound: &IssueGrantRequest) -> impl Strategy<Value = IssueGrantRequest> + use<> {
    let ttl =
        (any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    (
        text(sound.assertion.clone()),
        text(sound.provider.clone()),
        vec(text("notes.read".to_owned()), 0..4),
        option::of(text(format!("con_{}", "0".repeat(26)))),
        option::of(text("https://notes.example/api".to_owned())),
        option::weighted(0.3, ttl),
        text("list_notes".to_owned()),
        text("to read".to_owned()),
        option::of(text("r-1".to_owned())),
    )
        .prop_map(
            |(assertion, provider, scopes, connection, resource, ttl, tool, purpose, request_id)| {
                IssueGrantRequest {
                    assertion,
                    provider,
                    scopes,
                    connection,
                    resource,
                    ttl,
                    tool,
                    purpose,
                    request_id,
                }
            },
        )
}

/// Proves: AU2, ID5
#[test]
fn au2_any_text_in_any_field_gets_a_documented_answer_and_one_row() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let rpc = runtime.block_on(Rpc::start());
    let sound = rpc.grant_request(&ALICE, TicketHelper);
    let refused = Cell::new(0_usize);
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&requests(&sound), |request| {
        runtime.block_on(async {
            let before = rpc.events().await.len();
            let call = rpc.by(TicketHelper, request);
            let answer = tokio::time::timeout(PATIENCE, rpc.grants().issue_grant(call)).await;
            let answer = answer.map_err(|_| TestCaseError::fail("a hang"))?;
            let new = rpc.events().await.split_off(before);
            let outcomes = new.iter().filter(|event| event["workload"] == "ticket-helper").count();
            prop_assert_eq!(outcomes, 1, "rows: {:#?}", new);
            if let Err(status) = answer {
                refused.set(refused.get() + 1);
                let details = status.get_error_details();
                let info = details.error_info().ok_or_else(|| TestCaseError::fail(format!("{status:?}")))?;
                prop_assert_eq!(info.domain.as_str(), "broker.v1");
                let reason = broker::domain::Reason::parse(&info.reason);
                prop_assert!(
                    reason.is_some_and(|reason| reason != broker::domain::Reason::Internal),
                    "{:?}",
                    info
                );
                prop_assert!(!matches!(status.code(), tonic::Code::Internal | tonic::Code::Unknown));
                prop_assert_eq!(new[0]["reason"].as_str(), Some(info.reason.as_str()));
            }
            Ok(())
        })
    });
    assert_eq!(outcome, Ok(()));
    assert!(refused.get() > 32, "most noise is refused: {}", refused.get());
    runtime.block_on(rpc.stop());
}
