//! Serves a rival as the broker serves itself: same listener, same HTTP/2 limits, same loopback TCP.

use crate::Fault;
use broker::{
    metrics::Metrics,
    transport::{
        grpc,
        listener::{Accepted, Intake},
    },
};
use broker_proto::v1::grant_service_server::{GrantService, GrantServiceServer};
use std::net::{SocketAddr, TcpListener};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The broker's default (`limits.max_request_bytes`).
const LARGEST: usize = 131_072;
/// As in service.
const MAX_AGE: std::time::Duration = std::time::Duration::from_secs(30 * 60);
/// More than any figure opens.
const MOST_CONNECTIONS: usize = 1_024;

/// A served rival; ends when dropped.
pub struct Served {
    /// Where.
    pub address: SocketAddr,
    _stop: DropGuard,
}

impl Served {
    /// Serves `grants` on a free loopback port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(grants: impl GrantService) -> Result<Self, Fault> {
        let stop = CancellationToken::new();
        let intake = Intake::of("rival", MOST_CONNECTIONS, Metrics::default());
        let accepted = Accepted::on(TcpListener::bind("127.0.0.1:0")?, None, intake, stop.clone())?;
        let address = accepted.local_addr();
        let service = GrantServiceServer::new(grants).max_decoding_message_size(LARGEST);
        let server = grpc::server(MAX_AGE)
            .add_service(service)
            .serve_with_incoming_shutdown(accepted.into_stream(), stop.clone().cancelled_owned());
        tokio::spawn(server);
        Ok(Self { address, _stop: stop.drop_guard() })
    }
}
