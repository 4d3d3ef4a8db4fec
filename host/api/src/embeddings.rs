//! `/v1/embeddings`. Not here: which models there are (`engine`).

use crate::{
    auth::Tenant,
    body::{self, JsonBody},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use riad_core::Error;
use riad_services::embeddings::EmbeddingRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Fields of OpenAI's that are not listed are ignored.
#[derive(Deserialize, ToSchema)]
#[schema(as = EmbeddingRequest)]
pub(crate) struct EmbeddingsIn {
    model: String,
    #[schema(schema_with = body::strings_schema)]
    input: Input,
    #[serde(default)]
    encoding_format: Encoding,
    /// Must be what the model has.
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Input(Vec<String>);

impl TryFrom<Value> for Input {
    type Error = &'static str;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        body::strings(value).map(Self)
    }
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    #[default]
    Float,
    /// Little-endian 32-bit floats.
    Base64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingList {
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<Embedding>,
    model: String,
    usage: EmbeddingUsage,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Embedding {
    #[schema(example = "embedding")]
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Vector {
    Float(Vec<f32>),
    Base64(String),
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    prompt_tokens: u32,
    total_tokens: u32,
}

/// Embed texts with the model that documents are indexed with
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", security(("tenant_key" = [])),
    request_body = EmbeddingsIn, responses((status = 200, body = EmbeddingList), Failures))]
pub(crate) async fn create_embeddings(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<EmbeddingsIn>,
) -> ApiResult<Json<EmbeddingList>> {
    let service = state.services.embeddings();
    if body.dimensions.is_some_and(|asked| asked != service.dimensions()) {
        return Err(Error::invalid(format!(
            "this model's vectors have {} dimensions and cannot be shortened",
            service.dimensions()
        ))
        .with_param("dimensions")
        .into());
    }
    let request = EmbeddingRequest {
        model: body.model,
        input: body.input.0,
    };
    let embeddings = service.embed(&pass, request).await?;
    let data = embeddings.vectors.into_iter().enumerate();
    Ok(Json(EmbeddingList {
        object: "list",
        data: data
            .map(|(index, vector)| Embedding {
                object: "embedding",
                index,
                embedding: body.encoding_format.write(vector),
            })
            .collect(),
        model: embeddings.model,
        usage: EmbeddingUsage {
            prompt_tokens: embeddings.tokens,
            total_tokens: embeddings.tokens,
        },
    }))
}

impl Encoding {
    fn write(self, vector: Vec<f32>) -> Vector {
        match self {
            Self::Float => Vector::Float(vector),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Vector::Base64(STANDARD.encode(bytes))
            }
        }
    }
}
