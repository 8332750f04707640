use broker_proto::v1::{ConsentState, GetConsentRequest, issue_grant_response::Outcome};
use broker_tests::rpc::{ASSERTION_INVALID, NOT_FOUND, Rpc, WRONG_AUDIENCE, hostile, in_time, invalid};
use demo::world::{
    ALICE, BOB,
    Workload::{ReportWriter, TicketHelper},
};

fn named(consent_id: &str) -> GetConsentRequest {
    GetConsentRequest { consent_id: consent_id.to_owned(), assertion: None }
}

async fn pending(rpc: &Rpc) -> String {
    match rpc.ask(&ALICE, TicketHelper).await {
        Outcome::ConsentRequired(consent) => consent.consent_id,
        Outcome::Grant(_) => panic!("nobody connected anything yet"),
    }
}

/// Proves: AU2
#[tokio::test]
async fn au2_what_is_no_consent_id_is_refused_by_name() {
    let rpc = Rpc::start().await;
    for text in hostile().into_iter().chain([String::new(), format!("con_{}", "0".repeat(26))]) {
        let call = rpc.by(TicketHelper, named(&text));
        rpc.refused(&format!("{text:.40}"), invalid("consent_id"), rpc.consents().get_consent(call)).await;
    }
    let nobodys = rpc.by(TicketHelper, named(&format!("cns_{}", "0".repeat(26))));
    rpc.refused("nobody's", NOT_FOUND, rpc.consents().get_consent(nobodys)).await;
    rpc.stop().await;
}

/// Proves: CO17, ID10
#[tokio::test]
async fn co17_a_consent_is_for_the_workload_that_asked_and_its_subject() {
    let rpc = Rpc::start().await;
    let id = pending(&rpc).await;
    let read = in_time(rpc.consents().get_consent(rpc.by(TicketHelper, named(&id)))).await.expect("its own");
    let consent = read.into_inner().consent.expect("a consent");
    assert_eq!((consent.id.as_str(), consent.state()), (id.as_str(), ConsentState::Pending));

    let get = |workload, assertion: Option<String>| {
        let call = rpc.by(workload, GetConsentRequest { consent_id: id.clone(), assertion });
        let mut client = rpc.consents();
        async move { client.get_consent(call).await }
    };
    let own = |person| Some(rpc.world.assertion(person, TicketHelper));
    in_time(get(TicketHelper, own(&ALICE))).await.expect("alice's own");
    in_time(get(TicketHelper, Some(String::new()))).await.expect("an empty assertion is none");
    rpc.refused("another workload's", NOT_FOUND, get(ReportWriter, None)).await;
    rpc.refused("bob's eyes", NOT_FOUND, get(TicketHelper, own(&BOB))).await;
    let others = Some(rpc.world.assertion(&ALICE, ReportWriter));
    rpc.refused("minted for another", WRONG_AUDIENCE, get(TicketHelper, others.clone())).await;
    rpc.refused("another workload with its own user", NOT_FOUND, get(ReportWriter, others)).await;
    rpc.refused("garbage", ASSERTION_INVALID, get(TicketHelper, Some("x".repeat(60_000)))).await;
    rpc.stop().await;
}
