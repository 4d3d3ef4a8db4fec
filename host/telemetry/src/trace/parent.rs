//! A trace that the caller began: W3C Trace Context, Level 1. Not here: `tracestate`, which is other systems' text.

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const HEADER: &str = "traceparent";

/// Makes `span` a part of the trace that the value of a `traceparent` header names. To be called before `span` has children.
/// Nothing happens without a header, for one that is malformed, and if no traces are sent.
pub fn follow(span: &tracing::Span, traceparent: Option<&str>) {
    let parent = parent_from(&|name| (name == HEADER).then(|| traceparent.map(str::to_owned)).flatten());
    if parent.span().span_context().is_valid() {
        // It fails if the span is not recorded: then there is nothing to be a part of.
        let _ = span.set_parent(parent);
    }
}

/// The parent that a request's headers name; an empty context if they name none.
#[must_use]
pub fn parent_from(headers: &dyn Fn(&str) -> Option<String>) -> Context {
    let header = One(headers(HEADER));
    TraceContextPropagator::new().extract_with_context(&Context::new(), &header)
}

/// The one header that is read.
struct One(Option<String>);

impl Extractor for One {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key == HEADER)
    }

    fn keys(&self) -> Vec<&str> {
        vec![HEADER]
    }
}
