//! Starts and ends the log and traces. Not here: the form of a log line (`log`), what leaves the process (`scrub`).

mod parent;
mod route;
mod scrub;
mod sender;

pub use parent::{follow, parent_from};
pub use scrub::{ATTRIBUTES, SPANS, ValueForm};

use crate::log::{self, LogFormat};
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanProcessor as _},
};
use riad_core::{Error, Result};
use route::{CurrentRoute, Route};
use sender::Sender;
use std::{sync::Arc, time::Duration};
use tracing::{Level, Metadata, subscriber::Interest};
use tracing_subscriber::{
    Layer, filter::LevelFilter, filter::dynamic_filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// How often ended spans are sent.
const SEND_INTERVAL: Duration = Duration::from_secs(1);
/// How long an ending process waits until its last spans are sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct TelemetryConfig<'a> {
    pub log_format: LogFormat,
    /// The filter of the log if `RUST_LOG` is not set, in its syntax, such as `riad=info`. Warnings of other targets are shown.
    pub default_filter: &'a str,
    /// A collector's base URL for OTLP over HTTP, such as `http://127.0.0.1:4318`. Absent: no traces.
    pub otlp_endpoint: Option<String>,
    pub service_name: &'a str,
    pub service_version: &'a str,
    /// 0 to 1: the share of the traces that are sent.
    pub sample_ratio: f64,
    /// Whether a trace that a caller began is sent if the caller says so, and not otherwise. Anybody can say so.
    pub trust_traceparent: bool,
}

/// Installs the log, and sends spans of targets `riad*`, level `INFO` and above, to the collector: name, times, position in the
/// trace and [`ATTRIBUTES`], nothing else. The first call in a process installs the log; the last one decides where traces go.
/// `OTEL_EXPORTER_OTLP_HEADERS` may have headers for the collector. Needs no async runtime.
///
/// # Errors
/// `InvalidRequest` for an endpoint or a ratio that cannot be used. The log is installed even then.
pub fn start(config: TelemetryConfig<'_>) -> Result<Guard> {
    install(config.log_format, config.default_filter);
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(Guard { route: None });
    };
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(Error::invalid(
            "the share of traces that are sent must be a number from 0 to 1",
        ));
    }
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", config.service_name.to_owned()),
            KeyValue::new("service.version", config.service_version.to_owned()),
        ])
        .build();
    let batches = BatchConfigBuilder::default()
        .with_scheduled_delay(SEND_INTERVAL)
        .build();
    let mut spans = BatchSpanProcessor::new(Sender::open(endpoint)?, batches);
    spans.set_resource(&resource);
    let route = Arc::new(Route {
        spans,
        sampler: Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))),
        trusts_callers: config.trust_traceparent,
    });
    route::set(&route);
    Ok(Guard { route: Some(route) })
}

/// Keeps traces running. Dropping it is the same as [`Guard::shutdown`].
#[must_use = "dropping it ends the traces"]
pub struct Guard {
    route: Option<Arc<Route>>,
}

impl Guard {
    /// Sends the spans that have ended; blocks for at most 5 seconds. False if some were lost, which is logged too.
    #[must_use]
    pub fn flush(&self) -> bool {
        self.route
            .as_ref()
            .is_none_or(|route| route.spans.force_flush().is_ok())
    }

    /// Ends the traces after sending ended spans; blocks for at most 5 seconds. Open spans are lost.
    pub fn shutdown(self) {}
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(route) = self.route.take() else { return };
        route::clear(&route);
        match route.spans.shutdown_with_timeout(FLUSH_TIMEOUT) {
            Ok(()) | Err(OTelSdkError::AlreadyShutdown) => {}
            Err(error @ (OTelSdkError::Timeout(_) | OTelSdkError::InternalFailure(_))) => {
                tracing::warn!(%error, "the last traces could not be sent");
            }
        }
    }
}

/// Installs the log, and a layer for spans that does nothing while there is no route.
fn install(format: LogFormat, default_filter: &str) {
    let provider = SdkTracerProvider::builder()
        .with_sampler(CurrentRoute)
        .with_span_processor(CurrentRoute)
        .build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("riad"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(
            dynamic_filter_fn(|_: &Metadata<'_>, _| route::is_set())
                .with_callsite_filter(|metadata| {
                    if is_ours(metadata) {
                        Interest::sometimes()
                    } else {
                        Interest::never()
                    }
                })
                .with_max_level_hint(LevelFilter::INFO),
        );
    // Fails in a test that starts several servers: the first one's log stays.
    let _ = tracing_subscriber::registry()
        .with(log::layer(format, default_filter))
        .with(spans)
        .try_init();
}

/// Only spans: events contain text and are for the log.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::INFO && metadata.target().starts_with("riad")
}
