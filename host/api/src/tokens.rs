//! `POST /v1/tokenize` and `/v1/detokenize`, as vLLM has them.

use crate::{
    auth::Tenant,
    body::JsonBody,
    chat::read_message,
    error::{ApiResult, Failures},
    state::AppState,
    unsupported,
};
use axum::{Json, extract::State};
use riad_api_types::tokens::{DetokenizeRequest, Detokenized, TokenizeRequest, Tokenized};
use riad_core::{Error, Result};
use riad_services::tokens::Untokenized;

/// The model's tokens for a text or a conversation
#[utoipa::path(post, path = "/v1/tokenize", tag = "openai", security(("tenant_key" = [])),
    request_body = TokenizeRequest, responses((status = 200, body = Tokenized), Failures))]
pub(crate) async fn tokenize(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<TokenizeRequest>,
) -> ApiResult<Json<Tokenized>> {
    let (model, with_texts) = (body.model.clone(), body.return_token_strs.unwrap_or(false));
    let input = read(body)?;
    let tokens = state.services.tokens();
    let tokenized = tokens.tokenize(&pass, &model, input, with_texts).await?;
    Ok(Json(Tokenized {
        count: tokenized.tokens.len(),
        max_model_len: tokenized.context_tokens,
        tokens: tokenized.tokens,
        token_strs: tokenized.texts,
    }))
}

/// The text that tokens of the model stand for
#[utoipa::path(post, path = "/v1/detokenize", tag = "openai", security(("tenant_key" = [])),
    request_body = DetokenizeRequest, responses((status = 200, body = Detokenized), Failures))]
pub(crate) async fn detokenize(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<DetokenizeRequest>,
) -> ApiResult<Json<Detokenized>> {
    let prompt = state
        .services
        .tokens()
        .detokenize(&pass, &body.model, body.tokens)
        .await?;
    Ok(Json(Detokenized { prompt }))
}

fn read(body: TokenizeRequest) -> Result<Untokenized> {
    unsupported::refuse(&body.other, unsupported::TOKENIZE)?;
    match (body.prompt, body.messages) {
        (Some(text), None) => Ok(Untokenized::Text {
            text,
            with_prefix: body.add_special_tokens.unwrap_or(true),
        }),
        (None, Some(_)) if body.add_special_tokens == Some(true) => {
            let message = "add_special_tokens is for a prompt: a chat template writes its own";
            Err(Error::invalid(message).with_param("add_special_tokens"))
        }
        (None, Some(_)) if body.add_generation_prompt == Some(false) => {
            let message =
                "add_generation_prompt must be true: the place where the answer begins is a part of the prompt";
            Err(Error::invalid(message).with_param("add_generation_prompt"))
        }
        (None, Some(messages)) => {
            let mut files = Vec::new();
            let messages = messages.into_iter().enumerate();
            let messages = messages.map(|(index, message)| read_message(index, message, &mut files));
            let messages = messages.collect::<Result<_>>()?;
            match files.first() {
                None => Ok(Untokenized::Messages(messages)),
                Some(file) => {
                    let message = "the tokens of a file's text are known when it is read; leave it out";
                    Err(Error::invalid(message).with_param(&file.param))
                }
            }
        }
        (Some(_), Some(_)) => Err(Error::invalid("send prompt or messages, not both").with_param("messages")),
        (None, None) => Err(Error::invalid("prompt is missing; send it, or messages").with_param("prompt")),
    }
}
