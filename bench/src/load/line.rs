//! HTTP/2 connections to one server.

use crate::Fault;
use broker_proto::v1::grant_service_client::GrantServiceClient;
use std::net::SocketAddr;
use tonic::transport::{Channel, Endpoint};

/// A few open connections to one server, or to several.
#[derive(Clone)]
pub struct Line {
    clients: Vec<GrantServiceClient<Channel>>,
}

impl Line {
    /// Opens `connections` to each of `addresses`.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub async fn open(addresses: &[SocketAddr], connections: usize) -> Result<Self, Fault> {
        let mut clients = Vec::new();
        for _ in 0..connections {
            for address in addresses {
                let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
                clients.push(GrantServiceClient::new(channel));
            }
        }
        Ok(Self { clients })
    }

    /// The connection of the `n`th sender.
    pub fn client(&self, n: usize) -> GrantServiceClient<Channel> {
        self.clients[n % self.clients.len()].clone()
    }
}
