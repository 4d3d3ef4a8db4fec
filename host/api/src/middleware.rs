//! The layers that a route can have, and the order in which a request passes them.
//!
//! Who sends a request is known and admitted before anything of its body is read or kept. Layers around all routes are in
//! `router`.

use crate::{
    auth::{self, MetricsAccess},
    error::ApiResult,
    idempotency,
    memory::{self, Memory},
    rate_headers,
    state::AppState,
    tasks::Tasks,
    uploads::UploadLimiter,
};
use axum::{
    Extension,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::MethodRouter,
};
use riad_core::{TenantPass, grants::Scope};
use riad_services::{Kept, Services};
use std::sync::Arc;

/// What may stand before a handler. Variants are declared in the order in which a request passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// Only requests with a tenant's key pass.
    Tenant,
    /// Only requests with the operator's key pass.
    Operator,
    /// Only requests that may read the metrics pass.
    Metrics,
    /// Bytes of a request's body, at most.
    BodyLimit(u64),
    /// Counts the bytes of a body, of which there are at most so many, and of a large answer against the caller's share.
    CountBytes(u64),
    /// Waits for a permit, which is held until the answer begins: the body is in memory as a whole.
    UploadPermit(Upload),
    /// Writes the caller's rate limits into the answer's headers.
    RateHeaders,
    /// Runs requests with the same `Idempotency-Key` once. The key must have the scope to see a stored answer.
    Idempotency(Scope),
}

/// Which uploads share their permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Upload {
    Document,
    /// An adapter or a plugin, which are large.
    Artifact,
}

/// What layers need.
pub(crate) struct LayerState {
    pub services: Services,
    pub metrics: MetricsAccess,
    pub tasks: Tasks,
    pub memory: Memory,
    pub documents: UploadLimiter,
    pub artifacts: UploadLimiter,
}

impl Layer {
    /// Puts the layer around `handlers`. The one that is attached last is passed first.
    pub fn attach(self, handlers: MethodRouter<AppState>, state: &LayerState) -> MethodRouter<AppState> {
        let services = state.services.clone();
        match self {
            Self::Tenant => handlers.route_layer(from_fn_with_state(services, auth::authenticate_tenant)),
            Self::Operator => handlers.route_layer(from_fn_with_state(services, auth::authenticate_operator)),
            Self::Metrics => {
                let state = (services, state.metrics.clone());
                handlers.route_layer(from_fn_with_state(state, auth::authenticate_metrics))
            }
            Self::BodyLimit(bytes) => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                handlers.route_layer(DefaultBodyLimit::max(bytes))
            }
            Self::CountBytes(most) => {
                let state = (services, state.memory.clone(), most);
                handlers.route_layer(from_fn_with_state(state, memory::count_bytes))
            }
            Self::UploadPermit(upload) => {
                let uploads = match upload {
                    Upload::Document => &state.documents,
                    Upload::Artifact => &state.artifacts,
                };
                handlers.route_layer(from_fn_with_state(uploads.clone(), hold_upload_permit))
            }
            Self::RateHeaders => handlers.route_layer(from_fn_with_state(services, rate_headers::add_rate_headers)),
            Self::Idempotency(scope) => {
                let state = (services, state.tasks.clone(), scope);
                handlers.route_layer(from_fn_with_state(state, idempotency::run_once))
            }
        }
    }
}

/// Layer: waits for a permit of the caller's account. It is held until the answer begins, and by the handler's work as long as that
/// takes, also when the client has gone.
async fn hold_upload_permit(
    State(uploads): State<UploadLimiter>,
    Extension(pass): Extension<TenantPass>,
    mut request: Request,
    next: Next,
) -> ApiResult<Response> {
    let permit: Kept = Arc::new(uploads.acquire(pass.account()).await?);
    request.extensions_mut().insert(Kept::clone(&permit));
    // A handler that reads the body by itself drops the request, and its extensions, before that.
    let response = next.run(request).await;
    drop(permit);
    Ok(response)
}
