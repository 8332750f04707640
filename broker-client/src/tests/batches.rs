//! The token source and several grants at once: what is asked for, what is remembered, and what is not.

use crate::testing::{Answered, FakeBroker, Finish};
use crate::{
    BatchConsentRequired, BatchOutcome, BatchRequest, Error, Grant, GrantRequest, Outcome, TokenSource,
};
use std::time::Duration;
use tokio::task::JoinSet;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn item(provider: &str) -> GrantRequest {
    // Of an item counts what says which grant.
    GrantRequest::new("nobody", provider, [format!("{provider}.read")]).tool("ignored").request_id("ignored")
}

fn batch(providers: &[&str]) -> BatchRequest {
    let batch = BatchRequest::new("alice").tool("plan").purpose("Plan the week").request_id("ignored");
    providers.iter().fold(batch, |batch, provider| batch.item(item(provider)))
}

fn single(provider: &str) -> GrantRequest {
    GrantRequest::new("alice", provider, [format!("{provider}.read")]).tool("plan").purpose("Plan the week")
}

struct Bench {
    broker: FakeBroker,
    source: TokenSource,
}

impl Bench {
    /// Alice has connected these.
    async fn new(providers: &[&str]) -> Bench {
        let broker = FakeBroker::start().await;
        for provider in providers {
            broker.connect("alice", provider, &[&format!("{provider}.read")]);
        }
        let source = TokenSource::new(broker.client().await);
        Bench { broker, source }
    }

    async fn get(&self, providers: &[&str]) -> Vec<Grant> {
        match self.source.grants(&batch(providers)).await {
            Ok(BatchOutcome::Grants(grants)) => grants,
            other => panic!("grants were due: {other:?}"),
        }
    }

    async fn missing(&self, providers: &[&str]) -> BatchConsentRequired {
        match self.source.grants(&batch(providers)).await {
            Ok(BatchOutcome::ConsentRequired(required)) => required,
            other => panic!("a consent was due: {other:?}"),
        }
    }

    /// What was asked for since the last look, one text a call.
    fn asked(&self, before: usize) -> Vec<String> {
        self.broker.calls()[before..]
            .iter()
            .map(|call| format!("{} {}", call.method, call.provider))
            .collect()
    }

    fn calls(&self) -> usize {
        self.broker.calls().len()
    }
}

fn accounts(grants: &[Grant]) -> Vec<&str> {
    grants.iter().map(|grant| grant.account_label.as_str()).collect()
}

/// Proves: CL1, CL5, GR4
#[tokio::test]
async fn cl5_one_request_brings_what_is_missing_and_each_grant_is_remembered_by_itself() {
    let bench = Bench::new(&["notes", "mail", "tasks"]).await;
    let first = bench.get(&["notes", "mail"]).await;
    assert_eq!(accounts(&first), ["alice at notes", "alice at mail"]);
    assert_eq!(bench.asked(0), ["BatchIssueGrants notes mail"]);
    // All of it is remembered, in any order, and for a request of one as well.
    let again = bench.get(&["mail", "notes"]).await;
    assert_eq!(accounts(&again), ["alice at mail", "alice at notes"]);
    let Ok(Outcome::Grant(alone)) = bench.source.grant(&single("notes")).await else { panic!("a grant") };
    assert_eq!((&alone.id, &again[1].id), (&first[0].id, &first[0].id));
    assert_eq!(bench.calls(), 1);
    // What is not is asked for alone, and finds its place among the others.
    let more = bench.get(&["notes", "tasks", "mail"]).await;
    assert_eq!(accounts(&more), ["alice at notes", "alice at tasks", "alice at mail"]);
    assert_eq!(bench.asked(1), ["BatchIssueGrants tasks"]);
    // Another person, tool or purpose gets none of it.
    for other in [
        BatchRequest::new("bob").tool("plan").purpose("Plan the week").item(item("notes")),
        batch(&["notes"]).tool("other"),
        batch(&["notes"]).purpose("other"),
    ] {
        let before = bench.calls();
        assert!(bench.source.grants(&other).await.is_ok());
        assert_eq!(bench.asked(before), ["BatchIssueGrants notes"], "{other:?}");
    }
    let ids: Vec<_> = bench.broker.calls().into_iter().map(|call| call.request_id).collect();
    assert!(!ids.contains(&Some("ignored".to_owned())), "{ids:?}");
}

/// Proves: CL1, CL5
#[tokio::test]
async fn cl5_a_hundred_batches_at_once_make_one_request() {
    let bench = Bench::new(&["notes", "mail"]).await;
    let held = bench.broker.hold();
    let mut callers = JoinSet::new();
    let (waiting, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..100 {
        let (source, waiting) = (bench.source.clone(), waiting.clone());
        callers.spawn(async move {
            waiting.send(()).expect("counter");
            source.grants(&batch(&["notes", "mail"])).await
        });
    }
    for _ in 0..100 {
        arrivals.recv().await.expect("arrival");
    }
    drop(held);
    for outcome in callers.join_all().await {
        assert!(matches!(outcome, Ok(BatchOutcome::Grants(grants)) if grants[1].id == "evt_2"));
    }
    assert_eq!(bench.calls(), 1);
}

/// Proves: CL5, GR6
#[tokio::test]
async fn cl5_what_is_missing_is_told_by_item_and_never_remembered() {
    let bench = Bench::new(&["notes"]).await;
    bench.get(&["notes"]).await;
    let missing = bench.missing(&["mail", "notes", "tasks"]).await;
    let found: Vec<bool> = missing.items.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, true], "notes are remembered, and at their place");
    assert_eq!(bench.asked(1), ["BatchIssueGrants mail tasks"]);
    bench.missing(&["mail", "notes", "tasks"]).await;
    assert_eq!(bench.calls(), 3);
    // The page leads through both.
    bench.broker.finish(missing.url.expose(), Finish::Completed);
    let grants = bench.get(&["mail", "notes", "tasks"]).await;
    assert_eq!(accounts(&grants), ["alice at mail", "alice at notes", "alice at tasks"]);

    bench.broker.refuse_next("POLICY_DENIED");
    bench.source.clear();
    assert!(matches!(bench.source.grants(&batch(&["mail"])).await, Err(Error::Denied(_))));
    bench.get(&["mail"]).await;
}

