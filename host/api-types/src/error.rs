//! OpenAI's envelope around every error.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// OpenAI's envelope.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

impl ErrorBody {
    /// An error that no field of the request is at fault for.
    #[must_use]
    pub fn new(message: impl Into<String>, r#type: &'static str, code: &'static str) -> Self {
        Self {
            error: ErrorDetail {
                message: message.into(),
                r#type: r#type.into(),
                param: None,
                code: Some(code.into()),
            },
        }
    }
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
