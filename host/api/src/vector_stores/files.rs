//! `/v1/vector_stores/{id}/files` and `/file_batches`: the files of a vector store. Not here: the stores.

use super::{bound, chunk_size, is_ascending};
use crate::{
    auth::Tenant,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    memory,
    query::QueryParts,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use riad_api_types::vector_stores::{
    AttributesChange, DeletedVectorStoreFile, FileBatch, FileText, NewFileBatch, NewVectorStoreFile, TextPart,
    VectorStoreFile, VectorStoreFileList, VectorStoreFileParams,
};
use riad_core::{
    Error, FileId, TenantPass,
    vector_store::{self, IndexingStatus, VectorStoreFilePage},
};

const DEFAULT_LIMIT: u32 = 20;

/// Add a file to a vector store; when the answer is there, a search finds it or `last_error` says why not
#[utoipa::path(post, path = "/v1/vector_stores/{id}/files", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), request_body = NewVectorStoreFile,
    responses((status = 200, body = VectorStoreFile), Failures))]
pub(crate) async fn add_vector_store_file(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<NewVectorStoreFile>,
) -> ApiResult<Json<VectorStoreFile>> {
    let id = body::parse_id("vector store", &id)?;
    let added = state.services.vector_stores().add(&pass, &id, read(body)?).await?;
    Ok(Json(added.into()))
}

/// List the files of a vector store
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path), VectorStoreFileParams),
    responses((status = 200, body = VectorStoreFileList), Failures))]
pub(crate) async fn list_vector_store_files(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    QueryParts(query): QueryParts<VectorStoreFileParams>,
) -> ApiResult<Json<VectorStoreFileList>> {
    list(&state, &pass, &id, None, query).await
}

/// A file of a vector store, and what has become of it
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, body = VectorStoreFile), Failures))]
pub(crate) async fn get_vector_store_file(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((id, file)): PathParts<(String, String)>,
) -> ApiResult<Json<VectorStoreFile>> {
    let (id, file) = (body::parse_id("vector store", &id)?, body::parse_id("file", &file)?);
    Ok(Json(
        state.services.vector_stores().file(&pass, &id, &file).await?.into(),
    ))
}

/// Give a file of a vector store other attributes
#[utoipa::path(post, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path), ("file_id" = String, Path)), request_body = AttributesChange,
    responses((status = 200, body = VectorStoreFile), Failures))]
pub(crate) async fn change_vector_store_file(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((id, file)): PathParts<(String, String)>,
    JsonBody(body): JsonBody<AttributesChange>,
) -> ApiResult<Json<VectorStoreFile>> {
    let (id, file) = (body::parse_id("vector store", &id)?, body::parse_id("file", &file)?);
    let stores = state.services.vector_stores();
    let changed = stores.set_attributes(&pass, &id, &file, body.attributes).await?;
    Ok(Json(changed.into()))
}

/// Take a file out of a vector store; it stays among the caller's files
#[utoipa::path(delete, path = "/v1/vector_stores/{id}/files/{file_id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, body = DeletedVectorStoreFile), Failures))]
pub(crate) async fn remove_vector_store_file(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((id, file)): PathParts<(String, String)>,
) -> ApiResult<Json<DeletedVectorStoreFile>> {
    let store = body::parse_id("vector store", &id)?;
    let removed = body::parse_id("file", &file)?;
    state.services.vector_stores().remove(&pass, &store, &removed).await?;
    Ok(Json(DeletedVectorStoreFile {
        id: file,
        object: "vector_store.file.deleted".into(),
        deleted: true,
    }))
}

/// The text of a file as it is searched
#[utoipa::path(get, path = "/v1/vector_stores/{id}/files/{file_id}/content", tag = "openai",
    security(("tenant_key" = [])), params(("id" = String, Path), ("file_id" = String, Path)),
    responses((status = 200, body = FileText), Failures))]
pub(crate) async fn get_vector_store_file_content(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((id, file)): PathParts<(String, String)>,
) -> ApiResult<Response> {
    let (id, file) = (body::parse_id("vector store", &id)?, body::parse_id("file", &file)?);
    let stores = state.services.vector_stores();
    let bytes = stores.file(&pass, &id, &file).await?.bytes;
    let permit = state.memory.answers.acquire(pass.account(), bytes).await?;
    let text = stores.text(&pass, &id, &file).await?;
    let answer = Json(FileText {
        object: "vector_store.file_content.page".into(),
        data: vec![TextPart::new(text)],
        has_more: false,
        next_page: None,
    });
    Ok(answer.into_response().map(|body| memory::keep(body, permit)))
}

