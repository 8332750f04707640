//! A caller that is traced, as an MCP server with a layer of `tracing-opentelemetry` is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;

/// The spans of one caller.
#[derive(Clone, Debug, Default)]
pub struct TracedCaller(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for TracedCaller {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("no holder panicked").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl TracedCaller {
    /// What its calls are made under.
    pub fn dispatch(&self) -> Dispatch {
        self.sampled(true)
    }

    /// The same, in a trace that the caller records or does not.
    pub fn sampled(&self, sampled: bool) -> Dispatch {
        let sampler = if sampled { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
        let provider =
            SdkTracerProvider::builder().with_span_processor(self.clone()).with_sampler(sampler).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("caller"));
        Dispatch::new(tracing_subscriber::registry().with(layer))
    }

    /// Its spans that ended, of the client crate alone.
    ///
    /// # Panics
    /// When a holder panicked.
    pub fn calls(&self) -> Vec<SpanData> {
        let spans = self.0.lock().expect("no holder panicked");
        spans.iter().filter(|span| span.name.starts_with("broker.v1.")).cloned().collect()
    }
}
