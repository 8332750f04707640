//! Everybody behind one mesh or NAT has one address: a stranger there keeps nobody else out.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use broker::{domain::Reason, identity::Cost, usecase::lines::Standing};
use broker_proto::v1::{
    BlockRequest, BlockTarget, GetConsentRequest, IssueGrantRequest, block_target::Target,
};
use broker_tests::rpc::{Expected, ROLE_MISSING, Rpc, check, in_time, with};
use demo::world::{
    ADMIN, ALICE, BOB, OPERATORS_AUDIENCE, Person,
    Workload::{self, ReportWriter, TicketHelper},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const NOT_FOUND: (Code, &str, Option<&str>) = (Code::NotFound, "NOT_FOUND", None);

fn read() -> GetConsentRequest {
    GetConsentRequest { consent_id: format!("cns_{}", "0".repeat(26)), assertion: None }
}

/// What a workload is told that shows this credential.
async fn show(rpc: &Rpc, credential: &str) -> Result<(), Status> {
    in_time(rpc.consents().get_consent(with(&format!("Bearer {credential}"), read()))).await.map(drop)
}

/// A token as the workloads' issuer makes it, with its own key's name, that only the signature gives away; each its own.
fn junk(sound: &str, number: usize) -> String {
    let (signed, signature) = sound.rsplit_once('.').expect("a token");
    format!("{signed}.{number:08}{}", &signature[8..])
}

/// Keeps junk coming while `work` is done; how many pieces of it were refused for their signature.
async fn amid_junk(rpc: &Rpc, sound: &str, work: impl Future<Output = ()>) -> usize {
    let (over, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let strangers: Vec<_> = (0..64)
        .map(|stranger| {
            let (over, refused, mut consents) = (Arc::clone(&over), Arc::clone(&refused), rpc.consents());
            let sound = sound.to_owned();
            tokio::spawn(async move {
                for number in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let credential = format!("Bearer {}", junk(&sound, number * 64 + stranger));
                    let told = consents.get_consent(with(&credential, read())).await.expect_err("junk");
                    assert_eq!(told.code(), Code::Unauthenticated, "{told:?}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // Far more than an address may send before it is treated as one that sends junk.
    while refused.load(Ordering::Relaxed) < 200 {
        tokio::task::yield_now().await;
    }
    work.await;
    over.store(true, Ordering::Relaxed);
    for stranger in strangers {
        stranger.await.expect("no panic");
    }
    refused.load(Ordering::Relaxed)
}

/// Proves: AV1, PO8
#[tokio::test]
async fn av1_a_renewed_token_gets_its_turn_while_strangers_send_junk_from_the_same_address() {
    let rpc = Rpc::start().await;
    let (sso, account) = (rpc.world.sso(), TicketHelper.service_account());
    let renewed = || sso.mint_workload_token(account, "token-broker");
    let before = rpc.events().await.len();
    let refused = amid_junk(&rpc, &renewed(), async {
        let token = renewed();
        for _ in 0..3 {
            check("new", NOT_FOUND, show(&rpc, &token).await);
            check("renewed", NOT_FOUND, show(&rpc, &renewed()).await);
        }
    })
    .await;
    assert!(refused >= 200);
    // The calls of the workload are recorded, one by one; of the strangers there is nothing but their number.
    let after = rpc.events().await.split_off(before);
    let denied: Vec<_> = after.iter().filter(|event| event["kind"] == "call.denied").collect();
    assert!(
        denied.len() == 6 && denied.iter().all(|event| event["workload"] == "ticket-helper"),
        "{denied:?}"
    );
    rpc.stop().await;
}

/// Proves: AV1, ID2
#[tokio::test]
async fn av1_a_static_secret_waits_for_nobodys_signature_even_when_it_is_new_here() {
    let rpc = Rpc::start().await;
    let token = rpc.world.sso().mint_workload_token(TicketHelper.service_account(), "token-broker");
    amid_junk(&rpc, &token, async {
        for workload in [ReportWriter, TicketHelper, ReportWriter] {
            check("by secret", NOT_FOUND, show(&rpc, rpc.world.secret(workload)).await);
        }
        for number in 0..60 {
            let guess = format!("bws_{number:043}");
            let told = (Code::Unauthenticated, "WORKLOAD_CREDENTIAL_INVALID", None);
            check("a guess", told, show(&rpc, &guess).await);
        }
        check("after the guesses", NOT_FOUND, show(&rpc, rpc.world.secret(ReportWriter)).await);
    })
    .await;
    rpc.stop().await;
}

const RATE_LIMITED: Expected<'static> = (Code::ResourceExhausted, "RATE_LIMITED", None);

/// What a person is told who blocks a provider.
async fn block(rpc: &Rpc, assertion: String) -> Result<(), Status> {
    let target = Some(BlockTarget { target: Some(Target::Provider("other".to_owned())) });
    let message = BlockRequest { assertion: Some(assertion), target, reason: "why".to_owned() };
    in_time(rpc.admin().block(rpc.bare(message))).await.map(drop)
}

/// The clock stands still, so that no bucket fills up again.
///
/// Proves: AV1, AU2
#[tokio::test]
async fn av1_a_person_is_held_to_their_own_pace_and_to_no_strangers_at_the_same_address() {
    let rpc = Rpc::start().await;
    let admin = rpc.world.operator_assertion(&ADMIN);
    let junk = |number| junk(&rpc.world.operator_assertion(&ADMIN), number);
    for number in 0..100 {
        let told = block(&rpc, junk(number)).await.expect_err("junk");
        assert_eq!(told.code(), Code::Unauthenticated, "{told:?}");
    }
    block(&rpc, admin.clone()).await.expect("the administrator blocks");

    // A known person without the role: a row for each refusal, until their pace is over. Then there is a number alone.
    let before = rpc.events().await.len();
    let alice = rpc.world.sso().mint_assertion("alice", OPERATORS_AUDIENCE);
    for _ in 0..40 {
        check("alice", ROLE_MISSING, block(&rpc, alice.clone()).await);
    }
    rpc.world.rooms().refusals.drain_all();
    for _ in 0..5 {
        check("alice, too often", RATE_LIMITED, block(&rpc, alice.clone()).await);
    }
    assert_eq!(rpc.events().await.len(), before + 40);
    let refusals = &rpc.world.rooms().refusals;
    let sums: Vec<_> = refusals.drain_all().iter().map(|sum| refusals.entry(sum).draft).collect();
    assert_eq!((sums.len(), sums[0].reason), (1, Some(Reason::RateLimited)), "{sums:?}");
    assert_eq!(sums[0].detail["count"], 5);

    block(&rpc, admin).await.expect("the administrator blocks");
    rpc.stop().await;
}

/// A grant for an assertion never seen before, or what is told within half a second.
async fn briefly(rpc: &Rpc, person: &Person, workload: Workload) -> Result<(), String> {
    let mut call = rpc.by(workload, rpc.grant_request(person, workload));
    call.set_timeout(Duration::from_millis(500));
    let told = rpc.grants().issue_grant(call).await;
    told.map(drop)
        .map_err(|status| status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

/// Proves: AV4, AV1
#[tokio::test]
async fn av4_a_workload_that_sends_junk_assertions_waits_apart_and_nobody_waits_for_it() {
    let rpc = Rpc::start().await;
    rpc.connect(&ALICE, TicketHelper).await;
    rpc.connect(&BOB, ReportWriter).await;
    let (lines, suspect) = (&rpc.world.rooms().lines, [9; 32]);
    let sound = rpc.world.assertion(&ALICE, TicketHelper);
    for number in 0..60 {
        let assertion = junk(&sound, number);
        let message = IssueGrantRequest { assertion, ..rpc.grant_request(&ALICE, TicketHelper) };
        let told = rpc.grants().issue_grant(rpc.by(TicketHelper, message)).await.expect_err("junk");
        assert_eq!(told.code(), Code::Unauthenticated, "{told:?}");
        lines.failed(suspect);
    }
    // Somebody else who sends junk has the turn of those who do.
    let turn = lines.turn(Cost::Signature, Standing::Sent, suspect, Duration::MAX).await.expect("free");
    let told = briefly(&rpc, &ALICE, TicketHelper).await;
    assert!(
        matches!(&told, Err(reason) if reason == "OVERLOADED" || reason == "DEADLINE_EXCEEDED"),
        "{told:?}"
    );
    briefly(&rpc, &BOB, ReportWriter).await.expect("its own turn");
    drop(turn);
    briefly(&rpc, &ALICE, TicketHelper).await.expect("it is served in its turn");
    rpc.stop().await;
}
