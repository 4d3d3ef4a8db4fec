//! Where spans are sent. A process has one subscriber forever, but tests start several servers in one process: so the
//! subscriber passes spans to `CurrentRoute`, which passes them to the route that was set last.

use super::scrub::scrub;
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{
        BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, Sampler, SamplingDecision, SamplingResult,
        ShouldSample, Span, SpanData, SpanProcessor,
    },
};
use parking_lot::RwLock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

static ROUTE: RwLock<Option<Arc<Route>>> = RwLock::new(None);
/// Whether `ROUTE` is set; read for every span.
static IS_SET: AtomicBool = AtomicBool::new(false);

pub(super) struct Route {
    pub(super) spans: BatchSpanProcessor,
    /// Decides about traces that begin here, and follows the decision for their other spans.
    pub(super) sampler: Sampler,
    /// Whether it follows a caller's decision too.
    pub(super) trusts_callers: bool,
}

pub(super) fn set(route: &Arc<Route>) {
    let mut current = ROUTE.write();
    *current = Some(Arc::clone(route));
    IS_SET.store(true, Ordering::Relaxed);
}

/// Does nothing if another route has been set since.
pub(super) fn clear(route: &Arc<Route>) {
    let mut current = ROUTE.write();
    if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, route)) {
        *current = None;
        IS_SET.store(false, Ordering::Relaxed);
    }
}

pub(super) fn is_set() -> bool {
    IS_SET.load(Ordering::Relaxed)
}

fn current() -> Option<Arc<Route>> {
    ROUTE.read().clone()
}

/// Samples and sends spans as the current route does. Without a route nothing is recorded.
#[derive(Debug, Clone)]
pub(super) struct CurrentRoute;

impl SpanProcessor for CurrentRoute {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some(route) = current() {
            route.spans.on_end(scrub(span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl ShouldSample for CurrentRoute {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        match current() {
            // As for a trace that begins here, and by an id that the caller has not chosen. The span is a part of the caller's trace all the same.
            Some(route) if is_callers(parent) && !route.trusts_callers => {
                let trace = RandomIdGenerator::default().new_trace_id();
                route.sampler.should_sample(None, trace, name, kind, attributes, links)
            }
            Some(route) => route
                .sampler
                .should_sample(parent, trace, name, kind, attributes, links),
            None => SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: TraceState::default(),
            },
        }
    }
}

/// Whether the parent is a span of another process.
fn is_callers(parent: Option<&Context>) -> bool {
    parent.is_some_and(|parent| parent.span().span_context().is_remote())
}
