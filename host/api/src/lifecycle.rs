//! Whether the server is ready: while the models load and while it drains, this answers in the router's place.
//! Not here: when the phase changes (`app`).

use crate::{
    anthropic,
    cors::{self, AllowedOrigins, Page},
    drain_body,
    drain_signal::DrainSignal,
    error::{self, insert_retry_after},
};
use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
    routing::future::RouteFuture,
};
use futures::future::{Either, Ready, ready};
use riad_api_types::{error::ErrorBody, health::Health};
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;

/// Begins with the models still loading. Clones share one phase.
#[derive(Clone, Default)]
pub struct Lifecycle {
    phase: Arc<ArcSwap<Phase>>,
    draining: DrainSignal,
    origins: AllowedOrigins,
}

#[derive(Default)]
enum Phase {
    #[default]
    Loading,
    Ready(Router),
    /// With the router that was ready, for `/metrics` until the end.
    Draining(Option<Router>),
}

impl Lifecycle {
    /// Pages of these origins may read why they are refused.
    #[must_use]
    pub fn new(origins: AllowedOrigins) -> Self {
        Self {
            origins,
            ..Self::default()
        }
    }

    /// From now on the router answers, unless the server drains already.
    pub fn set_ready(&self, router: &Router) {
        self.phase.rcu(|phase| match phase.as_ref() {
            Phase::Loading | Phase::Ready(_) => Arc::new(Phase::Ready(router.clone())),
            Phase::Draining(_) => phase.clone(),
        });
    }

    /// From now on new requests are refused, except for `/metrics`. Requests that the router has already go on, but for
    /// streams that only an open page follows.
    pub fn start_draining(&self) {
        self.phase.rcu(|phase| match phase.as_ref() {
            Phase::Loading => Phase::Draining(None),
            Phase::Ready(router) => Phase::Draining(Some(router.clone())),
            Phase::Draining(router) => Phase::Draining(router.clone()),
        });
        self.draining.send();
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(**self.phase.load(), Phase::Ready(_))
    }
}

impl Service<Request> for Lifecycle {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<RouteFuture<Infallible>, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let response = match self.phase.load().as_ref() {
            Phase::Ready(router) => {
                request.extensions_mut().insert(self.draining.clone());
                return Either::Left(router.clone().call(request));
            }
            Phase::Loading => refuse(request, &LOADING, &self.origins),
            Phase::Draining(Some(router)) if request.uri().path() == "/metrics" => {
                return Either::Left(router.clone().call(request));
            }
            Phase::Draining(_) => refuse(request, &DRAINING, &self.origins),
        };
        Either::Right(ready(Ok(response)))
    }
}

struct Refusal {
    message: &'static str,
    retry_after: Duration,
    /// Whether the client must not use its connection again: the next server answers on another one.
    close: bool,
}

const LOADING: Refusal = Refusal {
    message: "the server is loading the models",
    retry_after: Duration::from_secs(5),
    close: false,
};
const DRAINING: Refusal = Refusal {
    message: "the server is shutting down",
    retry_after: Duration::from_secs(1),
    close: true,
};

fn refuse(request: Request, refusal: &Refusal, origins: &AllowedOrigins) -> Response {
    let page = origins.page(&request);
    if let Some(preflight) = page.as_ref().and_then(Page::preflight) {
        return cors::with_headers(preflight, page);
    }
    if request.uri().path() == "/healthz" {
        return Json(Health { status: "ok".into() }).into_response();
    }
    let version = request.version();
    let is_anthropics = anthropic::is_route(request.uri().path());
    // Dropped, and by that drained: a client that is still writing must be able to read the answer.
    drop(drain_body::with_drained_body(request));
    // As `error.rs` writes `Unavailable`, but not logged: it is no failure, and there may be many.
    let body = ErrorBody::new(refusal.message, "server_error", "unavailable");
    let mut response = error::respond(StatusCode::SERVICE_UNAVAILABLE, body);
    if is_anthropics {
        response = anthropic::shape(response, None);
    }
    let headers = response.headers_mut();
    insert_retry_after(headers, refusal.retry_after);
    // HTTP/2 has no such header; hyper sends GOAWAY on its connections.
    if refusal.close && version <= Version::HTTP_11 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    cors::with_headers(response, page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Uri, routing::get};
    use futures::FutureExt;

    fn request() -> Request {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static("/stream");
        request
    }

    #[tokio::test]
    async fn a_request_that_runs_hears_of_the_drain() {
        let follow = |request: Request| async move {
            let signal = request.extensions().get::<DrainSignal>().cloned();
            signal.unwrap_or_default().received().await;
            StatusCode::NO_CONTENT
        };
        let mut lifecycle = Lifecycle::new(AllowedOrigins::default());
        lifecycle.set_ready(&Router::new().route("/stream", get(follow)));
        let mut running = Box::pin(lifecycle.call(request()));
        assert!((&mut running).now_or_never().is_none());
        lifecycle.start_draining();
        assert_eq!(running.await.unwrap().status(), StatusCode::NO_CONTENT);
        let refused = lifecycle.call(request()).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
