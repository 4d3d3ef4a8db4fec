//! What the first-party plugins share: sentences of a passage, the window around the best one, a prompt that fits the
//! model's profile, and the check of quotations. Pure: capabilities come in as closures, so that all of it is tested
//! natively. Not here: which passages to take (`standard`), prices and addresses (`price-desk`).

mod grounding;
mod prompt;
mod sentences;
mod window;
mod words;

pub use grounding::{AnswerCheck, citations};
pub use prompt::{build, search_limit};
pub use sentences::sentences;
pub use words::{normalize, words};
