//! `POST /v1/chat/completions`, in OpenAI's shapes.

mod request;
mod response;

pub use request::{ChatCompletionRequest, ChatMessage, Content, JsonSchemaFormat, ResponseFormat, Stop, StreamOptions};
pub use response::{
    AssistantMessage, ChatCompletion, ChatCompletionChunk, Choice, ChoiceRiad, ChunkChoice, Citation,
    CompletionTokensDetails, Delta, Logprobs, Riad, ScoredToken, TokenLogprobs, Usage,
};
