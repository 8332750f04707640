//! An OpenTelemetry collector inside a test: the trace service of OTLP on loopback, and what came to it.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

/// What came.
#[derive(Default)]
struct Taken {
    requests: Vec<ExportTraceServiceRequest>,
    headers: Vec<MetadataMap>,
}

/// A collector. It goes when it is dropped.
pub struct Collector {
    address: SocketAddr,
    taken: watch::Receiver<Taken>,
    hanging: watch::Sender<bool>,
    server: AbortHandle,
}

struct Service {
    taken: watch::Sender<Taken>,
    hanging: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (headers, _, spans) = request.into_parts();
        self.taken.send_modify(|taken| {
            taken.headers.push(headers);
            taken.requests.push(spans);
        });
        let _ = self.hanging.clone().wait_for(|hanging| !hanging).await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// One that answers at once.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let ((taken, taken_seen), (hanging, hanging_seen)) =
            (watch::channel(Taken::default()), watch::channel(false));
        let service = TraceServiceServer::new(Service { taken, hanging: hanging_seen });
        let connections = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(service);
        let server = tokio::spawn(server.serve_with_incoming(connections)).abort_handle();
        Collector { address, taken: taken_seen, hanging, server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it takes what comes and answers nobody, or answers again.
    pub fn hang(&self, hanging: bool) {
        self.hanging.send_replace(hanging);
    }

    /// Every span, in the order they came.
    pub fn spans(&self) -> Vec<Span> {
        spans(&self.taken.borrow())
    }

    /// Who sent them.
    pub fn resources(&self) -> Vec<Resource> {
        let taken = self.taken.borrow();
        let sent = taken.requests.iter().flat_map(|request| &request.resource_spans);
        sent.filter_map(|sent| sent.resource.clone()).collect()
    }

    /// The values of a header of every request.
    pub fn header(&self, name: &str) -> Vec<String> {
        let taken = self.taken.borrow();
        let values = taken.headers.iter().filter_map(|headers| headers.get(name)?.to_str().ok());
        values.map(str::to_owned).collect()
    }

    /// Every request byte by byte, and in the words of a debugger.
    pub fn bytes(&self) -> Vec<u8> {
        let taken = self.taken.borrow();
        let each = taken.requests.iter().flat_map(|request| {
            let mut bytes = request.encode_to_vec();
            bytes.extend(format!("{request:?}").into_bytes());
            bytes
        });
        each.collect()
    }

    /// Waits until the spans that came are as wanted.
    ///
    /// # Panics
    /// When they are not within a minute.
    pub async fn until(&self, wanted: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut taken = self.taken.clone();
        let seen = taken.wait_for(|taken| wanted(&spans(taken)));
        match tokio::time::timeout(std::time::Duration::from_secs(60), seen).await {
            Ok(seen) => spans(&seen.expect("the collector is there")),
            Err(_) => panic!(
                "only these came: {:#?}",
                self.spans().iter().map(|s| s.name.clone()).collect::<Vec<_>>()
            ),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn spans(taken: &Taken) -> Vec<Span> {
    let scopes = taken.requests.iter().flat_map(|request| &request.resource_spans);
    scopes.flat_map(|sent| &sent.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
}
