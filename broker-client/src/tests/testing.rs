//! The fake that is shipped, as the authors of MCP servers use it.

use super::granted;
use crate::proto::ConsentState;
use crate::testing::{Answered, FakeBroker, Finish, REASONS};
use crate::{
    Assertion, BatchOutcome, BatchRequest, Client, Credential, Error, GrantRequest, Outcome, TokenSource,
};
use std::collections::BTreeSet;
use std::time::Duration;

fn request(person: &str) -> GrantRequest {
    GrantRequest::new(person, "notes", ["notes.read"]).tool("list").purpose("Show notes").request_id("r-1")
}

async fn consent(client: &Client, request: &GrantRequest) -> crate::ConsentRequired {
    match client.issue_grant(request).await {
        Ok(Outcome::ConsentRequired(consent)) => consent,
        other => panic!("a consent was due: {other:?}"),
    }
}

/// Proves: CL4
#[tokio::test]
async fn cl4_grants_consents_and_what_was_asked() {
    let broker = FakeBroker::start().await;
    let client = broker.client().await;
    let needed = consent(&client, &request("alice")).await;
    assert_eq!(needed.reason.as_str_name(), "CONSENT_REASON_NOT_CONNECTED");
    assert_eq!(consent(&client, &request("alice")).await.consent_id, needed.consent_id, "the same link");
    assert_ne!(consent(&client, &request("bob")).await.consent_id, needed.consent_id);
    broker.finish(needed.url.expose(), Finish::Completed);
    let grant = granted(client.issue_grant(&request("alice")).await);
    assert_eq!(
        (grant.scopes.as_slice(), grant.account_label.as_str()),
        (&["notes.read".to_owned()][..], "alice at notes")
    );

    // Wider scopes: the person is asked for what is missing.
    let wider = GrantRequest::new("alice", "notes", ["notes.read", "notes.write"]);
    let needed = consent(&client, &wider).await;
    assert_eq!(needed.reason.as_str_name(), "CONSENT_REASON_SCOPES_MISSING");
    assert_eq!(needed.missing_scopes, ["notes.write"]);

    let call = &broker.calls()[3];
    assert_eq!((call.method, call.provider.as_str(), call.tool.as_str()), ("IssueGrant", "notes", "list"));
    assert_eq!((call.purpose.as_str(), call.request_id.as_deref()), ("Show notes", Some("r-1")));
    assert_eq!(call.assertion, Some(Assertion::from("alice")));
    assert_eq!(call.answered, Answered::Granted(grant.id));
    assert!(!format!("{call:?}").contains("alice"), "assertions do not print");
}

/// Proves: CL4
#[tokio::test]
async fn cl4_a_watch_sees_the_person_finish() {
    let broker = FakeBroker::start().await;
    let client = broker.client().await;
    for (how, state) in [
        (Finish::Completed, ConsentState::Completed),
        (Finish::Declined, ConsentState::Declined),
        (Finish::Expired, ConsentState::Expired),
        (Finish::Failed, ConsentState::Failed),
    ] {
        let person = format!("{how:?}");
        let needed = consent(&client, &request(&person)).await;
        let watch = client.watch_consent(&needed.consent_id, None, Duration::from_secs(60)).await;
        let mut watch = watch.expect("a watch");
        let first = watch.next().await.expect("its state").expect("its state");
        assert_eq!(first.state(), ConsentState::Pending);
        broker.finish(&needed.consent_id, how);
        assert_eq!(watch.finished().await.expect("its end").state(), state);
        let stranger = Assertion::from("somebody else");
        let hidden = client.get_consent(&needed.consent_id, Some(&stranger)).await.expect_err("not theirs");
        assert_eq!(hidden.reason(), "NOT_FOUND");
    }
    let needed = consent(&client, &request("late")).await;
    broker.clock().advance(Duration::from_secs(600));
    let read = client.get_consent(&needed.consent_id, None).await.expect("it");
    assert_eq!((read.state(), read.url.as_str()), (ConsentState::Expired, ""));
}

/// Proves: CL4
#[tokio::test]
async fn cl4_every_reason_of_the_broker_can_be_played() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md")).expect("the page");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(reason, rest)| (reason.to_owned(), rest.split(" |").next().unwrap_or_default().to_owned()));
    let known = REASONS.iter().map(|(reason, code)| ((*reason).to_owned(), format!("{code:?}")));
    assert_eq!(rows.collect::<BTreeSet<_>>(), known.collect::<BTreeSet<_>>());

    let broker = FakeBroker::start().await;
    let client = broker.client().await;
    for (reason, _) in REASONS {
        broker.refuse(reason, reason);
        let error = client.issue_grant(&request(reason)).await.expect_err(reason);
        assert_eq!(error.reason(), *reason);
    }
}

/// Proves: CL4
#[tokio::test]
async fn cl4_not_now_is_repeated_by_the_client_and_a_slow_broker_costs_the_deadline() {
    let broker = FakeBroker::start().await;
    broker.connect("alice", "notes", &["notes.read"]);
    let client = broker.client().await;
    broker.refuse_next_for("PROVIDER_RATE_LIMITED", Duration::from_secs(2));
    granted(client.issue_grant(&request("alice")).await);
    let ids: Vec<_> = broker.calls().into_iter().map(|call| call.request_id).collect();
    assert_eq!(ids, [Some("r-1".to_owned()), Some("r-1".to_owned())]);

    let hasty = Client::builder(broker.address())
        .credential(Credential::secret(FakeBroker::CREDENTIAL))
        .deadline(Duration::from_millis(50))
        .connect();
    let hasty = hasty.await.expect("a client");
    let held = broker.hold();
    assert!(matches!(hasty.issue_grant(&request("alice")).await, Err(Error::DeadlineExceeded(_))));
    drop(held);
    granted(client.issue_grant(&request("alice")).await);
}

