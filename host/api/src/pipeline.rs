//! `/v1/pipeline`: who serves each stage of the caller's room. Not here: the stages.

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_core::plugin::{Pipeline, Stage, StageChoice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pipeline)]
pub(crate) struct PipelineBody {
    stages: Stages,
}

/// Each stage is `standard` or `name@sha256:…`; one that is not given is `standard`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Stages {
    #[schema(value_type = String, example = "standard")]
    retrieval: StageChoice,
    #[schema(value_type = String, example = "standard")]
    prompting: StageChoice,
    #[schema(value_type = String, example = "standard")]
    postprocessing: StageChoice,
}

impl From<Pipeline> for PipelineBody {
    fn from(pipeline: Pipeline) -> Self {
        Self {
            stages: Stages {
                retrieval: pipeline.choice(Stage::Retrieval),
                prompting: pipeline.choice(Stage::Prompting),
                postprocessing: pipeline.choice(Stage::Postprocessing),
            },
        }
    }
}

impl From<PipelineBody> for Pipeline {
    fn from(body: PipelineBody) -> Self {
        Self {
            stages: [
                (Stage::Retrieval, body.stages.retrieval),
                (Stage::Prompting, body.stages.prompting),
                (Stage::Postprocessing, body.stages.postprocessing),
            ]
            .into(),
        }
    }
}

/// Who serves each stage
#[utoipa::path(get, path = "/v1/pipeline", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = PipelineBody), Failures))]
pub(crate) async fn get_pipeline(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<PipelineBody>> {
    Ok(Json(state.services.pipeline().get(&pass).await?.into()))
}

/// Choose who serves each stage, at once for the requests that come after
#[utoipa::path(put, path = "/v1/pipeline", tag = "room", security(("tenant_key" = [])),
    request_body = PipelineBody, responses((status = 200, body = PipelineBody), Failures))]
pub(crate) async fn put_pipeline(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<PipelineBody>,
) -> ApiResult<Json<PipelineBody>> {
    Ok(Json(state.services.pipeline().put(&pass, &body.into()).await?.into()))
}
