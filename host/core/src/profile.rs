//! The model's properties that a pipeline needs to write a prompt.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelProfile {
    /// The model's name in the API.
    pub id: String,
    /// Limit of prompt tokens plus completion tokens.
    pub context_tokens: u32,
    /// Tokens up to which the standard pipeline fills a prompt; longer prompts make the model slower or worse.
    pub prompt_tokens: u32,
    /// Maximum number of passages in a prompt.
    pub passages: u32,
    /// Sentences around the best match that a passage keeps.
    pub sentences: u32,
    /// Default `max_tokens` of a request.
    pub completion_tokens: u32,
    /// Default `temperature` of a request, from the model's `generation_config.json`.
    pub temperature: f32,
}
