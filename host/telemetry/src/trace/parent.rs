//! Continues the caller's trace: W3C Trace Context, Level 1. `tracestate` is ignored: it is other systems' text.

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const HEADER: &str = "traceparent";

/// Makes `span` a part of the trace that a `traceparent` header names. Must be called before `span` has children. Does nothing
/// if the header is missing or malformed, or if no traces are sent.
pub fn follow(span: &tracing::Span, traceparent: Option<&str>) {
    let parent = parent_from(&|name| (name == HEADER).then(|| traceparent.map(str::to_owned)).flatten());
    if parent.span().span_context().is_valid() {
        // Fails if the span is not recorded, which needs no parent.
        let _ = span.set_parent(parent);
    }
}

/// The parent that a request's headers name, or an empty context.
#[must_use]
pub fn parent_from(headers: &dyn Fn(&str) -> Option<String>) -> Context {
    let header = TraceparentHeader(headers(HEADER));
    TraceContextPropagator::new().extract_with_context(&Context::new(), &header)
}

struct TraceparentHeader(Option<String>);

impl Extractor for TraceparentHeader {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key == HEADER)
    }

    fn keys(&self) -> Vec<&str> {
        vec![HEADER]
    }
}
