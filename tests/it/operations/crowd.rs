//! Many clients that take and give nothing back.

use broker_tests::{
    http1,
    stage::{READ, Stage},
};
use demo::world::{ALICE, Options, Workload::TicketHelper};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// Proves: AV1
#[tokio::test]
async fn av1_crowded_listeners_keep_who_is_connected_and_leave_operations_alone() {
    let options = Options { extra_config: "limits: { max_connections: 4 }".to_owned(), ..Options::default() };
    let stage = Stage::with(options).await;
    stage.consent(&ALICE, TicketHelper, READ).await;
    let addresses = stage.world.addresses();
    let mut crowd = Vec::new();
    for address in [addresses.grpc, addresses.web] {
        for _ in 0..2 {
            crowd.push(TcpStream::connect(address).await.expect("connects"));
        }
        let mut further = TcpStream::connect(address).await.expect("connects");
        let closed = tokio::time::timeout(std::time::Duration::from_secs(5), further.read(&mut [0; 1])).await;
        assert!(matches!(closed.expect("closed at once"), Ok(0) | Err(_)));
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(http1::send(addresses.ops, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    stage.consent(&ALICE, TicketHelper, READ).await;
    drop(crowd);
    stage.stop().await;
}
