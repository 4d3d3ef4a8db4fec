//! `/v1/logs`: the latest lines of the caller's plugins. Not here: the server's log.

use crate::{
    auth::Tenant,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_core::ports::LogLevel;
use riad_services::logs::LogLine;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct LogList {
    #[schema(example = "list")]
    object: &'static str,
    /// Oldest first. Kept in memory, the latest few hundred.
    data: Vec<Line>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogLine)]
pub(crate) struct Line {
    time: u64,
    #[schema(example = "info")]
    level: &'static str,
    message: String,
}

impl From<LogLine> for Line {
    fn from(line: LogLine) -> Self {
        Self {
            time: line.time,
            level: match line.level {
                LogLevel::Debug => "debug",
                LogLevel::Info => "info",
                LogLevel::Warn => "warn",
                LogLevel::Error => "error",
            },
            message: line.message,
        }
    }
}

/// What the caller's plugins have logged lately
#[utoipa::path(get, path = "/v1/logs", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = LogList), Failures))]
pub(crate) async fn list_logs(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<LogList>> {
    let lines = state.services.logs().list(&pass).await?;
    Ok(Json(LogList {
        object: "list",
        data: lines.into_iter().map(Line::from).collect(),
    }))
}
