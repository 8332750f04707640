//! The collector: OTLP over gRPC, by the client of our own stack. Only the configuration says where and how; environment
//! variables do not.

use super::TraceError;
use crate::{config::Telemetry, domain::ExposeSecret};
use opentelemetry_proto::{
    tonic::collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    transform::{
        common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use std::{fs, time::Duration};
use tonic::{
    Code,
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Collector {
    client: TraceServiceClient<Channel>,
    headers: MetadataMap,
    resource: ResourceAttributesWithSchema,
    timeout: Duration,
}

/// Why a batch was not taken. The collector's own words are not repeated.
#[derive(Debug, thiserror::Error)]
#[error("the collector answered {0:?}")]
pub(super) struct Unsent(Code);

impl Unsent {
    /// Whether another try may do better (OTLP specification, "Failures").
    pub(super) fn passes(&self) -> bool {
        matches!(
            self.0,
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
        )
    }
}

impl Collector {
    /// Connects when something is sent.
    pub(super) fn new(settings: &Telemetry, resource: &Resource) -> Result<Self, TraceError> {
        let malformed = |what: &str| TraceError(format!("{what} cannot be used"));
        let mut endpoint = Endpoint::from_shared(settings.endpoint.as_str().to_owned())
            .map_err(|_| malformed("the endpoint"))?
            .connect_timeout(CONNECT_TIMEOUT);
        if settings.endpoint.scheme() == "https" {
            endpoint = endpoint.tls_config(tls(settings)?).map_err(|_| malformed("`ca_file`"))?;
        }
        let mut headers = MetadataMap::new();
        for (name, value) in &settings.headers {
            let name: MetadataKey<Ascii> = name.parse().map_err(|_| malformed("a header's name"))?;
            let mut value: MetadataValue<Ascii> =
                value.expose_secret().parse().map_err(|_| malformed("a header's value"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self {
            client: TraceServiceClient::new(endpoint.connect_lazy()),
            headers,
            resource: resource.into(),
            timeout: settings.timeout,
        })
    }

    pub(super) fn request(&self, spans: Vec<SpanData>) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(spans, &self.resource) }
    }

    /// Sends once; returns how many spans the collector refused.
    pub(super) async fn send(&self, spans: ExportTraceServiceRequest) -> Result<u64, Unsent> {
        let mut request = tonic::Request::new(spans);
        *request.metadata_mut() = self.headers.clone();
        request.set_timeout(self.timeout);
        let answer = self.client.clone().export(request).await.map_err(|status| Unsent(status.code()))?;
        let rejected = answer.into_inner().partial_success.map_or(0, |partly| partly.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or_default())
    }
}

fn tls(settings: &Telemetry) -> Result<ClientTlsConfig, TraceError> {
    let Some(file) = &settings.ca_file else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let pem =
        fs::read(file).map_err(|error| TraceError(format!("`ca_file` cannot be read: {}", error.kind())))?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}
