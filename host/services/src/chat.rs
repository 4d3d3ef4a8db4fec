//! One chat request from validation to receipt. Not here: OpenAI's JSON and SSE (`api`).
//!
//! `request` and `conversation` validate, `prepare` runs the pipeline up to a started generation, `choice` follows one
//! choice through its stream filter, `tool_rounds` runs the room's tools, and `stream` is what the caller reads. The request's meter (`metering`) settles it, however it ends.

mod attached_files;
mod choice;
mod conversation;
mod count;
mod event;
mod prepare;
mod prepared;
mod prompt;
mod request;
mod stream;
mod times;
mod tool_rounds;
mod tools;

pub use attached_files::{AttachedFile, FileSource};
pub(crate) use conversation::Conversation;
pub use conversation::{ChatMessage, ToolCall, asked};
pub use event::{AnswerUsage, ChatEvent, SearchedFiles};
pub use request::{ChatRequest, CompletionRequest, ValidRequest};
pub use stream::ChatStream;
pub use times::ChatTimes;
pub use tools::{ClientTools, OfferedTool, ToolChoice};

use crate::{prompts, shared::Shared};
use riad_core::{
    Error, Result, TenantPass,
    grants::{Access, Scope},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

pub struct ChatService(pub(crate) Arc<Shared>);

impl ChatService {
    /// Validates, runs the pipeline, waits for a place in the batch and starts generating. When it returns, the first generation runs;
    /// dropping this future or the stream ends everything that was started for the request, and settles it.
    ///
    /// # Errors
    /// Everything that is wrong before the first token: the key's grants, the tenant's limits and budgets, the request, the model,
    /// the plugin, the context, the queue.
    pub async fn start(&self, pass: &TenantPass, request: ChatRequest) -> Result<ChatStream> {
        pass.require(Scope::Chat, Access::Write)?;
        let deadline = Instant::now() + Duration::from_millis(self.0.limits.request_ms);
        let valid = self.check(pass, request)?;
        let started = prepare::prepare(&self.0, pass, valid, deadline).await?;
        Ok(stream::spawn(started))
    }

    /// As [`Self::start`], for texts that the model continues as they are: without retrieval, prompt building and a template. `n` choices
    /// for each, in their order.
    ///
    /// # Errors
    /// Those of [`Self::start`]; `InvalidRequest` if a plugin of the tenant's builds the room's prompts, which this would pass by.
    pub async fn complete(&self, pass: &TenantPass, request: CompletionRequest) -> Result<ChatStream> {
        pass.require(Scope::Chat, Access::Write)?;
        let deadline = Instant::now() + Duration::from_millis(self.0.limits.request_ms);
        let limits = &pass.policy().limits;
        // Members have other names than in a chat.
        let named = |error: Error| match error.param() {
            Some("messages") => error.with_param("prompt"),
            Some("top_logprobs") => error.with_param("logprobs"),
            Some(_) | None => error,
        };
        let valid = ValidRequest::check_completion(request, self.0.engine.profile(), &self.0.limits, limits);
        let valid = valid.map_err(named)?;
        for prompt in valid.prompts() {
            prompt
                .check_size(self.0.engine.as_ref())
                .map_err(|error| error.with_param("prompt"))?;
        }
        let started = prepare::prepare(&self.0, pass, valid, deadline).await;
        Ok(stream::spawn(started.map_err(named)?))
    }

    /// Tokens of the request's prompt, as it is before the pipeline: without passages, and with all of its messages. Without documents, and
    /// with the standard pipeline, those are the tokens that the request is billed for, if it fits into the context. Costs nothing, but is
    /// admitted as a chat is.
    ///
    /// # Errors
    /// As for [`Self::start`], as far as it is known without running the pipeline.
    pub async fn count_tokens(&self, pass: &TenantPass, request: ChatRequest) -> Result<u32> {
        pass.require(Scope::Chat, Access::Write)?;
        let valid = self.check(pass, request)?;
        count::count(&self.0, pass, valid).await
    }

    fn check(&self, pass: &TenantPass, request: ChatRequest) -> Result<ValidRequest> {
        let limits = &pass.policy().limits;
        let valid = ValidRequest::check(request, self.0.engine.profile(), &self.0.limits, limits)?;
        prompts::check_request(self.0.engine.as_ref(), valid.messages())?;
        Ok(valid)
    }
}
