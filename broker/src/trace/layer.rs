//! The layer of the process's subscriber that takes our spans, and nobody else's, to the collector.

use super::{CALLS, STEPS, TraceError, collector::Collector, queue::queue};
use crate::{config::Telemetry, domain::Rng, metrics::Metrics};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanId, TraceId, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    trace::{IdGenerator, Sampler, SdkTracer, SdkTracerProvider},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// Spans under our targets; those inside a call only where there is a span around them. Log lines are no part of a trace: they
/// have its id.
#[derive(Clone, Copy, Debug)]
pub struct Ours;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for Ours {
    fn enabled(&self, span: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        match span.target() {
            CALLS => span.is_span(),
            STEPS => span.is_span() && context.lookup_current().is_some(),
            _ => false,
        }
    }

    fn callsite_enabled(&self, span: &'static Metadata<'static>) -> Interest {
        match span.target() {
            CALLS if span.is_span() => Interest::always(),
            STEPS if span.is_span() => Interest::sometimes(),
            _ => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

/// What sends spans as long as the process runs.
pub struct Exporting {
    end: oneshot::Sender<()>,
    sender: JoinHandle<()>,
}

impl Exporting {
    /// Sends what waits, for at most `within`.
    pub async fn finish(self, within: Duration) {
        // A sender that is gone has nothing left to send.
        let _ = self.end.send(());
        if tokio::time::timeout(within, self.sender).await.is_err() {
            tracing::warn!("some traces were not sent before the end");
        }
    }
}

/// The layer, and what sends its spans. On the runtime that will run it.
///
/// # Errors
/// [`TraceError`]: the section cannot be used as it is. A collector that is down is no error.
pub fn layer<S>(
    settings: &Telemetry,
    rng: Arc<dyn Rng>,
    metrics: Metrics,
) -> Result<(impl Layer<S> + Send + Sync + 'static, Exporting), TraceError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let ids = Ids(rng);
    let resource = resource(settings, &ids);
    let collector = Collector::new(settings, &resource)?;
    let (near, far) = queue(collector, metrics, settings.timeout);
    let (end, ended) = oneshot::channel();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(near)
        // What is not to be traced makes no span.
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(ids)
        .with_resource(resource)
        .build();
    let scope = InstrumentationScope::builder("broker").with_version(env!("CARGO_PKG_VERSION")).build();
    let layer = OpenTelemetryLayer::<S, SdkTracer>::new(provider.tracer_with_scope(scope))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_context_activation(true);
    let exporting = Exporting { end, sender: tokio::spawn(far.run(ended)) };
    Ok((layer.with_filter(Ours), exporting))
}

/// Which process this is (semantic conventions, "Service"). Nothing about the machine is looked up.
fn resource(settings: &Telemetry, ids: &Ids) -> Resource {
    let further = settings.resource.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", ids.new_trace_id().to_string()))
        .with_attributes(further)
        .with_service_name(settings.service_name.clone())
        .build()
}

/// Ids of traces and spans from the broker's randomness.
struct Ids(Arc<dyn Rng>);

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        TraceId::from_bytes(bytes)
    }

    fn new_span_id(&self) -> SpanId {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        SpanId::from_bytes(bytes)
    }
}
