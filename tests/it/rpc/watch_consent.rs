use broker_proto::v1::{
    ConsentState, WatchConsentRequest, WatchConsentResponse, issue_grant_response::Outcome,
};
use broker_tests::rpc::{NOT_FOUND, PATIENCE, Rpc, hostile, in_time, invalid};
use demo::{
    walk,
    world::{
        ALICE,
        Workload::{ReportWriter, TicketHelper},
    },
};
use std::time::Duration;
use tonic::Streaming;

fn named(consent_id: &str) -> WatchConsentRequest {
    WatchConsentRequest { consent_id: consent_id.to_owned(), assertion: None }
}

/// A consent's id and link, and a watch on it.
async fn watched(rpc: &Rpc) -> (String, String, Streaming<WatchConsentResponse>) {
    let Outcome::ConsentRequired(consent) = rpc.ask(&ALICE, TicketHelper).await else {
        panic!("nobody connected anything yet")
    };
    let call = rpc.by(TicketHelper, named(&consent.consent_id));
    let watch = in_time(rpc.consents().watch_consent(call)).await.expect("a watch").into_inner();
    (consent.consent_id, consent.url, watch)
}

async fn next(watch: &mut Streaming<WatchConsentResponse>) -> Option<ConsentState> {
    let message = in_time(watch.message()).await.expect("no error")?;
    Some(message.consent.expect("a consent").state())
}

/// Reads on until a state that is not `seen`.
async fn after(watch: &mut Streaming<WatchConsentResponse>, seen: ConsentState) -> Option<ConsentState> {
    loop {
        match next(watch).await {
            Some(state) if state == seen => {}
            other => return other,
        }
    }
}

/// Proves: CO12
#[tokio::test]
async fn a_watch_sees_each_step_live_and_ends_with_the_consent() {
    let rpc = Rpc::start().await;
    let (_, link, mut watch) = watched(&rpc).await;
    assert_eq!(next(&mut watch).await, Some(ConsentState::Pending));

    let browser = rpc.world.browser().expect("a browser");
    let page = walk::sign_in(browser.get(&link).await.expect("opens"), &ALICE.sso).await.expect("signs in");
    let page = walk::approve(page).await.expect("approves");
    assert_eq!(after(&mut watch, ConsentState::Pending).await, Some(ConsentState::Approved));
    let page = walk::allow(page, &ALICE.notes).await.expect("allows");
    assert_eq!(after(&mut watch, ConsentState::Approved).await, Some(ConsentState::AwaitingConfirmation));
    walk::confirm(page).await.expect("confirms");
    assert_eq!(after(&mut watch, ConsentState::AwaitingConfirmation).await, Some(ConsentState::Completed));
    assert_eq!(next(&mut watch).await, None, "the stream ends");
    rpc.stop().await;
}

/// Proves: CO12
#[tokio::test]
async fn a_watch_ends_when_the_person_declines_or_the_link_expires() {
    let rpc = Rpc::start().await;
    let (_, link, mut watch) = watched(&rpc).await;
    assert_eq!(next(&mut watch).await, Some(ConsentState::Pending));
    let browser = rpc.world.browser().expect("a browser");
    let page = walk::sign_in(browser.get(&link).await.expect("opens"), &ALICE.sso).await.expect("signs in");
    walk::decline(page).await.expect("declines");
    assert_eq!(after(&mut watch, ConsentState::Pending).await, Some(ConsentState::Declined));
    assert_eq!(next(&mut watch).await, None);

    let (id, _, mut watch) = watched(&rpc).await;
    assert_eq!(next(&mut watch).await, Some(ConsentState::Pending));
    rpc.clock.advance(Duration::from_secs(601));
    rpc.background().await;
    assert_eq!(after(&mut watch, ConsentState::Pending).await, Some(ConsentState::Expired));
    assert_eq!(next(&mut watch).await, None);

    let call = rpc.by(TicketHelper, named(&id));
    let mut again = in_time(rpc.consents().watch_consent(call)).await.expect("a watch").into_inner();
    assert_eq!(next(&mut again).await, Some(ConsentState::Expired), "one state, then the end");
    assert_eq!(next(&mut again).await, None);
    rpc.stop().await;
}

/// Proves: CO17, AU2
#[tokio::test]
async fn co17_a_watch_on_what_is_no_consent_of_the_caller_is_refused() {
    let rpc = Rpc::start().await;
    let (id, _, watch) = watched(&rpc).await;
    drop(watch);
    for text in hostile().into_iter().chain([String::new()]) {
        let call = rpc.by(TicketHelper, named(&text));
        rpc.refused(&format!("{text:.40}"), invalid("consent_id"), rpc.consents().watch_consent(call)).await;
    }
    let call = rpc.by(ReportWriter, named(&id));
    rpc.refused("another workload's", NOT_FOUND, rpc.consents().watch_consent(call)).await;
    rpc.stop().await;
}

/// Proves: AV5
#[tokio::test]
async fn av5_abandoned_and_open_watches_do_not_hold_up_the_broker() {
    let rpc = Rpc::start().await;
    let mut open = Vec::new();
    for n in 0..60 {
        let (_, _, watch) = watched(&rpc).await;
        rpc.clock.advance(Duration::from_millis(60));
        if n % 2 == 0 {
            open.push(watch);
        }
    }
    let started = std::pin::pin!(rpc.stop());
    tokio::time::timeout(PATIENCE * 3, started).await.expect("stops although people still watch");
}
