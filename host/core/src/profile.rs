//! What a pipeline must know of the model it writes a prompt for. Not here: how the model is loaded.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelProfile {
    /// The model's name in the API.
    pub id: String,
    /// Tokens that prompt and completion may have together.
    pub context_tokens: u32,
    /// Tokens up to which the standard pipeline fills a prompt; beyond it the model gets worse or slow.
    pub prompt_tokens: u32,
    /// Passages in a prompt.
    pub passages: u32,
    /// Sentences around the best match that a passage keeps.
    pub sentences: u32,
    /// `max_tokens` of a request that does not say.
    pub completion_tokens: u32,
    /// `temperature` of a request that does not say: what the model was made for.
    pub temperature: f32,
}