/// Add files to a vector store, which are indexed one after the other
#[utoipa::path(post, path = "/v1/vector_stores/{id}/file_batches", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), request_body = NewFileBatch, responses((status = 200, body = FileBatch), Failures))]
pub(crate) async fn create_file_batch(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<NewFileBatch>,
) -> ApiResult<Json<FileBatch>> {
    let id = body::parse_id("vector store", &id)?;
    let NewFileBatch {
        file_ids,
        files,
        attributes,
        chunking_strategy,
    } = body;
    // Which members name the files, for errors about them.
    let (param, files) = match (file_ids, files) {
        (Some(ids), None) => {
            let chunk_size = chunking_strategy.map(chunk_size).transpose()?.flatten();
            let new = |(index, id): (usize, String)| {
                Ok(vector_store::NewVectorStoreFile {
                    file: read_id(&format!("file_ids[{index}]"), &id)?,
                    attributes: attributes.clone(),
                    chunk_size,
                })
            };
            (
                "file_ids",
                ids.into_iter().enumerate().map(new).collect::<Result<_, Error>>()?,
            )
        }
        (None, Some(files)) if attributes.is_empty() && chunking_strategy.is_none() => {
            let read = |(index, new)| {
                read(new).map_err(|error| {
                    let param = format!("files[{index}].{}", error.param().unwrap_or_default());
                    error.with_param(param)
                })
            };
            (
                "files",
                files.into_iter().enumerate().map(read).collect::<Result<_, Error>>()?,
            )
        }
        (None, Some(_)) => {
            let text = "each of files has its own attributes and chunking_strategy; leave them out beside it";
            return Err(Error::invalid(text).with_param("files").into());
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Error::invalid("a batch has either file_ids or files")
                .with_param("file_ids")
                .into());
        }
    };
    let batch = state
        .services
        .vector_stores()
        .add_batch(&pass, &id, files, param)
        .await?;
    Ok(Json(batch.into()))
}

/// Files that were added together, and what has become of them
#[utoipa::path(get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}", tag = "openai",
    security(("tenant_key" = [])), params(("id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, body = FileBatch), Failures))]
pub(crate) async fn get_file_batch(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((id, batch)): PathParts<(String, String)>,
) -> ApiResult<Json<FileBatch>> {
    let (id, batch) = (
        body::parse_id("vector store", &id)?,
        body::parse_id("file batch", &batch)?,
    );
    Ok(Json(
        state.services.vector_stores().batch(&pass, &id, &batch).await?.into(),
    ))
}

/// Index no more files of a batch
#[utoipa::path(post, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/cancel", tag = "openai",
    security(("tenant_key" = [])), params(("id" = String, Path), ("batch_id" = String, Path)),
    responses((status = 200, body = FileBatch), Failures))]
pub(crate) async fn cancel_file_batch(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((id, batch)): PathParts<(String, String)>,
) -> ApiResult<Json<FileBatch>> {
    let (id, batch) = (
        body::parse_id("vector store", &id)?,
        body::parse_id("file batch", &batch)?,
    );
    let stores = state.services.vector_stores();
    Ok(Json(stores.cancel_batch(&pass, &id, &batch).await?.into()))
}

/// List the files of a batch
#[utoipa::path(get, path = "/v1/vector_stores/{id}/file_batches/{batch_id}/files", tag = "openai",
    security(("tenant_key" = [])), params(("id" = String, Path), ("batch_id" = String, Path), VectorStoreFileParams),
    responses((status = 200, body = VectorStoreFileList), Failures))]
pub(crate) async fn list_file_batch_files(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((id, batch)): PathParts<(String, String)>,
    QueryParts(query): QueryParts<VectorStoreFileParams>,
) -> ApiResult<Json<VectorStoreFileList>> {
    list(&state, &pass, &id, Some(batch), query).await
}

async fn list(
    state: &AppState,
    pass: &TenantPass,
    id: &str,
    batch: Option<String>,
    query: VectorStoreFileParams,
) -> ApiResult<Json<VectorStoreFileList>> {
    let id = body::parse_id("vector store", id)?;
    let status = query.filter.map(|word| {
        let status = IndexingStatus::of(&word);
        let known = IndexingStatus::ALL.map(IndexingStatus::as_str).join(", ");
        status.ok_or_else(|| Error::invalid(format!("filter must be one of {known}")).with_param("filter"))
    });
    let page = VectorStoreFilePage {
        after: bound("after", query.after)?,
        before: bound("before", query.before)?,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
        ascending: is_ascending(query.order.as_deref())?,
        status: status.transpose()?,
        batch: batch.map(|batch| body::parse_id("file batch", &batch)).transpose()?,
    };
    let list = state.services.vector_stores().files(pass, &id, page).await?;
    let data: Vec<_> = list.data.into_iter().map(VectorStoreFile::from).collect();
    Ok(Json(VectorStoreFileList {
        object: "list".into(),
        first_id: data.first().map(|file| file.id.clone()),
        last_id: data.last().map(|file| file.id.clone()),
        has_more: list.has_more,
        data,
    }))
}

fn read(new: NewVectorStoreFile) -> Result<vector_store::NewVectorStoreFile, Error> {
    Ok(vector_store::NewVectorStoreFile {
        file: read_id("file_id", &new.file_id)?,
        attributes: new.attributes,
        chunk_size: new.chunking_strategy.map(chunk_size).transpose()?.flatten(),
    })
}

pub(super) fn read_id(param: &str, id: &str) -> Result<FileId, Error> {
    body::parse_id("file", id).map_err(|error| error.with_param(param))
}
