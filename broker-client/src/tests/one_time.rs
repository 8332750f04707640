//! The token source and issuers whose assertions are good for one grant or one batch.

use super::granted;
use crate::testing::{Answered, FakeBroker};
use crate::{BatchOutcome, BatchRequest, Error, Grant, GrantRequest, TokenSource};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

const REPLAYED: &str = "ASSERTION_REPLAYED";

/// To the fake each is a person of its own; to the source two of one issuer are.
fn assertion(issuer: &str, number: u32) -> String {
    let claims = format!(r#"{{"iss":"https://{issuer}.example","sub":"alice","jti":"{number}"}}"#);
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn item(assertion: &str, provider: &str) -> GrantRequest {
    GrantRequest::new(assertion, provider, [format!("{provider}.read")])
}

fn batch(assertion: &str, providers: &[&str]) -> BatchRequest {
    providers
        .iter()
        .fold(BatchRequest::new(assertion), |batch, provider| batch.item(item(assertion, provider)))
}

struct Bench {
    broker: FakeBroker,
    source: TokenSource,
}

impl Bench {
    async fn new() -> Self {
        let broker = FakeBroker::start().await;
        let source = TokenSource::new(broker.client().await);
        Self { broker, source }
    }

    /// An assertion with which these were granted by one batch; it is good for nothing more.
    async fn used(&self, assertion: String, providers: &[&str]) -> (String, Vec<Grant>) {
        for provider in ["notes", "mail", "tasks"] {
            self.broker.connect(&assertion, provider, &[&format!("{provider}.read")]);
        }
        let grants = self.get(&assertion, providers).await;
        self.broker.refuse(&assertion, REPLAYED);
        (assertion, grants)
    }

    async fn get(&self, assertion: &str, providers: &[&str]) -> Vec<Grant> {
        match self.source.grants(&batch(assertion, providers)).await {
            Ok(BatchOutcome::Grants(grants)) => grants,
            other => panic!("grants were due: {other:?}"),
        }
    }

    async fn alone(&self, assertion: &str) -> Grant {
        granted(self.source.grant(&item(assertion, "notes")).await)
    }

    async fn refused(&self, assertion: &str, providers: &[&str]) {
        let error = self.source.grants(&batch(assertion, providers)).await.expect_err("used before");
        assert!(matches!(error, Error::Assertion(_)) && error.reason() == REPLAYED, "{error}");
    }

    fn wait(&self, seconds: u64) {
        self.broker.clock().advance(Duration::from_secs(seconds));
    }

    /// What the broker refused, one text a call.
    fn replays(&self) -> Vec<String> {
        let refused = Answered::Refused(REPLAYED.to_owned());
        let calls = self.broker.calls().into_iter().filter(|call| call.answered == refused);
        calls.map(|call| format!("{} {}", call.method, call.provider)).collect()
    }
}

/// Proves: CL5, ID12
#[tokio::test]
async fn id12_a_grant_outlives_the_refusal_of_its_early_refresh_and_none_is_tried_again() {
    let bench = Bench::new().await;
    // A token that tells no issuer teaches for its own grant.
    let (alice, grants) = bench.used("alice".to_owned(), &["notes"]).await;
    bench.wait(46);
    assert_eq!(bench.alone(&alice).await.id, grants[0].id);
    let refresh = bench.source.under_way(&item(&alice, "notes")).expect("a refresh under way");
    assert_eq!(refresh.await.expect_err("used before").reason(), REPLAYED);
    for seconds in [0, 6, 7] {
        bench.wait(seconds);
        assert_eq!(bench.alone(&alice).await.id, grants[0].id, "it is good up to its time");
        assert_eq!(bench.get(&alice, &["notes"]).await[0].id, grants[0].id);
        assert!(bench.source.under_way(&item(&alice, "notes")).is_none());
        assert!(!bench.source.batch_is_under_way(&batch(&alice, &["notes"]), &[0]));
    }
    assert_eq!(bench.replays(), ["IssueGrant notes"]);

    // Stale after a minute: the caller is told, and a fresh assertion is served.
    bench.wait(1);
    let stale = bench.source.grant(&item(&alice, "notes")).await.expect_err("used before");
    assert_eq!(stale.reason(), REPLAYED);
    let (_, fresh) = bench.used("alice again".to_owned(), &["notes"]).await;
    assert_ne!(fresh[0].id, grants[0].id);
}

/// Proves: CL5, ID12
#[tokio::test]
async fn id12_the_source_learns_of_an_issuer_once() {
    let bench = Bench::new().await;
    let (first, grants) = bench.used(assertion("once", 1), &["notes", "mail"]).await;
    let (second, others) = bench.used(assertion("once", 2), &["notes", "mail"]).await;
    bench.wait(46);
    bench.get(&first, &["notes", "mail"]).await;
    bench.source.batch_landed(&batch(&first, &["notes", "mail"]), &[0, 1]).await;
    assert_eq!(bench.replays(), ["BatchIssueGrants notes mail"]);
    for (assertion, grants) in [(&first, &grants), (&second, &others)] {
        let again = bench.get(assertion, &["notes", "mail"]).await;
        assert_eq!((&again[0].id, &again[1].id), (&grants[0].id, &grants[1].id));
        assert_eq!(bench.alone(assertion).await.id, grants[0].id);
        assert!(bench.source.under_way(&item(assertion, "notes")).is_none());
        assert!(!bench.source.batch_is_under_way(&batch(assertion, &["notes", "mail"]), &[0, 1]));
    }

    // Another issuer's are refreshed early as ever.
    let other = assertion("often", 1);
    bench.broker.connect(&other, "notes", &["notes.read"]);
    let before = bench.alone(&other).await;
    bench.wait(46);
    bench.alone(&other).await;
    let refresh = bench.source.under_way(&item(&other, "notes")).expect("a refresh under way");
    assert_ne!(granted(refresh.await).id, before.id);
    assert_eq!(bench.replays().len(), 1);
    let known = bench.source.knows_one_time(&first.as_str().into());
    bench.source.clear();
    assert!(known && !bench.source.knows_one_time(&first.as_str().into()), "everything is forgotten");
}

/// Proves: CL5, ID12, GR6
#[tokio::test]
async fn id12_what_is_remembered_of_a_batch_stays_where_the_rest_is_refused() {
    let bench = Bench::new().await;
    let (used, grants) = bench.used(assertion("once", 1), &["notes"]).await;
    bench.refused(&used, &["notes", "mail"]).await;
    assert_eq!(bench.replays(), ["BatchIssueGrants mail"]);
    // The refusal told of the issuer: no early refresh is tried.
    bench.wait(46);
    assert_eq!(bench.get(&used, &["notes"]).await[0].id, grants[0].id);
    assert_eq!(bench.alone(&used).await.id, grants[0].id);
    assert!(!bench.source.batch_is_under_way(&batch(&used, &["notes"]), &[0]));
    assert!(bench.source.under_way(&item(&used, "notes")).is_none());
    assert_eq!(bench.replays().len(), 1);

    // With a fresh one all of it is asked for at once.
    let (_, fresh) = bench.used(assertion("once", 2), &["notes", "mail"]).await;
    assert_ne!(fresh[0].id, grants[0].id);
    let calls: Vec<_> = bench.broker.calls().into_iter().map(|call| call.provider).collect();
    assert_eq!(calls, ["notes", "mail", "notes mail"]);
}