/// Proves: CL5
#[tokio::test]
async fn cl5_a_batch_is_bounded_in_age_and_number_and_size() {
    let bench = Bench::new(&["notes", "mail"]).await;
    bench.get(&["notes"]).await;
    bench.broker.clock().advance(seconds(30));
    bench.get(&["notes", "mail"]).await;
    // Notes are stale after a minute, mail half a minute later.
    bench.broker.clock().advance(seconds(30));
    let before = bench.calls();
    bench.get(&["notes", "mail"]).await;
    assert_eq!(bench.asked(before), ["BatchIssueGrants notes"]);

    let small = TokenSource::builder(bench.broker.client().await).max_entries(1).build().expect("a source");
    for _ in 0..3 {
        assert!(matches!(small.grants(&batch(&["notes", "mail"])).await, Ok(BatchOutcome::Grants(_))));
        assert_eq!(format!("{small:?}"), "TokenSource { remembered: 1, .. }");
    }

    // What the broker does not take is refused, also where all of it would be remembered.
    let names: Vec<String> = (0..17).map(|number| format!("provider{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        bench.broker.connect("alice", name, &[&format!("{name}.read")]);
        bench.get(&[*name]).await;
    }
    for providers in [&names[..], &[]] {
        let refused = bench.source.grants(&batch(providers)).await.expect_err("refused");
        assert_eq!(refused.reason(), "INVALID_ARGUMENT");
    }
}

/// Proves: CL5
#[tokio::test]
async fn cl5_a_rejected_grant_of_a_batch_is_replaced_alone() {
    let bench = Bench::new(&["notes", "mail"]).await;
    let first = bench.get(&["notes", "mail"]).await;
    bench.source.rejected(&first[1]);
    bench.broker.end_token(first[1].access_token.expose());
    let second = bench.get(&["notes", "mail"]).await;
    assert_eq!(bench.asked(1), ["BatchIssueGrants mail"]);
    assert_eq!(second[0].id, first[0].id);
    assert_ne!(second[1].access_token, first[1].access_token);
}

/// Proves: CL5
#[tokio::test]
async fn cl5_what_is_given_up_while_the_rest_is_asked_for_is_not_handed_out() {
    let bench = Bench::new(&["notes", "mail"]).await;
    let first = bench.get(&["notes"]).await;
    let held = bench.broker.hold();
    let waiting = tokio::spawn({
        let source = bench.source.clone();
        async move { source.grants(&batch(&["notes", "mail"])).await }
    });
    bench.source.batch_under_way(&batch(&["notes", "mail"]), &[1]).await;
    bench.source.rejected(&first[0]);
    bench.broker.end_token(first[0].access_token.expose());
    drop(held);
    let Ok(Ok(BatchOutcome::Grants(grants))) = waiting.await else { panic!("grants were due") };
    assert_ne!(grants[0].access_token, first[0].access_token);
    assert_eq!(bench.asked(1), ["BatchIssueGrants mail", "BatchIssueGrants notes mail"]);
    // And what came for a question from before the rejection is not remembered.
    assert_eq!(bench.get(&["mail"]).await[0].id, grants[1].id, "the one that came after it");
}

/// Proves: CL1, CL5
#[tokio::test]
async fn cl5_successors_are_fetched_early_together_and_nobody_waits_for_them() {
    let bench = Bench::new(&["notes", "mail"]).await;
    let first = bench.get(&["notes", "mail"]).await;
    bench.broker.clock().advance(seconds(46));
    let held = bench.broker.hold();
    for _ in 0..10 {
        assert_eq!(bench.get(&["notes", "mail"]).await[0].id, first[0].id);
    }
    drop(held);
    bench.broker.answered(2).await;
    assert_eq!(bench.asked(1), ["BatchIssueGrants notes mail"]);
    bench.source.batch_landed(&batch(&["notes", "mail"]), &[0, 1]).await;
    assert_eq!(bench.get(&["notes", "mail"]).await[0].id, "evt_3");

    // A refusal ends what is remembered; a link ends what it is about.
    bench.broker.clock().advance(seconds(46));
    bench.broker.disconnect("alice", "mail");
    bench.get(&["notes", "mail"]).await;
    bench.broker.answered(3).await;
    bench.source.batch_landed(&batch(&["notes", "mail"]), &[0, 1]).await;
    assert!(matches!(bench.broker.calls()[2].answered, Answered::ConsentRequired(_)));
    assert_eq!(bench.get(&["notes"]).await[0].id, "evt_3", "notes go on");
    assert!(bench.missing(&["notes", "mail"]).await.items[1].is_some());
    assert!(bench.asked(3).contains(&"BatchIssueGrants mail".to_owned()));
}
