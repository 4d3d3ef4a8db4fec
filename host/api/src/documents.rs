//! `/v1/documents`: what a tenant's answers are made from. Not here: reading an upload (`upload`), what becomes of it (`services`).

pub mod fuzzing;
pub(crate) mod jobs;
mod text;
mod upload;

use crate::{
    auth::Tenant,
    body::{self, PathParts},
    error::{ApiResult, Failures},
    memory,
    query::QueryParts,
    state::AppState,
};
use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use riad_api_types::documents::{
    DeletedDocument, Document, DocumentJob, DocumentList, DocumentParams, DocumentWithText, NewDocument,
    NewDocumentParams,
};
use riad_core::{
    TenantPass,
    ports::{RequestMark, StoredObject},
};
use riad_services::{Kept, Services};
use upload::{DocumentForm, Upload};

const DEFAULT_LIMIT: u32 = 20;

/// Add a document; when the answer is there, a search finds it, unless `wait` is false
#[utoipa::path(post, path = "/v1/documents", tag = "room", security(("tenant_key" = [])),
    params(NewDocumentParams),
    request_body(content((NewDocument = "application/json"), (DocumentForm = "multipart/form-data"))),
    responses((status = 201, body = Document), (status = 200, body = Document, description = "The same file was added before"),
        (status = 202, body = DocumentJob, description = "With `wait=false`"), Failures))]
pub(crate) async fn create_document(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    Extension(upload): Extension<Kept>,
    mark: Option<Extension<RequestMark>>,
    QueryParts(query): QueryParts<NewDocumentParams>,
    Upload(request): Upload,
) -> ApiResult<Response> {
    let mark = mark.map(|Extension(mark)| mark);
    if query.wait == Some(false) {
        let job = state
            .services
            .document_jobs()
            .create(&pass, request, upload, mark)
            .await?;
        return Ok((StatusCode::ACCEPTED, Json(jobs::shown(job))).into_response());
    }
    let added = state.services.documents().create(&pass, request, upload, mark).await?;
    let status = match added.is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(Document::from(added.document))).into_response())
}

/// What `create_document` answered, or would have, for what is there.
pub(crate) async fn created(services: &Services, pass: &TenantPass, object: &StoredObject) -> ApiResult<Response> {
    Ok(match object {
        StoredObject::Document(id) => {
            let found = services.documents().open(pass, id).await?;
            (StatusCode::CREATED, Json(Document::from(found.document().clone()))).into_response()
        }
        StoredObject::DocumentJob(id) => {
            let job = services.document_jobs().get(pass, id).await?;
            (StatusCode::ACCEPTED, Json(jobs::shown(job))).into_response()
        }
    })
}

/// List the caller's documents, without their texts
#[utoipa::path(get, path = "/v1/documents", tag = "room", security(("tenant_key" = [])),
    params(DocumentParams), responses((status = 200, body = DocumentList), Failures))]
pub(crate) async fn list_documents(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(query): QueryParts<DocumentParams>,
) -> ApiResult<Json<DocumentList>> {
    let after = match query.after {
        Some(after) => Some(
            after
                .parse()
                .map_err(|error: riad_core::Error| error.with_param("after"))?,
        ),
        None => None,
    };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    let list = state.services.documents().list(&pass, limit, after).await?;
    Ok(Json(DocumentList {
        object: "list".into(),
        data: list.documents.into_iter().map(Document::from).collect(),
        has_more: list.has_more,
    }))
}

/// One document with its text
#[utoipa::path(get, path = "/v1/documents/{id}", tag = "room", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DocumentWithText), Failures))]
pub(crate) async fn get_document(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Response> {
    let id = body::parse_id("document", &id)?;
    let found = state.services.documents().open(&pass, &id).await?;
    let bytes = text::answer_bytes(found.document().bytes);
    let permit = state.memory.answers.acquire(pass.account(), bytes).await?;
    Ok(text::answer(found)?.map(|body| memory::keep(body, permit)))
}

/// Delete a document; when the answer is there, no search finds it
#[utoipa::path(delete, path = "/v1/documents/{id}", tag = "room", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DeletedDocument), Failures))]
pub(crate) async fn delete_document(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DeletedDocument>> {
    let document = body::parse_id("document", &id)?;
    state.services.documents().delete(&pass, &document).await?;
    Ok(Json(DeletedDocument {
        object: "document.deleted".into(),
        id,
        deleted: true,
    }))
}
