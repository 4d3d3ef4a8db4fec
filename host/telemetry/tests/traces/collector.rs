//! A collector that keeps what it gets.

use super::config;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    trace::v1::Span,
};
use prost::Message as _;
use riad_telemetry::{Guard, TelemetryConfig, start};
use std::sync::{Arc, Mutex};
use tokio::sync::MutexGuard;

/// A process sends its traces to one place: one test at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// Requests' headers and bodies, as they came.
type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

pub struct Collector {
    pub endpoint: String,
    pub received: Received,
    _alone: Option<MutexGuard<'static, ()>>,
}

impl Collector {
    /// For the test that has the process to itself until the collector is dropped.
    pub async fn listen() -> Self {
        let alone = alone().await;
        Self {
            _alone: Some(alone),
            ..Self::beside().await
        }
    }

    /// A second one in the same test.
    pub async fn beside() -> Self {
        let received = Received::default();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(Arc::clone(&received));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            endpoint,
            received,
            _alone: None,
        }
    }

    pub fn start(&self, sample_ratio: f64) -> Guard {
        start(TelemetryConfig {
            sample_ratio,
            ..config(Some(self.endpoint.clone()))
        })
        .unwrap()
    }

    /// As behind a gateway of one's own.
    pub fn start_trusting(&self, sample_ratio: f64) -> Guard {
        start(TelemetryConfig {
            sample_ratio,
            trust_traceparent: true,
            ..config(Some(self.endpoint.clone()))
        })
        .unwrap()
    }

    /// Requests as they came.
    pub fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).unwrap())
            .collect()
    }

    pub fn spans(&self) -> Vec<Span> {
        self.requests()
            .into_iter()
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    pub fn span(&self, name: &str) -> Span {
        let mut spans: Vec<Span> = self.spans().into_iter().filter(|span| span.name == name).collect();
        assert_eq!(spans.len(), 1, "{name} in {:?}", self.names());
        spans.remove(0)
    }

    pub fn names(&self) -> Vec<String> {
        self.spans().into_iter().map(|span| span.name).collect()
    }

    /// Whether a text stands anywhere in what came.
    pub fn has(&self, text: &str) -> bool {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .any(|(_, body)| body.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

async fn receive(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    received.lock().unwrap().push((headers, body));
    ExportTraceServiceResponse::default().encode_to_vec()
}
