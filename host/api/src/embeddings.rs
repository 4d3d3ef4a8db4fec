//! `/v1/embeddings`.

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use riad_api_types::embeddings::{Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage, Encoding, Vector};
use riad_core::Error;
use riad_services::embeddings;

/// Embed texts with the model that documents are indexed with
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", security(("tenant_key" = [])),
    request_body = EmbeddingRequest, responses((status = 200, body = EmbeddingList), Failures))]
pub(crate) async fn create_embeddings(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<EmbeddingRequest>,
) -> ApiResult<Json<EmbeddingList>> {
    let service = state.services.embeddings();
    if body
        .dimensions
        .is_some_and(|dimensions| dimensions != service.dimensions())
    {
        return Err(Error::invalid(format!(
            "this model's vectors have {} dimensions and cannot be shortened",
            service.dimensions()
        ))
        .with_param("dimensions")
        .into());
    }
    let request = embeddings::EmbeddingRequest {
        model: body.model,
        input: body.input.0,
    };
    let embeddings = service.embed(&pass, request).await?;
    let data = embeddings.vectors.into_iter().enumerate();
    Ok(Json(EmbeddingList {
        object: "list".into(),
        data: data
            .map(|(index, vector)| Embedding {
                object: "embedding".into(),
                index,
                embedding: encode(body.encoding_format, vector),
            })
            .collect(),
        model: embeddings.model,
        usage: EmbeddingUsage {
            prompt_tokens: embeddings.tokens,
            total_tokens: embeddings.tokens,
        },
    }))
}

fn encode(encoding: Encoding, vector: Vec<f32>) -> Vector {
    match encoding {
        Encoding::Float => Vector::Float(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    }
}
