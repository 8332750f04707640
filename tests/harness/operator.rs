//! An administrator on the raw contract.

use broker_proto::v1::{
    self, BlockTarget, admin_service_client::AdminServiceClient, block_target::Target,
    connection_service_client::ConnectionServiceClient,
};
use demo::world::{ADMIN, Person, World};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::stage::subject_of;

/// An administrator who calls with the assertion alone.
pub struct Operator {
    channel: Channel,
    assertion: String,
}

impl Operator {
    /// The world's administrator.
    pub fn of(world: &World) -> Operator {
        let endpoint = Endpoint::from_shared(world.grpc_url()).expect("an address");
        Operator { channel: endpoint.connect_lazy(), assertion: world.operator_assertion(&ADMIN) }
    }

    /// Blocks; answers the epoch.
    pub async fn block(&self, target: Target) -> Result<u64, Status> {
        let request = v1::BlockRequest {
            assertion: Some(self.assertion.clone()),
            target: Some(BlockTarget { target: Some(target) }),
            reason: "Incident 17".to_owned(),
        };
        let answer = AdminServiceClient::new(self.channel.clone()).block(Request::new(request)).await?;
        Ok(answer.into_inner().revocation_epoch)
    }

    /// Lifts a block; answers the epoch.
    pub async fn unblock(&self, target: Target) -> Result<u64, Status> {
        let request = v1::UnblockRequest {
            assertion: Some(self.assertion.clone()),
            target: Some(BlockTarget { target: Some(target) }),
            reason: "Incident 17 is over".to_owned(),
        };
        let answer = AdminServiceClient::new(self.channel.clone()).unblock(Request::new(request)).await?;
        Ok(answer.into_inner().revocation_epoch)
    }

    /// Ends a connection.
    pub async fn revoke(&self, connection: &str) -> Result<v1::RevokeConnectionResponse, Status> {
        let request = v1::RevokeConnectionRequest {
            connection_id: connection.to_owned(),
            assertion: Some(self.assertion.clone()),
            reason: "Lost laptop".to_owned(),
        };
        let mut client = ConnectionServiceClient::new(self.channel.clone());
        Ok(client.revoke_connection(Request::new(request)).await?.into_inner())
    }

    /// A page of the tenant's connections.
    pub async fn list(
        &self,
        page_size: i32,
        page_token: String,
    ) -> Result<v1::ListConnectionsResponse, Status> {
        let assertion = Some(self.assertion.clone());
        let request = v1::ListConnectionsRequest { assertion, page_size, page_token, ..Default::default() };
        let mut client = ConnectionServiceClient::new(self.channel.clone());
        Ok(client.list_connections(Request::new(request)).await?.into_inner())
    }

    /// Reads one connection.
    pub async fn connection(&self, id: &str) -> Result<v1::Connection, Status> {
        let request = v1::GetConnectionRequest {
            connection_id: id.to_owned(),
            assertion: Some(self.assertion.clone()),
        };
        let mut client = ConnectionServiceClient::new(self.channel.clone());
        let answer = client.get_connection(Request::new(request)).await?.into_inner();
        Ok(answer.connection.expect("a connection"))
    }
}

/// Names a person for a block.
pub fn person(person: &Person) -> Target {
    Target::Subject(v1::Subject {
        tenant: "company".to_owned(),
        realm: "staff".to_owned(),
        subject: subject_of(person),
    })
}

/// The reason in a status's ErrorInfo; empty when there is none.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
