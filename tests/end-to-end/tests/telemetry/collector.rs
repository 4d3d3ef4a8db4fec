//! A collector of traces that keeps what it gets.

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::any_value::Value,
    trace::v1::Span,
};
use parking_lot::Mutex;
use prost::Message as _;
use std::sync::Arc;
use tokio::net::TcpListener;

type Received = Arc<Mutex<Vec<Bytes>>>;

pub struct Collector {
    pub endpoint: String,
    received: Received,
}

impl Collector {
    pub async fn listen() -> Self {
        let received = Received::default();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(Arc::clone(&received));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, received }
    }

    pub fn spans(&self) -> Vec<Span> {
        let received = self.received.lock();
        received
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap())
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    /// The spans of the request that has this id: the one around it and all below it.
    pub fn of_request(&self, id: &str) -> Vec<Span> {
        let spans = self.spans();
        let root = spans
            .iter()
            .find(|span| attribute(span, "riad.request.id").as_deref() == Some(id));
        let trace = root.unwrap_or_else(|| panic!("no span of {id}")).trace_id.clone();
        spans.into_iter().filter(|span| span.trace_id == trace).collect()
    }

    /// Whether a text stands anywhere in what came.
    pub fn has(&self, text: &str) -> bool {
        let received = self.received.lock();
        received
            .iter()
            .any(|body| body.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

/// An attribute as text.
pub fn attribute(span: &Span, name: &str) -> Option<String> {
    let value = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == name)?
        .value
        .clone()?
        .value?;
    if let Value::StringValue(text) = value {
        return Some(text);
    }
    let Value::IntValue(number) = value else {
        panic!("{name} is {value:?}");
    };
    Some(number.to_string())
}

async fn receive(State(received): State<Received>, body: Bytes) -> Vec<u8> {
    received.lock().push(body);
    ExportTraceServiceResponse::default().encode_to_vec()
}
