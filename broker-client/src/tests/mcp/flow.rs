//! The whole conversation with a client, against the fake broker.

use super::{opens_links, params, reads_text};
use crate::mcp::{Answer, ConsentFlow, Peer, StateKey, ToolCall};
use crate::testing::{Answered, FakeBroker, Finish};
use crate::{BatchRequest, Grant, GrantRequest, TokenSource};
use serde_json::{Value, json};
use std::time::Duration;

const MODERN: &str = "2026-07-28";

struct Server {
    broker: FakeBroker,
    flow: ConsentFlow,
}

impl Server {
    async fn new() -> Self {
        let broker = FakeBroker::start().await;
        let key = StateKey::new(b"a secret of more than 32 bytes, for tests").expect("a key");
        let flow = ConsentFlow::new(TokenSource::new(broker.client().await), key);
        Self { broker, flow }
    }

    async fn call(&self, person: &str, params: &Value, peer: Peer) -> Result<Grant, Answer> {
        let call = ToolCall::from_params(params)?;
        let request = GrantRequest::new(person, "notes", ["notes.read"]).tool("list_notes");
        self.flow.grant(&request, &call, peer).await
    }

    /// Calls where a link is due; answers the consent's id and the parameters of the retry with this action.
    async fn asked(&self, person: &str, params: &Value, action: &str) -> (String, Value) {
        let result = result(self.call(person, params, opens_links(MODERN)).await);
        let url = result["inputRequests"]["notes"]["params"]["url"].as_str().expect("a link");
        let mut retry = params.clone();
        retry["requestState"] = result["requestState"].clone();
        retry["inputResponses"] = json!({ "notes": { "action": action } });
        (url.rsplit('/').next().expect("an id").to_owned(), retry)
    }
}

fn result(answer: Result<Grant, Answer>) -> Value {
    match answer {
        Err(Answer::Result(result)) => result,
        other => panic!("a result was due: {other:?}"),
    }
}

fn code(answer: Result<Grant, Answer>) -> i32 {
    match answer {
        Err(Answer::Error(error)) => error.code,
        other => panic!("an error was due: {other:?}"),
    }
}

fn list() -> Value {
    params("list_notes", json!({}))
}

