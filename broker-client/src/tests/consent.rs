//! Consents and connections.

use super::Bench;
use super::fake::{Step, failure};
use crate::proto::{Consent, ConsentState};
use crate::{Assertion, Error};
use std::time::Duration;
use tonic::Code;

const LONG: Duration = Duration::from_secs(300);

fn states(bench: &Bench, states: impl IntoIterator<Item = ConsentState>) {
    let consents = states.into_iter().map(|state| Consent {
        id: "cns_1".into(),
        state: state.into(),
        ..Default::default()
    });
    *bench.fake.shared().consents.lock().expect("consents") = consents.collect();
}

#[tokio::test]
async fn a_watch_ends_with_the_terminal_state() {
    let bench = Bench::new().await;
    states(&bench, [ConsentState::Pending, ConsentState::AwaitingConfirmation, ConsentState::Completed]);
    let mut watch = bench.client.watch_consent("cns_1", None, LONG).await.expect("watch");
    let mut seen = Vec::new();
    while let Some(consent) = watch.next().await.expect("change") {
        seen.push(consent.state());
    }
    assert_eq!(seen, [ConsentState::Pending, ConsentState::AwaitingConfirmation, ConsentState::Completed]);
    let watch = bench.client.watch_consent("cns_1", None, LONG).await.expect("watch");
    assert_eq!(watch.finished().await.expect("end").state(), ConsentState::Completed);
}

#[tokio::test]
async fn a_watch_that_breaks_is_no_answer() {
    let bench = Bench::new().await;
    states(&bench, [ConsentState::Pending]);
    let watch = bench.client.watch_consent("cns_1", None, LONG).await.expect("watch");
    let error = watch.finished().await.expect_err("broken");
    assert!(matches!(error, Error::Unavailable(_)));
    assert_eq!(error.reason(), "STREAM_ENDED");
}

#[tokio::test]
async fn a_read_is_repeated_and_a_foreign_consent_is_not_found() {
    let bench = Bench::new().await;
    states(&bench, [ConsentState::Declined]);
    bench.fake.script([Step::Fail(failure(Code::Unavailable, "STORE_UNAVAILABLE", None))]);
    let consent = bench.client.get_consent("cns_1", None).await.expect("consent");
    assert_eq!((consent.state(), bench.fake.seen().len()), (ConsentState::Declined, 2));
    bench.fake.script([Step::Fail(failure(Code::NotFound, "NOT_FOUND", None))]);
    let error = bench.client.get_consent("cns_2", None).await.expect_err("foreign");
    assert!(matches!(error, Error::InvalidRequest(_)));
    assert_eq!(error.reason(), "NOT_FOUND");
}

#[tokio::test]
async fn all_pages_of_connections_are_read() {
    let bench = Bench::new().await;
    let connections =
        bench.client.list_connections(&Assertion::new("assertion-of-alice")).await.expect("list");
    let ids: Vec<_> = connections.into_iter().map(|connection| connection.id).collect();
    assert_eq!(ids, ["con_0", "con_1", "con_2"]);
    assert_eq!(bench.client.withdraw_approval("con_0", &Assertion::new("a")).await, Ok(7));
}
