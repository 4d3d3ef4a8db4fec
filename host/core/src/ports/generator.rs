//! Prompts of a plugin's own, within the request that it serves.

use crate::{Result, chat::Message};
use async_trait::async_trait;

/// Texts before which a guest's generation may end (`wit/riad-generation`).
pub const GENERATION_STOPS: usize = 4;

/// As the sandbox has checked it.
#[derive(Debug, Clone, PartialEq)]
pub struct GuestPrompt {
    /// At least one.
    pub messages: Vec<Message>,
    /// 1 to `limits.guest_generation_tokens`.
    pub max_tokens: u32,
    /// 0 to 2.
    pub temperature: f32,
    /// At most [`GENERATION_STOPS`], none of them empty.
    pub stop: Vec<String>,
    /// JSON Schema of the answer, an object.
    pub schema: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    pub text: String,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    /// The answer ended because it has `max_tokens`.
    pub is_cut: bool,
}

/// Bound to one request: its model, its adapter, its budget.
#[async_trait]
pub trait Generator: Send + Sync {
    /// Waits in the account's place of the queue, holds and bills in the request's entry. No stage runs. Dropping the future ends the
    /// generation. `InvalidRequest` or `ContextTooLong` for a prompt that cannot be answered, `QuotaExceeded` over the budget, `Busy` or
    /// `Unavailable` when the engine cannot.
    async fn generate(&self, prompt: GuestPrompt) -> Result<Generated>;
}