/// Proves: CL3, CL4
#[tokio::test]
async fn cl3_a_retry_waits_for_the_user_and_is_served() {
    let server = Server::new().await;
    let (consent, retry) = server.asked("alice", &list(), "accept").await;
    let waits = server.call("alice", &retry, opens_links(MODERN));
    let person = async {
        // The retry is watching by now: the user takes their time.
        server.broker.answered(2).await;
        server.broker.finish(&consent, Finish::Completed);
    };
    let (grant, ()) = tokio::join!(waits, person);
    let grant = grant.expect("a grant");
    let owner = server.broker.whose(grant.access_token.expose()).expect("its token");
    assert_eq!(owner.assertion.expose(), "alice");
    let methods: Vec<_> = server.broker.calls().iter().map(|call| call.method).collect();
    assert_eq!(methods, ["IssueGrant", "WatchConsent", "IssueGrant"]);
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_retry_without_patience_asks_again_with_the_same_link() {
    let mut server = Server::new().await;
    server.flow = server.flow.patience(Duration::ZERO);
    let (consent, retry) = server.asked("alice", &list(), "accept").await;
    let (again, retry) = server.asked("alice", &retry, "accept").await;
    assert_eq!(again, consent);
    server.broker.finish(&consent, Finish::Completed);
    server.call("alice", &retry, opens_links(MODERN)).await.expect("a grant");
    // A state that is sent twice does no harm: the broker decides.
    server.call("alice", &retry, opens_links(MODERN)).await.expect("a grant");
}

/// Proves: CL3
#[tokio::test]
async fn cl3_who_declines_is_not_asked_again() {
    let server = Server::new().await;
    for action in ["decline", "cancel"] {
        let (_, retry) = server.asked("alice", &list(), action).await;
        let calls = server.broker.calls().len();
        let declined = result(server.call("alice", &retry, opens_links(MODERN)).await);
        assert_eq!(declined["_meta"]["broker.v1/reason"], "CONSENT_DECLINED");
        assert_eq!(declined["isError"], true);
        assert_eq!(server.broker.calls().len(), calls, "nothing is asked for any more");
    }
    // The same when they say so on the broker's page.
    let (consent, retry) = server.asked("alice", &list(), "accept").await;
    server.broker.finish(&consent, Finish::Declined);
    let declined = result(server.call("alice", &retry, opens_links(MODERN)).await);
    assert_eq!(declined["_meta"]["broker.v1/reason"], "CONSENT_DECLINED");
    assert!(!server.broker.calls().iter().skip(4).any(|call| call.method == "IssueGrant"));
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_link_that_is_over_is_replaced() {
    let server = Server::new().await;
    for how in [Finish::Expired, Finish::Failed] {
        let (consent, retry) = server.asked("alice", &list(), "accept").await;
        server.broker.finish(&consent, how);
        let (fresh, _) = server.asked("alice", &retry, "accept").await;
        assert_ne!(fresh, consent, "{how:?}");
    }
    // Its time is over: the state with it, and the conversation begins anew.
    let (consent, retry) = server.asked("alice", &list(), "accept").await;
    server.broker.clock().advance(Duration::from_secs(601));
    let (fresh, _) = server.asked("alice", &retry, "accept").await;
    assert_ne!(fresh, consent);
}

/// Proves: CL3
#[tokio::test]
async fn cl3_after_a_restart_without_the_key_the_user_gets_a_fresh_link() {
    let mut server = Server::new().await;
    let (consent, retry) = server.asked("alice", &list(), "accept").await;
    let source = TokenSource::new(server.broker.client().await);
    server.flow = ConsentFlow::new(source, StateKey::random().expect("a key"));
    let (again, retry) = server.asked("alice", &retry, "accept").await;
    assert_eq!(again, consent, "the broker still waits for the same one");
    server.broker.finish(&consent, Finish::Completed);
    server.call("alice", &retry, opens_links(MODERN)).await.expect("a grant");
}

/// Proves: CL3
#[tokio::test]
async fn cl3_a_state_of_another_user_or_call_is_refused_before_anything_is_asked() {
    let server = Server::new().await;
    let (consent, retry) = server.asked("alice", &list(), "accept").await;
    server.broker.finish(&consent, Finish::Completed);
    server.broker.connect("bob", "notes", &["notes.read"]);
    let calls = server.broker.calls().len();
    assert_eq!(code(server.call("bob", &retry, opens_links(MODERN)).await), -32602);
    let mut other = retry.clone();
    other["arguments"] = json!({ "all": true });
    assert_eq!(code(server.call("alice", &other, opens_links(MODERN)).await), -32602);
    other = retry.clone();
    other["requestState"] = json!("made up");
    assert_eq!(code(server.call("alice", &other, opens_links(MODERN)).await), -32602);
    assert_eq!(server.broker.calls().len(), calls);
    server.call("alice", &retry, opens_links(MODERN)).await.expect("the one it was made for");
}

/// Proves: CL3
#[tokio::test]
async fn cl3_older_clients_are_asked_by_an_error_or_a_text_and_call_again() {
    let server = Server::new().await;
    let Err(Answer::Error(error)) = server.call("alice", &list(), opens_links("2025-11-25")).await else {
        panic!("an error was due")
    };
    assert_eq!(error.code, -32042);
    let text = result(server.call("alice", &list(), reads_text("2025-11-25")).await);
    let ids = error.elicitation_ids();
    assert!(text["content"][0]["text"].as_str().is_some_and(|text| text.contains(&ids[0])), "the same link");
    server.broker.finish(&ids[0], Finish::Completed);
    server.call("alice", &list(), opens_links("2025-11-25")).await.expect("a grant");
    server.call("alice", &list(), reads_text("2025-11-25")).await.expect("a grant");
}

/// Proves: CL3
#[tokio::test]
async fn cl3_refusals_reach_the_client_as_texts() {
    let server = Server::new().await;
    server.broker.refuse("mallory", "ASSERTION_INVALID");
    let refused = result(server.call("mallory", &list(), opens_links(MODERN)).await);
    assert_eq!(refused["_meta"]["broker.v1/reason"], "ASSERTION_INVALID");
    server.broker.refuse_next("BLOCKED");
    let refused = result(server.call("alice", &list(), opens_links(MODERN)).await);
    assert_eq!(refused["_meta"]["broker.v1/reason"], "BLOCKED");
    assert_eq!(server.broker.calls()[1].answered, Answered::Refused("BLOCKED".to_owned()));
}

/// Proves: CL3, GR6
#[tokio::test]
async fn cl3_gr6_a_tool_that_needs_two_systems_asks_by_one_link_and_waits_for_both() {
    let server = Server::new().await;
    let plan = async |params: &Value, peer: Peer| {
        let call = ToolCall::from_params(params)?;
        let item = |provider: &str| GrantRequest::new("alice", provider, [format!("{provider}.read")]);
        let batch = BatchRequest::new("alice").item(item("notes")).item(item("mail")).tool("plan_week");
        server.flow.grants(&batch, &call, peer).await
    };
    let mut params = params("plan_week", json!({}));
    let asked = match plan(&params, opens_links(MODERN)).await {
        Err(Answer::Result(result)) => result,
        other => panic!("a link was due: {other:?}"),
    };
    let requests = asked["inputRequests"].as_object().expect("requests");
    assert_eq!(requests.len(), 1, "{asked}");
    let page = requests["notes+mail"]["params"]["url"].as_str().expect("a link").to_owned();
    let ids: Vec<&str> = page.rsplit('/').next().expect("ids").split('+').collect();
    params["requestState"] = asked["requestState"].clone();
    params["inputResponses"] = json!({ "notes+mail": { "action": "accept" } });

    // The retry is there before the person is done with the first of them, and with the second.
    let person = async {
        server.broker.answered(2).await;
        server.broker.finish(ids[0], Finish::Completed);
        server.broker.answered(3).await;
        server.broker.finish(ids[1], Finish::Completed);
    };
    let (grants, ()) = tokio::join!(plan(&params, opens_links(MODERN)), person);
    let grants = grants.expect("both");
    let labels: Vec<&str> = grants.iter().map(|grant| grant.account_label.as_str()).collect();
    assert_eq!(labels, ["alice at notes", "alice at mail"]);
    let methods: Vec<_> = server.broker.calls().iter().map(|call| call.method).collect();
    assert_eq!(methods, ["BatchIssueGrants", "WatchConsent", "WatchConsent", "BatchIssueGrants"]);
    // Remembered for the next call.
    plan(&json!({ "name": "plan_week" }), opens_links(MODERN)).await.expect("both");
    assert_eq!(server.broker.calls().len(), 4);
}
