//! The model that will read the prompt. Its profile is in the request.

use crate::bindings::capabilities::riad::model::model;

/// Tokens of a text for this model, without any template.
#[must_use]
pub fn count_tokens(text: &str) -> u32 {
    model::count_tokens(text)
}
