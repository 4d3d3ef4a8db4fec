//! `/v1/files`: what a tenant keeps as it was sent, in OpenAI's shapes. Not here: files that come in parts (`file_uploads`), documents (`documents`).

mod form;
mod range;

use crate::{
    auth::Tenant,
    body::{self, PathParts},
    error::{self, ApiResult, Failures},
    memory,
    query::QueryParts,
    state::AppState,
};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use form::FileForm;
use futures::{TryStreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use range::Selected;
use riad_api_types::files::{DeletedFile, File, FileList, FileParams};
use riad_core::{Error, file::FilePage};
use riad_services::files::PIECE_BYTES;
use utoipa::ToSchema;

/// As they are, for the OpenAPI document.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "they are sent piece by piece")]
pub(crate) struct FileBytes(Vec<u8>);

const DEFAULT_LIMIT: u32 = 10_000;

/// Keep a file
#[utoipa::path(post, path = "/v1/files", tag = "openai", security(("tenant_key" = [])),
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 200, body = File), Failures))]
pub(crate) async fn create_file(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    request: Request,
) -> ApiResult<Json<File>> {
    let upload = state.services.files().begin(&pass).await?;
    Ok(Json(form::read(request, upload).await?.into()))
}

/// List the caller's files
#[utoipa::path(get, path = "/v1/files", tag = "openai", security(("tenant_key" = [])),
    params(FileParams), responses((status = 200, body = FileList), Failures))]
pub(crate) async fn list_files(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(query): QueryParts<FileParams>,
) -> ApiResult<Json<FileList>> {
    let in_after = |error: Error| error.with_param("after");
    let page = FilePage {
        after: query.after.map(|after| after.parse().map_err(in_after)).transpose()?,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
        purpose: query.purpose.map(|purpose| purpose.parse()).transpose()?,
        ascending: match query.order.as_deref() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => return Err(Error::invalid("order must be asc or desc").with_param("order").into()),
        },
    };
    let list = state.services.files().list(&pass, page).await?;
    let data: Vec<File> = list.files.into_iter().map(File::from).collect();
    Ok(Json(FileList {
        object: "list".into(),
        first_id: data.first().map(|file| file.id.clone()),
        last_id: data.last().map(|file| file.id.clone()),
        has_more: list.has_more,
        data,
    }))
}

/// What is known of a file
#[utoipa::path(get, path = "/v1/files/{id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = File), Failures))]
pub(crate) async fn get_file(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<File>> {
    let id = body::parse_id("file", &id)?;
    Ok(Json(state.services.files().get(&pass, &id).await?.into()))
}

/// A file's bytes, as they were sent; with `Range`, a part of them
#[utoipa::path(get, path = "/v1/files/{id}/content", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = FileBytes),
        (status = 206, content_type = "application/octet-stream", body = FileBytes, description = "The part that `Range` asks for"),
        Failures))]
pub(crate) async fn get_file_content(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let id = body::parse_id("file", &id)?;
    let mut content = state.services.files().open(&pass, &id).await?;
    let file = content.file().clone();
    let part = match range::select(&headers, file.bytes) {
        Selected::Whole => None,
        Selected::Part(part) => Some(part),
        Selected::Nothing => return Ok(error::no_such_range(file.bytes)),
    };
    let bytes = part.as_ref().map_or(file.bytes, |part| part.end - part.start);
    let permit = state
        .memory
        .answers
        .acquire(pass.account(), bytes.min(PIECE_BYTES as u64))
        .await?;
    if let Some(part) = &part {
        content.select(part);
    }
    let pieces = stream::try_unfold(content, |mut content| async move {
        Ok::<_, Error>(content.next().await?.map(|piece| (piece, content)))
    });
    let pieces = pieces.inspect_err(|error| tracing::error!(?error, "a file broke off"));
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    // Whatever it is, no browser is to run it in the server's name.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let name = utf8_percent_encode(&file.name, NON_ALPHANUMERIC);
    let disposition = HeaderValue::try_from(format!("attachment; filename*=UTF-8''{name}")).map_err(Error::internal)?;
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    if let Some(part) = part {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, file.bytes);
        headers.insert(
            header::CONTENT_RANGE,
            HeaderValue::try_from(range).map_err(Error::internal)?,
        );
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response.map(|body| memory::keep(body, permit)))
}

/// Delete a file; when the answer is there, its bytes are gone
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DeletedFile), Failures))]
pub(crate) async fn delete_file(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DeletedFile>> {
    let file = body::parse_id("file", &id)?;
    state.services.files().delete(&pass, &file).await?;
    Ok(Json(DeletedFile {
        id,
        object: "file".into(),
        deleted: true,
    }))
}
