//! `POST /v1/messages` and `POST /v1/messages/count_tokens`, in Anthropic's shapes.

mod request;
mod response;

pub use request::{
    MessagesContent, MessagesInput, MessagesInputBlock, MessagesMetadata, MessagesOutputConfig, MessagesOutputFormat,
    MessagesRequest, MessagesThinking, MessagesTool, MessagesToolChoice,
};
pub use response::{
    Message, MessageBlock, MessageBlockDelta, MessageEnd, MessageEvent, MessageUsage, MessagesError,
    MessagesErrorDetail, MessagesErrorDetails, MessagesThinkingTokens, MessagesTokenCount,
};
