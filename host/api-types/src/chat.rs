//! `POST /v1/chat/completions`, in OpenAI's shapes.

mod request;
mod response;

pub use request::{
    ChatCompletionRequest, ChatMessage, Content, FunctionDefinition, FunctionName, JsonSchemaFormat, ResponseFormat,
    Stop, StreamOptions, ToolChoice, ToolDefinition,
};
pub use response::{
    AssistantMessage, CalledFunction, ChatCompletion, ChatCompletionChunk, Choice, ChoiceRiad, ChunkChoice, Citation,
    CompletionTokensDetails, Delta, Logprobs, Riad, ScoredToken, TokenLogprobs, ToolCall, ToolCallDelta, Usage,
};