/// Proves: CL4
#[tokio::test]
async fn cl4_tokens_end_and_people_disconnect() {
    let broker = FakeBroker::start().await;
    let connection = broker.connect("alice", "notes", &["notes.read"]);
    let client = broker.client().await;
    let source = TokenSource::new(client.clone());
    let first = granted(source.grant(&request("alice")).await);
    assert!(broker.whose(first.access_token.expose()).expect("its token").live);
    assert_eq!(broker.whose("somebody else's"), None);

    broker.end_token(first.access_token.expose());
    assert!(!broker.whose(first.access_token.expose()).expect("its token").live);
    source.rejected(&first);
    let second = granted(source.grant(&request("alice")).await);
    assert_ne!(second.access_token, first.access_token);
    broker.clock().advance(Duration::from_secs(900));
    assert!(!broker.whose(second.access_token.expose()).expect("its token").live, "it grew old");

    let third = granted(client.issue_grant(&request("alice")).await);
    broker.disconnect("alice", "notes");
    assert!(!broker.whose(third.access_token.expose()).expect("its token").live);
    let needed = consent(&client, &request("alice")).await;
    assert_eq!(needed.reason.as_str_name(), "CONSENT_REASON_REAUTH_REQUIRED");
    broker.finish(&needed.consent_id, Finish::Completed);
    granted(client.issue_grant(&request("alice")).await);

    let alice = Assertion::from("alice");
    let connections = client.list_connections(&alice).await.expect("the list");
    assert_eq!(connections.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [connection.as_str()]);
    client.withdraw_approval(&connection, &alice).await.expect("withdrawn");
    let needed = consent(&client, &request("alice")).await;
    assert_eq!(needed.reason.as_str_name(), "CONSENT_REASON_NOT_APPROVED");
}

/// Proves: CL4
#[tokio::test]
async fn cl4_another_workloads_credential_is_refused_and_a_dropped_broker_is_gone() {
    let broker = FakeBroker::start().await;
    let address = broker.address().to_owned();
    let stranger = Client::builder(&address).credential(Credential::secret("x")).attempts(1).connect().await;
    let stranger = stranger.expect("a client");
    let refused = stranger.issue_grant(&request("alice")).await.expect_err("refused");
    assert_eq!(refused.reason(), "WORKLOAD_CREDENTIAL_INVALID");
    drop(broker);
    let gone = async {
        while !matches!(stranger.issue_grant(&request("alice")).await, Err(Error::Unavailable(_))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it does not answer any more");
}

/// Proves: CL4, GR6
#[tokio::test]
async fn cl4_gr6_a_batch_is_granted_whole_or_says_what_is_missing() {
    let broker = FakeBroker::start().await;
    let client = broker.client().await;
    let item = |provider| GrantRequest::new("alice", provider, [format!("{provider}.read")]);
    let batch = || BatchRequest::new("alice").item(item("notes")).item(item("tasks")).tool("plan");
    broker.connect("alice", "notes", &["notes.read"]);
    let needed = match client.batch_issue_grants(&batch()).await {
        Ok(BatchOutcome::ConsentRequired(needed)) => needed,
        other => panic!("a consent was due: {other:?}"),
    };
    let missing = needed.items[1].as_ref().expect("tasks are not connected");
    assert!(needed.items[0].is_none() && needed.items.len() == 2);
    assert_eq!(broker.calls()[0].answered, Answered::ConsentRequired(missing.consent_id.clone()));
    assert_eq!(broker.calls()[0].provider, "notes tasks");

    broker.finish(missing.url.expose(), Finish::Completed);
    let grants = match client.batch_issue_grants(&batch()).await {
        Ok(BatchOutcome::Grants(grants)) => grants,
        other => panic!("grants were due: {other:?}"),
    };
    let labels: Vec<&str> = grants.iter().map(|grant| grant.account_label.as_str()).collect();
    assert_eq!(labels, ["alice at notes", "alice at tasks"]);
    assert!(grants.iter().all(|grant| grant.id == "evt_1" || grant.id == "evt_2"), "none was made before");
    assert!(client.batch_issue_grants(&BatchRequest::new("alice")).await.is_err(), "an empty batch");
    let twice = batch().item(item("notes"));
    assert_eq!(
        client.batch_issue_grants(&twice).await.expect_err("as the broker").reason(),
        "INVALID_ARGUMENT"
    );
}

/// Proves: CL4, GR6
#[tokio::test]
async fn cl4_gr6_the_link_of_a_batch_stands_for_all_that_it_leads_through() {
    let broker = FakeBroker::start().await;
    let client = broker.client().await;
    let item = |provider| GrantRequest::new("alice", provider, [format!("{provider}.read")]);
    let batch = BatchRequest::new("alice").item(item("notes")).item(item("tasks"));
    for how in [Finish::Declined, Finish::Completed] {
        let Ok(BatchOutcome::ConsentRequired(needed)) = client.batch_issue_grants(&batch).await else {
            panic!("a consent was due")
        };
        broker.finish(needed.url.expose(), how);
    }
    assert!(matches!(client.batch_issue_grants(&batch).await, Ok(BatchOutcome::Grants(_))));
}
