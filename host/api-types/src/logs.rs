//! `/v1/logs`.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct LogList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Oldest first. Kept in memory, the latest few hundred.
    pub data: Vec<LogLine>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    pub time: u64,
    #[schema(example = "info")]
    pub level: Cow<'static, str>,
    pub message: String,
}
