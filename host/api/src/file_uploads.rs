//! `/v1/uploads`: files that come in parts, in OpenAI's shapes. Not here: how many requests may hold a body at the same time (`uploads`), files
//! that come whole (`files`).

use crate::{
    auth::Tenant,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    file_name,
    form::{self, Form},
    state::AppState,
};
use axum::{
    Json,
    extract::{Request, State},
};
use riad_api_types::uploads::{CompleteUpload, FileExpiry, NewUpload, Upload, UploadPart};
use riad_core::{
    Error, PartId,
    upload::{self, Md5},
};
use riad_services::uploads::{PartUpload, UploadRequest};
use utoipa::ToSchema;

/// The one moment that a file's time can be counted from.
const ANCHOR: &str = "created_at";

/// OpenAI's, for the OpenAPI document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is read piece by piece")]
pub(crate) struct PartForm {
    #[schema(value_type = String, format = Binary)]
    data: (),
}

/// Begin a file that comes in parts
#[utoipa::path(post, path = "/v1/uploads", tag = "openai", security(("tenant_key" = [])),
    request_body = NewUpload, responses((status = 200, body = Upload), Failures))]
pub(crate) async fn create_upload(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<NewUpload>,
) -> ApiResult<Json<Upload>> {
    let request = UploadRequest {
        // As of a file that comes whole.
        name: file_name::without_folders(&body.filename),
        purpose: body.purpose.parse()?,
        bytes: body.bytes,
        media_type: body.mime_type,
        expires_after: body.expires_after.map(seconds).transpose()?,
    };
    Ok(Json(state.services.uploads().create(&pass, request).await?.into()))
}

/// Add a part to an upload; parts may come in any order and at the same time
#[utoipa::path(post, path = "/v1/uploads/{id}/parts", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), request_body(content = PartForm, content_type = "multipart/form-data"),
    responses((status = 200, body = UploadPart), Failures))]
pub(crate) async fn add_upload_part(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    request: Request,
) -> ApiResult<Json<UploadPart>> {
    let id = body::parse_id("upload", &id)?;
    let part = state.services.uploads().begin_part(&pass, &id).await?;
    Ok(Json(read_part(request, part).await?.into()))
}

/// Join an upload's parts to a file
#[utoipa::path(post, path = "/v1/uploads/{id}/complete", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), request_body = CompleteUpload,
    responses((status = 200, body = Upload), Failures))]
pub(crate) async fn complete_upload(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<CompleteUpload>,
) -> ApiResult<Json<Upload>> {
    let id = body::parse_id("upload", &id)?;
    let parts: Result<Vec<PartId>, Error> = body
        .part_ids
        .iter()
        .map(|part| body::parse_id("part", part).map_err(|error| error.with_param("part_ids")))
        .collect();
    let md5: Option<Md5> = body.md5.map(|md5| md5.parse()).transpose()?;
    let completed = state.services.uploads().complete(&pass, &id, parts?, md5).await?;
    Ok(Json(completed.into()))
}

/// Cancel an upload; when the answer is there, its parts are gone
#[utoipa::path(post, path = "/v1/uploads/{id}/cancel", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = Upload), Failures))]
pub(crate) async fn cancel_upload(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<Upload>> {
    let id = body::parse_id("upload", &id)?;
    Ok(Json(state.services.uploads().cancel(&pass, &id).await?.into()))
}

fn seconds(expiry: FileExpiry) -> Result<u64, Error> {
    match expiry.anchor.as_str() {
        ANCHOR => Ok(expiry.seconds),
        _ => Err(Error::invalid("expires_after.anchor must be created_at").with_param("expires_after")),
    }
}

/// Reads the form while it comes: its bytes go to the disk piece by piece.
async fn read_part(request: Request, mut part: PartUpload) -> Result<upload::UploadPart, Error> {
    let mut form = Form::of(request, &()).await?;
    let mut has_data = false;
    while let Some(mut field) = form.next().await? {
        let name = field.name();
        if name != "data" {
            return Err(Error::invalid("a part's form may have the field data").with_param(name));
        }
        if has_data {
            return Err(form::duplicate_field("data"));
        }
        has_data = true;
        while let Some(piece) = field.chunk().await? {
            part.write(piece).await?;
        }
    }
    if !has_data {
        return Err(form::missing_field("data"));
    }
    part.finish().await
}
