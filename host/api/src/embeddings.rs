//! `/v1/embeddings`.

use crate::{
    auth::Tenant,
    body::JsonBody,
    completions::read_texts,
    error::{ApiResult, Failures},
    state::AppState,
    unsupported,
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
    unsupported::refuse(&body.other, unsupported::EMBEDDINGS)?;
    let service = state.services.embeddings();
    let (most, dimensions) = (service.dimensions(), body.dimensions);
    if dimensions.is_some_and(|dimensions| !(1..=most).contains(&dimensions)) {
        let message = format!("dimensions must be 1 to {most}, which this model's vectors have");
        return Err(Error::invalid(message).with_param("dimensions").into());
    }
    let request = embeddings::EmbeddingRequest {
        model: body.model,
        input: read_texts(body.input),
    };
    let embeddings = service.embed(&pass, request).await?;
    let data = embeddings.vectors.into_iter().enumerate();
    Ok(Json(EmbeddingList {
        object: "list".into(),
        data: data
            .map(|(index, vector)| Embedding {
                object: "embedding".into(),
                index,
                embedding: encode(body.encoding_format, shorten(vector, dimensions)),
            })
            .collect(),
        model: embeddings.model,
        usage: EmbeddingUsage {
            prompt_tokens: embeddings.tokens,
            total_tokens: embeddings.tokens,
        },
    }))
}

/// The first dimensions, as a unit vector.
fn shorten(mut vector: Vec<f32>, dimensions: Option<usize>) -> Vec<f32> {
    let Some(dimensions) = dimensions.filter(|dimensions| *dimensions < vector.len()) else {
        return vector;
    };
    vector.truncate(dimensions);
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    } else if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
    vector
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_vector_is_a_unit_vector_and_never_zero() {
        let vector = vec![1.5, 2.0, 1.0];
        assert_eq!(shorten(vector.clone(), None), vector);
        assert_eq!(shorten(vector.clone(), Some(3)), vector);
        assert_eq!(shorten(vector, Some(2)), [0.6, 0.8]);
        assert_eq!(shorten(vec![0.0, 1.0], Some(1)), [1.0]);
    }
}
