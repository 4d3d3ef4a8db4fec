//! The lines that a room's plugins have logged, and new ones as they come. Not here: the server's own log.

use super::view;
use crate::{
    error::{ForScript, PageResult, ScriptError},
    layout::Page,
    parts,
    session::TenantSession,
    state::ConsoleState,
    streams::{self, OpenStream},
};
use axum::{
    extract::{Query, State},
    http::HeaderMap,
    response::{IntoResponse, sse::Event},
};
use futures::{Stream, stream};
use maud::{Markup, html};
use riad_core::{Result, ports::LogLevel};
use riad_services::logs::LogLine;
use serde::Deserialize;
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, time::Duration};

/// How often new lines are looked for: they are in memory.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct After {
    after: u64,
}

pub(crate) fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

pub(super) async fn list(State(state): State<ConsoleState>, session: TenantSession) -> PageResult<Markup> {
    let lines = state.services.logs().list(&session.pass).await?;
    Ok(session.page(Page::Plugins, page(&lines)))
}

/// Lines after the number, as they come. The key is checked again at each look.
pub(super) async fn follow(
    State(state): State<ConsoleState>,
    ForScript(session): ForScript<TenantSession>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ScriptError> {
    // Of a browser that connects again.
    let last = headers
        .get("last-event-id")
        .and_then(|last| last.to_str().ok()?.parse().ok());
    let after = last.unwrap_or(after);
    // Refused with a status, not in the stream.
    let stream = session.open_stream(&state)?;
    state.services.logs().list(&session.pass).await?;
    Ok(streams::respond(lines(state, session, stream, after)))
}

fn lines(
    state: ConsoleState,
    session: TenantSession,
    stream: OpenStream,
    after: u64,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let begun = (state, session, stream, after, VecDeque::new());
    stream::unfold(begun, |(state, session, stream, mut after, mut waiting)| async move {
        loop {
            if let Some(line) = waiting.pop_front() {
                return Some((Ok(event(&line)), (state, session, stream, after, waiting)));
            }
            if !stream.wait(PERIOD).await {
                return None;
            }
            let pass = session.authorize_again(&state).await.ok()?;
            let lines = state.services.logs().list(&pass).await.ok()?;
            waiting.extend(lines.into_iter().filter(|line| line.number > after));
            after = waiting.back().map_or(after, |line: &LogLine| line.number);
        }
    })
}

fn event(line: &LogLine) -> Event {
    let data = json!({"time": line.time, "level": level(line.level), "message": line.message});
    Event::default().id(line.number.to_string()).data(data.to_string())
}

fn page(lines: &[LogLine]) -> Markup {
    let last = lines.last().map_or(0, |line| line.number);
    html! {
        (view::tabs("/logs"))
        section aria-labelledby="log-title" {
            h2 #log-title { "Log of your plugins" }
            p.muted { "The latest lines since the server began; they are in memory only. " span #live role="status" {} }
            @if lines.is_empty() {
                div #no-lines {
                    (parts::empty("Nothing was logged yet", &html! { "Lines appear here while plugins serve requests." }))
                }
            }
            ol #log.log data-stream={ "/console/plugins/logs/stream?after=" (last) } {
                @for line in lines {
                    li data-level=(level(line.level)) {
                        (parts::when(line.time)) " " span.badge { (level(line.level)) } " " span.message { (line.message) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_text() {
        let line = LogLine {
            number: 7,
            time: 0,
            level: LogLevel::Warn,
            message: "<script>alert(1)</script>".to_owned(),
        };
        let html = page(&[line]).into_string();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("after=7"), "{html}");
    }
}
