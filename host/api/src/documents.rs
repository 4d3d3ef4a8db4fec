//! `/v1/documents`: what a tenant's answers are made from. Not here: reading an upload (`upload`), what becomes of it (`services`).

pub mod fuzzing;
mod text;
mod upload;

use crate::{
    auth::Tenant,
    body::{self, PathParts, QueryParts},
    error::{ApiResult, Failures},
    memory,
    state::AppState,
};
use axum::{Extension, Json, extract::State, http::StatusCode, response::Response};
use riad_api_types::documents::{
    DeletedDocument, Document, DocumentList, DocumentParams, DocumentWithText, NewDocument,
};
use riad_core::{DocumentId, TenantPass, ports::RequestMark};
use riad_services::{Kept, Services};
use upload::{DocumentForm, Upload};

const DEFAULT_LIMIT: u32 = 20;

/// Add a document; when the answer is there, a search finds it
#[utoipa::path(post, path = "/v1/documents", tag = "room", security(("tenant_key" = [])),
    request_body(content((NewDocument = "application/json"), (DocumentForm = "multipart/form-data"))),
    responses((status = 201, body = Document), (status = 200, body = Document, description = "The same file was added before"), Failures))]
pub(crate) async fn create_document(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    Extension(upload): Extension<Kept>,
    mark: Option<Extension<RequestMark>>,
    Upload(request): Upload,
) -> ApiResult<(StatusCode, Json<Document>)> {
    let mark = mark.map(|Extension(mark)| mark);
    let added = state.services.documents().create(&pass, request, upload, mark).await?;
    let status = match added.is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(added.document.into())))
}

/// What `create_document` answered, or would have, for a document that is there.
pub(crate) async fn created(
    services: &Services,
    pass: &TenantPass,
    id: &DocumentId,
) -> ApiResult<(StatusCode, Json<Document>)> {
    let found = services.documents().open(pass, id).await?;
    Ok((StatusCode::CREATED, Json(found.document().clone().into())))
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
