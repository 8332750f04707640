//! The one subscriber of a serving process: log lines to standard error, and spans to the collector (docs/logging.md).

use crate::{
    config::{Config, LogFormat},
    domain::Rng,
    metrics::Metrics,
    trace,
};
use std::{fmt, sync::Arc, time::Duration};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt::{
        FmtContext, FormatEvent, FormatFields, Layer as Lines,
        format::{Format, Full, Json, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Libraries speak only when something is wrong, whatever the level: at lower ones they would write statements, headers and
/// addresses.
const LIBRARIES: [&str; 6] = ["sqlx", "hyper", "h2", "rustls", "reqwest", "opentelemetry"];

type Failed = Box<dyn std::error::Error>;

/// What is to be done with the subscriber before the process ends.
pub(super) struct Logging {
    #[cfg(feature = "otlp")]
    exporting: Option<trace::Exporting>,
}

impl Logging {
    /// Sends the traces that wait.
    pub(super) async fn finish(self, within: Duration) {
        #[cfg(feature = "otlp")]
        if let Some(exporting) = self.exporting {
            exporting.finish(within).await;
        }
        #[cfg(not(feature = "otlp"))]
        let _ = within;
    }
}

/// Installs it, on the runtime that is to send the traces.
///
/// # Errors
/// When there is one already, or `telemetry` cannot be used as it is.
pub(super) fn install(config: &Config, rng: Arc<dyn Rng>, metrics: Metrics) -> Result<Logging, Failed> {
    let registry = tracing_subscriber::registry();
    #[cfg(feature = "otlp")]
    {
        let traces =
            config.telemetry.as_ref().map(|settings| trace::layer(settings, rng, metrics)).transpose()?;
        let (spans, exporting) = traces.unzip();
        registry.with(spans).with(lines(config)?).try_init()?;
        Ok(Logging { exporting })
    }
    #[cfg(not(feature = "otlp"))]
    {
        let _ = (rng, metrics);
        if config.telemetry.is_some() {
            return Err(trace::TraceError("this binary was built without traces".to_owned()).into());
        }
        registry.with(lines(config)?).try_init()?;
        Ok(Logging {})
    }
}

fn lines<S>(config: &Config) -> Result<Box<dyn Layer<S> + Send + Sync>, Failed>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let mut filter = config.log.level.as_str().to_owned();
    for library in LIBRARIES {
        filter.push_str(&format!(",{library}=warn"));
    }
    // Spans are for traces: no line is about one.
    let filter = EnvFilter::try_new(filter)?.and(filter_fn(|metadata| metadata.is_event()));
    let lines = Lines::default().with_writer(std::io::stderr);
    Ok(match config.log.format {
        LogFormat::Json => {
            let format = Format::default().json().flatten_event(true);
            lines
                .fmt_fields(JsonFields::new())
                .event_format(InTrace::Json(format))
                .with_filter(filter)
                .boxed()
        }
        LogFormat::Text => lines.event_format(InTrace::Text(Format::default())).with_filter(filter).boxed(),
    })
}

/// A line with the ids of the span it was written in, where that is traced.
enum InTrace {
    Json(Format<Json>),
    Text(Format<Full>),
}

impl<S, N> FormatEvent<S, N> for InTrace
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(ids) = trace::current() else { return self.format(context, writer, event) };
        let mut line = String::new();
        self.format(context, Writer::new(&mut line), event)?;
        match self {
            Self::Json(_) => match line.trim_end().strip_suffix('}') {
                Some(open) => {
                    writeln!(writer, r#"{open},"trace_id":"{}","span_id":"{}"}}"#, ids.trace, ids.span)
                }
                None => writer.write_str(&line),
            },
            Self::Text(_) => {
                writeln!(writer, "{} trace_id={} span_id={}", line.trim_end(), ids.trace, ids.span)
            }
        }
    }
}

impl InTrace {
    fn format<S, N>(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        match self {
            Self::Json(format) => format.format_event(context, writer, event),
            Self::Text(format) => format.format_event(context, writer, event),
        }
    }
}
