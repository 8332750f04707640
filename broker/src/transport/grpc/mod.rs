//! The gRPC listener: the gate, then one file per service.

mod admin;
mod arrival;
mod audit;
mod connections;
mod consents;
mod convert;
mod credentials;
mod denied;
mod framing;
mod gate;
mod grant_requests;
mod grants;
mod health;
mod paging;
mod status;
mod table;
#[cfg(test)]
mod tests;

pub use gate::{GateLayer, Principal};
pub use health::watch_health;
pub use status::to_status;
pub use table::{GATE, GateRow, Limit, Who};

use crate::usecase::Rooms;
use broker_proto::v1::{
    admin_service_server::AdminServiceServer, audit_service_server::AuditServiceServer,
    connection_service_server::ConnectionServiceServer, consent_service_server::ConsentServiceServer,
    grant_service_server::GrantServiceServer,
};
use std::{sync::Arc, time::Duration};
use tonic::service::Routes;

/// Every service behind the gate, with health and reflection.
pub fn services(rooms: &Arc<Rooms>) -> (Routes, tonic_health::server::HealthReporter) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(broker_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the compiled contract is a valid descriptor set");
    let largest = rooms.settings.limits.max_request_bytes as usize;
    let service = |rooms: &Arc<Rooms>| Arc::clone(rooms);
    let routes = Routes::new(health)
        .add_service(reflection)
        .add_service(
            GrantServiceServer::new(grants::Grants(service(rooms))).max_decoding_message_size(largest),
        )
        .add_service(
            ConsentServiceServer::new(consents::Consents(service(rooms))).max_decoding_message_size(largest),
        )
        .add_service(
            ConnectionServiceServer::new(connections::Connections(service(rooms)))
                .max_decoding_message_size(largest),
        )
        .add_service(AuditServiceServer::new(audit::Audit(service(rooms))).max_decoding_message_size(largest))
        .add_service(
            AdminServiceServer::new(admin::Admin(service(rooms))).max_decoding_message_size(largest),
        );
    (routes, reporter)
}

/// HTTP/2 limits (AV2). Open connections are bounded by the listener; one older than `max_age` is asked to end: calls under
/// way go on, and its client comes back, perhaps to another replica.
pub fn server(max_age: Duration) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(256)
        .http2_max_header_list_size(24 * 1024)
        .http2_max_pending_accept_reset_streams(Some(32))
        .http2_max_local_error_reset_streams(Some(32))
        .max_connection_age(max_age)
        // No grace beside it: with one, tonic 0.14 asks nobody to end, and cuts connections and their calls off after both.
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
}
