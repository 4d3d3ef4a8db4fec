//! `/v1/documents`: what a tenant's answers are made from. Not here: reading an upload (`upload`), chunking (`services`).

mod upload;

use crate::{
    auth::Tenant,
    body::{self, PathParts, QueryParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use riad_core::document::Document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use upload::{DocumentForm, NewDocument, Upload};
use utoipa::{IntoParams, ToSchema};

const DEFAULT_LIMIT: u32 = 20;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Documents in the answer, 20 if it is not given.
    limit: Option<u32>,
    /// The last id of the page before.
    after: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DocumentList {
    #[schema(example = "list")]
    object: &'static str,
    /// In the order of insertion.
    data: Vec<DocumentBody>,
    has_more: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentBody {
    #[schema(example = "document")]
    object: &'static str,
    id: String,
    title: String,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    chunks: u32,
    bytes: u64,
    created: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DocumentWithText)]
pub(crate) struct FullDocument {
    #[serde(flatten)]
    document: DocumentBody,
    text: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeletedDocument {
    #[schema(example = "document.deleted")]
    object: &'static str,
    id: String,
    deleted: bool,
}

impl From<Document> for DocumentBody {
    fn from(document: Document) -> Self {
        Self {
            object: "document",
            id: document.id.into(),
            title: document.title,
            metadata: document.metadata,
            chunks: document.chunks,
            bytes: document.bytes,
            created: document.created,
        }
    }
}

/// Add a document; when the answer is there, a search finds it
#[utoipa::path(post, path = "/v1/documents", tag = "room", security(("tenant_key" = [])),
    request_body(content((NewDocument = "application/json"), (DocumentForm = "multipart/form-data"))),
    responses((status = 201, body = DocumentBody), Failures))]
pub(crate) async fn create_document(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    Upload(request): Upload,
) -> ApiResult<(StatusCode, Json<DocumentBody>)> {
    let document = state.services.documents().create(&pass, request).await?;
    Ok((StatusCode::CREATED, Json(document.into())))
}

/// List the caller's documents, without their texts
#[utoipa::path(get, path = "/v1/documents", tag = "room", security(("tenant_key" = [])),
    params(ListQuery), responses((status = 200, body = DocumentList), Failures))]
pub(crate) async fn list_documents(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(query): QueryParts<ListQuery>,
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
        object: "list",
        data: list.documents.into_iter().map(DocumentBody::from).collect(),
        has_more: list.has_more,
    }))
}

/// One document with its text
#[utoipa::path(get, path = "/v1/documents/{id}", tag = "room", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = FullDocument), Failures))]
pub(crate) async fn get_document(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<FullDocument>> {
    let id = body::existing("document", &id)?;
    let found = state.services.documents().get(&pass, &id).await?;
    Ok(Json(FullDocument {
        document: found.document.into(),
        text: found.text,
    }))
}

/// Delete a document; when the answer is there, no search finds it
#[utoipa::path(delete, path = "/v1/documents/{id}", tag = "room", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DeletedDocument), Failures))]
pub(crate) async fn delete_document(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DeletedDocument>> {
    let document = body::existing("document", &id)?;
    state.services.documents().delete(&pass, &document).await?;
    Ok(Json(DeletedDocument {
        object: "document.deleted",
        id,
        deleted: true,
    }))
}
