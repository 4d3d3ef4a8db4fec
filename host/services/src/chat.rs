//! One chat request from validation to receipt. Not here: OpenAI's JSON and SSE (`api`), the stages (`sandbox`), tokens
//! (`engine`).
//!
//! `request` validates, `prepare` runs the pipeline up to a started generation, `choice` follows one generation through its
//! stream filter, `stream` is what the caller reads. The request's meter (`metering`) settles it, however it ends.

mod choice;
mod prepare;
mod request;
mod stream;

pub use request::{ChatMessage, ChatRequest, ValidRequest};
pub use stream::ChatStream;

use crate::shared::Shared;
use riad_core::{
    Error, ErrorKind, Result, TenantPass,
    chat::FinishReason,
    document::Passage,
    grants::{Access, Scope},
    plugin::Citation,
    receipt::SignedReceipt,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What a caller of a chat reads, in this order for each choice; events of several choices are interleaved.
#[expect(clippy::large_enum_variant, reason = "the large one comes once in a request")]
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// Text that the stream filter let through; never empty.
    Text { choice: u32, text: String },
    /// The choice is complete.
    ChoiceEnd {
        choice: u32,
        finish: FinishReason,
        citations: Vec<Citation>,
    },
    /// The last event: every choice has ended and the request is settled.
    End {
        receipt: SignedReceipt,
        passages: Vec<Passage>,
    },
}

pub struct ChatService(pub(crate) Arc<Shared>);

impl ChatService {
    /// Validates, runs the pipeline, waits for a lane and starts generating. When it returns, the first generation runs;
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
        let started = prepare::prepare(&self.0, pass, valid, deadline).await?;
        Ok(stream::spawn(started))
    }
}

fn too_late(shared: &Shared) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("the request took longer than {} ms", shared.limits.request_ms),
    )
}
