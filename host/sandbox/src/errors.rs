//! Converts errors: a port's error to a WIT variant for the guest, the end of a guest to an error that names stage and limit.
//! Neither contains the host's internal text.

use crate::{
    bindings::{StageError, WitError},
    clock::GuestClock,
    ingestion_types::{ChunkingError, ExtractionError},
};
use riad_core::{Digest, Error, ErrorKind, Limits, plugin::Stage};
use std::fmt;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

/// Characters of a guest's text that an error message may contain.
const TEXT_MAX: usize = 1000;

/// Why the host stopped a guest. Passes through wasmtime as the error of a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopReason {
    #[error("out of guest time")]
    OutOfTime,
    #[error("the request is out of guest time")]
    RequestOutOfTime,
    #[error("too many host calls")]
    TooManyHostCalls,
    #[error("the request's deadline has passed")]
    DeadlineExceeded,
    /// A capability failed whose WIT function cannot return an error.
    #[error("a host call failed")]
    HostCallFailed(#[source] Error),
}

impl StopReason {
    /// Which of the two times is up.
    pub(crate) fn out_of_time(clock: &GuestClock) -> Self {
        match clock.is_used_up() {
            true => Self::RequestOutOfTime,
            false => Self::OutOfTime,
        }
    }
}

/// A stage of a plugin, as messages name it.
#[derive(Clone, Copy)]
pub(crate) struct PluginStage {
    pub(crate) stage: Stage,
    pub(crate) digest: Digest,
}

impl fmt::Display for PluginStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} stage of {}", self.stage, plugin_name(&self.digest))
    }
}

/// A plugin, as messages name it.
pub(crate) fn plugin_name(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("plugin sha256:{}…", hex.get(..12).unwrap_or(&hex))
}

/// A port's error for a guest.
pub(crate) fn to_wit(error: &Error) -> WitError {
    let text = || truncate(error.message());
    match error.kind() {
        ErrorKind::InvalidRequest | ErrorKind::ContextTooLong | ErrorKind::Conflict => {
            WitError::InvalidArgument(text())
        }
        ErrorKind::NotFound | ErrorKind::ModelNotFound => WitError::NotFound,
        ErrorKind::TooLarge | ErrorKind::QuotaExceeded | ErrorKind::StorageFull | ErrorKind::PluginLimit => {
            WitError::LimitExceeded(text())
        }
        ErrorKind::Busy | ErrorKind::Cancelled | ErrorKind::Timeout | ErrorKind::Unavailable => WitError::Unavailable,
        ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::Misdirected
        | ErrorKind::UnsupportedFile
        | ErrorKind::UnreadableFile
        | ErrorKind::PluginFailed
        | ErrorKind::AdapterFailed
        | ErrorKind::Internal => {
            tracing::error!(?error, "a plugin's host call failed");
            WitError::Unavailable
        }
    }
}

/// An error that a stage returned.
pub(crate) trait GuestError {
    fn into_error(self, stage: PluginStage) -> Error;
}

impl GuestError for StageError {
    fn into_error(self, stage: PluginStage) -> Error {
        match self {
            Self::InvalidRequest(text) => Error::invalid(truncate(&text)),
            Self::Failed(text) => failed(stage, &text),
        }
    }
}

impl GuestError for ExtractionError {
    fn into_error(self, stage: PluginStage) -> Error {
        let unreadable = |code, what: String| Error::new(ErrorKind::UnreadableFile, what).with_code(code);
        match self {
            Self::Unsupported(found) => Error::new(
                ErrorKind::UnsupportedFile,
                format!("nothing here reads files of the kind {}", truncate(&found)),
            ),
            Self::Malformed(text) => unreadable("malformed_file", format!("the file is broken: {}", truncate(&text))),
            Self::Encrypted => unreadable(
                "encrypted_file",
                "the file is encrypted; send one that opens without a password".into(),
            ),
            Self::NoText(text) => unreadable("no_text", format!("the file has no text: {}", truncate(&text))),
            Self::TooLarge(text) => too_large(&text),
            Self::Failed(text) => failed(stage, &text),
        }
    }
}

impl GuestError for ChunkingError {
    fn into_error(self, stage: PluginStage) -> Error {
        match self {
            Self::TooLarge(text) => too_large(&text),
            Self::Failed(text) => failed(stage, &text),
        }
    }
}

