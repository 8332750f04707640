//! The gate table against the contract, and refusals against the documented list.

use super::{GATE, Limit, Who, status::code, to_status};
use crate::{
    domain::{Reason, Refusal},
    metrics::Metrics,
    transport::listener::{Accepted, Intake},
};
use prost::Message;
use prost_types::FileDescriptorSet;
use std::{collections::BTreeSet, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_types::StatusExt;

fn methods(descriptors: &[u8]) -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(descriptors).unwrap();
    let mut methods = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    methods
}

/// Proves: PO7
#[test]
fn po7_the_gate_table_has_exactly_one_row_for_each_rpc_that_is_served() {
    let mut served = methods(broker_proto::FILE_DESCRIPTOR_SET);
    served.extend(methods(tonic_health::pb::FILE_DESCRIPTOR_SET));
    served.extend(methods(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
    let rows: BTreeSet<String> = GATE.iter().map(|row| row.method.to_owned()).collect();
    assert_eq!(rows.len(), GATE.len(), "a method has two rows");
    assert_eq!(rows, served);
    let actions: BTreeSet<&str> = GATE.iter().map(|row| row.action).collect();
    assert_eq!(actions.len(), GATE.len(), "an action has two rows");
}

#[test]
fn the_gate_table_knows_whose_requests_are_streams() {
    let served = [
        broker_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    let mut streams = BTreeSet::new();
    for descriptors in served {
        for file in &FileDescriptorSet::decode(descriptors).unwrap().file {
            for service in &file.service {
                let streamed = service.method.iter().filter(|method| method.client_streaming());
                streams.extend(
                    streamed
                        .map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name())),
                );
            }
        }
    }
    let rows: BTreeSet<String> =
        GATE.iter().filter(|row| row.is_streamed()).map(|row| row.method.to_owned()).collect();
    assert_eq!(rows, streams);
}

/// Proves: ID1
#[test]
fn id1_only_health_and_reflection_are_open_to_anyone() {
    for row in GATE.iter().filter(|row| row.who == Who::Anyone) {
        assert!(row.method.starts_with("/grpc."), "{} is open", row.method);
        assert_eq!(row.limit, Limit::None);
    }
}

#[test]
fn a_refusal_carries_reason_field_and_delay_and_nothing_of_its_source() {
    let refusal = Refusal::invalid("scopes", "Ask for at least one scope.")
        .retry_after(Duration::from_secs(3))
        .with("offered", "a b")
        .caused_by("SELECT secret FROM nowhere");
    let status = to_status(&refusal);
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_ARGUMENT", "broker.v1"));
    assert_eq!(info.metadata["offered"], "a b");
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(3)));
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "scopes");
    assert!(!format!("{status:?}").contains("SELECT"));
}

/// The documented list is the code's: a changed reason, code or sentence changes the page.
#[test]
fn the_documented_reasons_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted: Vec<String> = Reason::ALL
        .iter()
        .map(|reason| {
            let code = format!("{:?}", code(*reason));
            format!("| `{}` | {code} | {} |", reason.as_str(), reason.explanation().trim())
        })
        .collect();
    assert_eq!(rows, wanted, "docs/errors.md should read:\n{}", wanted.join("\n"));
}

/// Clients come back, perhaps to a replica that is new.
#[tokio::test]
async fn a_connection_past_its_age_is_asked_to_end() {
    const GOAWAY: u8 = 7;
    let stop = CancellationToken::new();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let intake = Intake::of("grpc", 8, Metrics::default());
    let accepted = Accepted::on(socket, None, intake, stop.clone()).unwrap();
    let address = accepted.local_addr();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = super::server(Duration::from_millis(20)).add_service(health);
    tokio::spawn(server.serve_with_incoming_shutdown(accepted.into_stream(), stop.cancelled_owned()));

    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    // RFC 9113 §3.4: the preface and an empty SETTINGS frame.
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let goodbye = async {
        loop {
            let mut head = [0; 9];
            client.read_exact(&mut head).await.unwrap();
            let mut body = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            client.read_exact(&mut body).await.unwrap();
            if head[3] == GOAWAY {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), goodbye).await.expect("it is asked to end");
}
