//! Everybody behind one mesh or NAT has one address: a stranger there keeps nobody else out.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use broker_proto::v1::GetConsentRequest;
use broker_tests::rpc::{Rpc, check, in_time, with};
use demo::world::Workload::{ReportWriter, TicketHelper};
use tonic::{Code, Status};

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
