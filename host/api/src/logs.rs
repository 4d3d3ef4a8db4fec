//! `/v1/logs`: the latest log lines of the caller's plugins.

use crate::{
    auth::Tenant,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::logs::{LogLine, LogList};
use riad_core::ports::LogLevel;
use riad_services::logs;

/// What the caller's plugins have logged lately
#[utoipa::path(get, path = "/v1/logs", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = LogList), Failures))]
pub(crate) async fn list_logs(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<LogList>> {
    let lines = state.services.logs().list(&pass).await?;
    Ok(Json(LogList {
        object: "list".into(),
        data: lines.into_iter().map(log_line).collect(),
    }))
}

fn log_line(line: logs::LogLine) -> LogLine {
    let level = match line.level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    LogLine {
        time: line.time,
        level: level.into(),
        message: line.message,
    }
}