fn too_large(text: &str) -> Error {
    Error::new(ErrorKind::TooLarge, truncate(text))
}

fn failed(stage: PluginStage, text: &str) -> Error {
    Error::new(ErrorKind::PluginFailed, format!("{stage} failed: {}", truncate(text)))
}

/// The error of a call that returned nothing. `memory_denied`: the guest was denied memory during the call.
pub(crate) fn from_call_error(
    stage: PluginStage,
    error: wasmtime::Error,
    memory_denied: bool,
    limits: &Limits,
) -> Error {
    let limit = |text: String| Error::new(ErrorKind::PluginLimit, format!("{stage} {text}"));
    if let Some(StopReason::HostCallFailed(_)) = error.downcast_ref() {
        return match error.downcast() {
            Ok(StopReason::HostCallFailed(error)) => error,
            Ok(_) | Err(_) => Error::internal("the error of a call changed its type"),
        };
    }
    match error.downcast_ref() {
        Some(StopReason::OutOfTime) => return limit(format!("took more than {} ms of guest time", limits.guest_ms)),
        Some(StopReason::RequestOutOfTime) => {
            let most = limits.guest_request_ms;
            return limit(format!(
                "was running when the request's guests had used {most} ms together"
            ));
        }
        Some(StopReason::TooManyHostCalls) => {
            return limit(format!("made more than {} host calls", limits.guest_host_calls));
        }
        Some(StopReason::DeadlineExceeded) => {
            return Error::new(
                ErrorKind::Timeout,
                format!("the request took more than {} ms; it was in {stage}", limits.request_ms),
            );
        }
        Some(StopReason::HostCallFailed(_)) | None => {}
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return limit(format!("used more than {} fuel", limits.guest_fuel));
    }
    if trap == Some(&Trap::StackOverflow) {
        return limit(format!(
            "used more than {} of stack",
            format_bytes(limits.guest_stack_bytes)
        ));
    }
    // Before memory: a guest that was denied memory and went on has failed because of this.
    if is_hostcall_fuel(&error) {
        return output_too_large(stage, limits);
    }
    if memory_denied {
        return limit(format!(
            "used more than {} of memory",
            format_bytes(limits.guest_memory_bytes)
        ));
    }
    let failed = |text: String| Error::new(ErrorKind::PluginFailed, format!("{stage} {text}"));
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return failed(format!("ended itself with exit code {}", exit.0));
    }
    match trap {
        Some(trap) => {
            let reason = trap.to_string();
            failed(format!("trapped: {}", reason.trim_start_matches("wasm trap: ")))
        }
        None => {
            tracing::debug!(error = format!("{error:#}"), stage = %stage.stage, plugin = %stage.digest, "a guest ended");
            failed("passed a value to the host that the component model does not allow".into())
        }
    }
    .with_source(error.to_string())
}

pub(crate) fn output_too_large(stage: PluginStage, limits: &Limits) -> Error {
    Error::new(
        ErrorKind::PluginLimit,
        format!(
            "{stage} passed more than {} to the host at once",
            format_bytes(limits.guest_output_bytes)
        ),
    )
}

/// A guest's text, cut to [`TEXT_MAX`] characters.
pub(crate) fn truncate(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn format_bytes(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else if bytes.is_multiple_of(KIB) {
        format!("{} KiB", bytes / KIB)
    } else {
        format!("{bytes} bytes")
    }
}

/// wasmtime has no public type for this error. The text is that of the pinned version; a test fails if it changes.
fn is_hostcall_fuel(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .to_string()
            .contains("fuel allocated for hostcalls has been exhausted")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_text_does_not_reach_a_guest() {
        let error = Error::internal("open /var/lib/riad/rooms/acme/room.db: permission denied");
        assert!(matches!(to_wit(&error), WitError::Unavailable));
    }

    #[test]
    fn guest_text_is_cut_between_characters() {
        let text = "é".repeat(TEXT_MAX + 1);
        assert_eq!(truncate(&text).chars().count(), TEXT_MAX + 1);
        assert_eq!(truncate("short"), "short");
    }

    #[test]
    fn sizes_use_the_largest_whole_unit() {
        assert_eq!(format_bytes(64 << 20), "64 MiB");
        assert_eq!(format_bytes(96 << 10), "96 KiB");
        assert_eq!(format_bytes(1025), "1025 bytes");
    }
}
