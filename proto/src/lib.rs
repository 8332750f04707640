//! The broker's gRPC contract, package `broker.v1`: messages, clients and servers generated from `broker/v1/*.proto`.
//!
//! Fields marked `debug_redact` in the proto files (assertions, access tokens, consent links) print as `[redacted]`.

/// Package `broker.v1`.
pub mod broker {
    /// Messages, service clients (`*_service_client`) and server traits (`*_service_server`).
    #[expect(clippy::allow_attributes, reason = "generated code allows lints")]
    pub mod v1 {
        tonic::include_proto!("broker.v1");
        include!(concat!(env!("OUT_DIR"), "/broker.v1.debug.rs"));
    }
}

pub use broker::v1;

/// The compiled contract with its imports and comments, an encoded `google.protobuf.FileDescriptorSet`: what reflection
/// serves and what the gate table is compared with.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/broker.v1.descriptor.bin"));

/// Stands for a field that must not be printed.
struct Redacted;

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests;
