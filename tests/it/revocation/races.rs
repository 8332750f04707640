//! Revocations and blocks in the middle of a flood.

use broker_proto::v1::block_target::Target;
use broker_tests::operator::{Operator, person};
use broker_tests::stage::{READ, Stage, refused};
use demo::walk;
use demo::world::{ALICE, BOB, Workload, Workload::ReportWriter, Workload::TicketHelper};

use super::flood::{Flood, Late, Row, allowed_behind, everybody, pseudonym};

const BEFORE: usize = 120;
const AFTER: usize = 240;

/// Both people connected, both servers approved.
async fn busy() -> (Stage, String, String) {
    let stage = Stage::start().await;
    let mut ids = Vec::new();
    for person in [&ALICE, &BOB] {
        ids.push(stage.connect(person, TicketHelper, READ).await.connection_id);
        stage.connect(person, ReportWriter, READ).await;
    }
    let [alice, bob] = ids.try_into().expect("two");
    (stage, alice, bob)
}

fn all_bobs(late: &[Late]) {
    assert!(late.iter().all(|late| late.person == "bob"), "{late:?}");
    assert!(!late.is_empty(), "bob is served on");
}

/// Proves: RV2, RV1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_issued_from_a_connection_after_its_revocation_by_an_administrator() {
    let (stage, alice, _) = busy().await;
    let flood = Flood::start(&stage, &everybody());
    flood.running(BEFORE).await;
    let answer = Operator::of(&stage.world).revoke(&alice).await.expect("acknowledged");
    assert!(answer.revocation_epoch > 0);
    all_bobs(&flood.acknowledged(AFTER).await);
    let mut database = stage.database().await;
    let behind =
        allowed_behind(&mut database, "connection.revoked", |row: &Row| row.connection == alice).await;
    assert!(behind.is_empty(), "{behind:?}");
    stage.stop().await;
}

/// Proves: RV2, GR12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_issued_from_a_connection_after_its_owner_ended_it_on_the_page() {
    let (stage, alice, _) = busy().await;
    let browser = stage.world.browser().expect("a browser");
    let page = browser.get(&format!("{}/connections", stage.world.web_url())).await.expect("a page");
    let page = walk::sign_in(page, &ALICE.sso).await.expect("signed in");
    let ask = page.url.join(&format!("/connections/{alice}/disconnect")).expect("an address");
    let page = browser.get(ask.as_str()).await.expect("the question");
    let form = page.form("/disconnect").expect("the question's form");
    let button = form.buttons().first().map(|label| (*label).to_owned()).expect("a button");
    let flood = Flood::start(&stage, &everybody());
    flood.running(BEFORE).await;
    let page = form.submit(&button).await.expect("answered");
    assert_eq!(page.status, 200, "{}", page.text());
    all_bobs(&flood.acknowledged(AFTER).await);
    let mut database = stage.database().await;
    let behind =
        allowed_behind(&mut database, "connection.revoked", |row: &Row| row.connection == alice).await;
    assert!(behind.is_empty(), "{behind:?}");
    stage.stop().await;
}

/// Blocks in the middle of a flood: no allow row that `hit` recognises stands behind the block. Answers who was served
/// afterwards. Where somebody is left who may, the block is lifted, and everybody is served again.
async fn block_and_lift(target: impl Fn(&Stage) -> Target, hit: impl Fn(&Row, &str) -> bool) -> Vec<Late> {
    let (stage, _, _) = busy().await;
    let operator = Operator::of(&stage.world);
    let flood = Flood::start(&stage, &everybody());
    flood.running(BEFORE).await;
    let epoch = operator.block(target(&stage)).await.expect("acknowledged");
    let late = flood.acknowledged(AFTER).await;
    let mut database = stage.database().await;
    let alice = pseudonym(&stage, &ALICE).await;
    let behind = allowed_behind(&mut database, "block.set", |row| hit(row, &alice)).await;
    assert!(behind.is_empty(), "{behind:?}");

    // An administrator of the blocked tenant or issuer is blocked too.
    if matches!(target(&stage), Target::Tenant(_) | Target::Issuer(_)) {
        assert_eq!(refused(stage.ask(&ALICE, TicketHelper, READ).await), "BLOCKED");
    } else {
        assert_eq!(operator.unblock(target(&stage)).await.expect("lifted"), epoch + 1);
        for person in [&ALICE, &BOB] {
            for workload in Workload::ALL {
                stage.grant(person, workload, READ).await;
            }
        }
    }
    stage.stop().await;
    late
}

/// Proves: ID11, RV2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_acts_for_a_person_after_their_block() {
    all_bobs(&block_and_lift(|_| person(&ALICE), |row, alice| row.subject == alice).await);
}

/// Proves: ID11, RV2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_is_served_nothing_after_its_block() {
    let target = |_: &Stage| Target::Workload("report-writer".to_owned());
    let late = block_and_lift(target, |row, _| row.workload == "report-writer").await;
    assert!(late.iter().all(|late| late.workload == TicketHelper) && !late.is_empty(), "{late:?}");
}

/// Proves: ID11, RV2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_issued_for_a_provider_a_tenant_or_an_issuer_after_its_block() {
    let targets: [fn(&Stage) -> Target; 3] = [
        |_| Target::Provider("notes".to_owned()),
        |_| Target::Tenant("company".to_owned()),
        |stage| Target::Issuer(stage.world.sso().issuer().to_owned()),
    ];
    for target in targets {
        let late = block_and_lift(target, |_, _| true).await;
        assert!(late.is_empty(), "{late:?}");
    }
}

/// Proves: GR12, CO8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_approval_ends_one_workload_and_no_other() {
    let (stage, alice, _) = busy().await;
    let flood = Flood::start(&stage, &everybody());
    flood.running(BEFORE).await;
    let assertion = stage.world.assertion(&ALICE, ReportWriter);
    let done = stage.client(ReportWriter).withdraw_approval(&alice, &assertion.into()).await;
    assert!(done.expect("acknowledged") > 0);
    let late = flood.acknowledged(AFTER).await;
    assert!(!late.iter().any(|late| late.person == "alice" && late.workload == ReportWriter), "{late:?}");
    assert!(late.iter().any(|late| late.person == "alice" && late.workload == TicketHelper), "{late:?}");
    assert!(late.iter().any(|late| late.person == "bob" && late.workload == ReportWriter), "{late:?}");
    let mut database = stage.database().await;
    let named = |row: &Row| row.connection == alice && row.workload == "report-writer";
    let behind = allowed_behind(&mut database, "approval.withdrawn", named).await;
    assert!(behind.is_empty(), "{behind:?}");
    stage.connect(&ALICE, ReportWriter, READ).await;
    stage.stop().await;
}
