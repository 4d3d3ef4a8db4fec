//! `/v1/documents/jobs`: documents that are made while nobody waits. Not here: adding them (`documents`).

use crate::{
    auth::Tenant,
    body::{self, PathParts},
    error::{self, ApiResult, Failures},
    sse::{self, Silence},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{Response, sse::Event},
};
use futures::{Stream, stream};
use riad_api_types::documents::DocumentJob;
use riad_core::document_job;
use riad_services::document_jobs::JobChanges;

/// As clients see it.
pub(super) fn shown(mut job: document_job::DocumentJob) -> DocumentJob {
    let error = job.error.take().map(error::job_error);
    DocumentJob::new(job, error)
}

/// A document's job, and how far it is
#[utoipa::path(get, path = "/v1/documents/jobs/{id}", tag = "room", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DocumentJob), Failures))]
pub(crate) async fn get_document_job(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DocumentJob>> {
    let id = body::parse_id("document job", &id)?;
    Ok(Json(shown(state.services.document_jobs().get(&pass, &id).await?)))
}

/// A document's job as it changes: an event `document.job.` and the status with each change, until it has ended or the time of a request is over
#[utoipa::path(get, path = "/v1/documents/jobs/{id}/events", tag = "room", security(("tenant_key" = [])),
    params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = DocumentJob), Failures))]
pub(crate) async fn follow_document_job(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Response> {
    let id = body::parse_id("document job", &id)?;
    let silence = Silence::of(&state.services);
    let starting = async move { state.services.document_jobs().follow(&pass, &id).await };
    sse::respond(starting, silence, write, sse::failure).await
}

/// Stop a document's job; one that has ended stays as it is
#[utoipa::path(post, path = "/v1/documents/jobs/{id}/cancel", tag = "room", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DocumentJob), Failures))]
pub(crate) async fn cancel_document_job(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DocumentJob>> {
    let id = body::parse_id("document job", &id)?;
    Ok(Json(shown(state.services.document_jobs().cancel(&pass, &id).await?)))
}

fn write(changes: JobChanges) -> impl Stream<Item = Event> + Send + 'static {
    stream::unfold(Some(changes), |changes| async move {
        let mut changes = changes?;
        match changes.next().await {
            Ok(None) => None,
            Ok(Some(job)) => {
                let name = format!("document.job.{}", job.status.as_str());
                Some((sse::named(&name, &shown(job)), Some(changes)))
            }
            Err(error) => Some((sse::failure(error), None)),
        }
    })
}
