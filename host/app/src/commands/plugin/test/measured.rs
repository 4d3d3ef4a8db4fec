//! What a stage of a case did, and how its errors are written, so that they are the same after every build.

use super::room::Room;
use riad_core::{Error, ErrorKind, Result, ports::GuestUse};
use serde_json::{Value, json};
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// How messages name a component, by a digest that changes with every build.
const NAMED: &str = "plugin sha256:";

pub struct Measured {
    /// What it returned, or its error.
    pub result: Value,
    pub fuel: u64,
    pub host_calls: u32,
    /// Without host calls.
    pub guest: Duration,
    /// With host calls.
    pub whole: Duration,
}

/// Waits for a stage's answer, which `json` writes down as a case expects it, and says what it took.
pub async fn measure<T>(
    guests: &dyn GuestUse,
    room: &Room,
    call: impl Future<Output = Result<T>>,
    json: impl FnOnce(&T) -> Result<Value>,
) -> Result<(Measured, Result<T>)> {
    let (calls, fuel, guest, begun) = (room.calls(), guests.fuel(), guests.time(), Instant::now());
    let answer = call.await;
    let whole = begun.elapsed();
    let measured = Measured {
        result: match &answer {
            Ok(found) => json(found)?,
            Err(error) => error_json(error),
        },
        fuel: guests.fuel() - fuel,
        host_calls: room.calls() - calls,
        guest: guests.time().saturating_sub(guest),
        whole,
    };
    Ok((measured, answer))
}

fn error_json(error: &Error) -> Value {
    let kind = error.kind();
    let kind = if kind == ErrorKind::PluginFailed {
        "plugin_failed"
    } else if kind == ErrorKind::PluginLimit {
        "plugin_limit_exceeded"
    } else if kind == ErrorKind::InvalidRequest {
        "invalid_request"
    } else if kind == ErrorKind::UnsupportedFile {
        "unsupported_file"
    } else if kind == ErrorKind::UnreadableFile {
        error.code().unwrap_or("unreadable_file")
    } else if kind == ErrorKind::TooLarge {
        "too_large"
    } else {
        "server_error"
    };
    json!({"error": kind, "message": without_digest(error.message())})
}

/// The text with `plugin` in place of `plugin sha256:0123456789ab…`.
pub fn without_digest(text: &str) -> String {
    let Some((before, rest)) = text.split_once(NAMED) else {
        return text.to_owned();
    };
    let after = rest.split_once('…').map_or("", |(_, after)| after);
    format!("{before}plugin{after}")
}
