//! One chat request from validation to receipt. Not here: OpenAI's JSON and SSE (`api`).
//!
//! `request` and `conversation` validate, `prepare` runs the pipeline up to a started generation, `batch_permit` waits for the engine, `choice` follows one
//! generation through its stream filter, and `stream` is what the caller reads. The request's meter (`metering`) settles it, however it ends.

mod batch_permit;
mod choice;
mod conversation;
mod event;
mod prepare;
mod prepared;
mod request;
mod size;
mod stream;
mod tools;

pub use conversation::{ChatMessage, ToolCall};
pub use event::{AnswerUsage, ChatEvent};
pub use request::{ChatRequest, ValidRequest};
pub use stream::ChatStream;
pub use tools::{OfferedTool, ToolChoice, Tools};

use crate::shared::Shared;
use riad_core::{
    Result, TenantPass,
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
        let limits = &pass.policy().limits;
        let valid = ValidRequest::check(request, self.0.engine.profile(), &self.0.limits, limits)?;
        size::check_request(self.0.engine.as_ref(), valid.messages())?;
        let started = prepare::prepare(&self.0, pass, valid, deadline).await?;
        Ok(stream::spawn(started))
    }
}
