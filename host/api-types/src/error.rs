//! OpenAI's envelope around every error.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// OpenAI's envelope.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// What happened and what to change, for people.
    pub message: String,
    pub r#type: Cow<'static, str>,
    /// The field of the request at fault.
    pub param: Option<String>,
    /// For programs.
    pub code: Option<Cow<'static, str>>,
}
