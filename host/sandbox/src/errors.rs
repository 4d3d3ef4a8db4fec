//! The tables between errors: a port's error becomes a WIT variant for the guest; what ends a guest becomes an error that
//! names the stage and the limit. Text from inside the host reaches neither.

use crate::bindings::{StageError, WitError};
use riad_core::{Digest, Error, ErrorKind, Limits, plugin::Stage};
use std::fmt;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

/// Characters of a guest's text that go into an error message.
const TEXT_MAX: usize = 1000;

/// Why the host ended a guest. Travels through wasmtime as the error of a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Breach {
    #[error("out of guest time")]
    Time,
    #[error("too many host calls")]
    HostCalls,
    #[error("the request's deadline has passed")]
    Deadline,
    /// A capability whose WIT function has no error failed.
    #[error("a host call failed")]
    Host(#[source] Error),
}

/// A stage of a component, as messages name it.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    pub(crate) stage: Stage,
    pub(crate) digest: Digest,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} stage of {}", self.stage, plugin(&self.digest))
    }
}

/// A component, as messages name it.
pub(crate) fn plugin(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("plugin sha256:{}…", hex.get(..12).unwrap_or(&hex))
}

/// A port's error for a guest. Exhaustive: a new kind must be decided here.
pub(crate) fn to_wit(error: &Error) -> WitError {
    let text = || cap(error.message());
    match error.kind() {
        ErrorKind::InvalidRequest | ErrorKind::ContextTooLong | ErrorKind::Conflict => {
            WitError::InvalidArgument(text())
        }
        ErrorKind::NotFound | ErrorKind::ModelNotFound => WitError::NotFound,
        ErrorKind::TooLarge | ErrorKind::QuotaExceeded | ErrorKind::PluginLimit => WitError::LimitExceeded(text()),
        ErrorKind::Busy | ErrorKind::Cancelled | ErrorKind::Timeout | ErrorKind::Unavailable => WitError::Unavailable,
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::PluginFailed | ErrorKind::Internal => {
            tracing::error!(?error, "a plugin's host call failed");
            WitError::Unavailable
        }
    }
}

/// What a stage says itself.
pub(crate) fn said(who: Who, error: StageError) -> Error {
    match error {
        StageError::InvalidRequest(text) => Error::invalid(cap(&text)),
        StageError::Failed(text) => Error::new(ErrorKind::PluginFailed, format!("{who} failed: {}", cap(&text))),
    }
}

/// What ended a call that gave no answer. `refused`: the guest was refused memory during it.
pub(crate) fn ended(who: Who, error: wasmtime::Error, refused: bool, limits: &Limits) -> Error {
    let limit = |text: String| Error::new(ErrorKind::PluginLimit, format!("{who} {text}"));
    if let Some(Breach::Host(_)) = error.downcast_ref() {
        return match error.downcast() {
            Ok(Breach::Host(error)) => error,
            Ok(_) | Err(_) => Error::internal("a breach changed its kind"),
        };
    }
    match error.downcast_ref() {
        Some(Breach::Time) => return limit(format!("took more than {} ms of guest time", limits.guest_ms)),
        Some(Breach::HostCalls) => return limit(format!("made more than {} host calls", limits.guest_host_calls)),
        Some(Breach::Deadline) => {
            return Error::new(
                ErrorKind::Timeout,
                format!("the request took more than {} ms; it was in {who}", limits.request_ms),
            );
        }
        Some(Breach::Host(_)) | None => {}
    }
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::OutOfFuel) {
        return limit(format!("used more than {} fuel", limits.guest_fuel));
    }
    if trap == Some(&Trap::StackOverflow) {
        return limit(format!("used more than {} of stack", bytes(limits.guest_stack_bytes)));
    }
    // Before memory: a guest that was refused some and went on has failed for this.
    if is_hostcall_fuel(&error) {
        return too_much_output(who, limits);
    }
    if refused {
        return limit(format!("used more than {} of memory", bytes(limits.guest_memory_bytes)));
    }
    let failed = |text: String| Error::new(ErrorKind::PluginFailed, format!("{who} {text}"));
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return failed(format!("ended itself with exit code {}", exit.0));
    }
    match trap {
        Some(trap) => {
            let reason = trap.to_string();
            failed(format!("trapped: {}", reason.trim_start_matches("wasm trap: ")))
        }
        None => {
            tracing::debug!(error = format!("{error:#}"), stage = %who.stage, plugin = %who.digest, "a guest ended");
            failed("broke the rules of the component model in what it passed to the host".into())
        }
    }
    .with_source(error.to_string())
}

pub(crate) fn too_much_output(who: Who, limits: &Limits) -> Error {
    Error::new(
        ErrorKind::PluginLimit,
        format!(
            "{who} passed more than {} to the host at once",
            bytes(limits.guest_output_bytes)
        ),
    )
}

/// A text of a guest, cut to what a message may hold.
pub(crate) fn cap(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn bytes(bytes: u64) -> String {
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

/// wasmtime has no public type for this error; its words are those of the pinned version, and a test would miss them.
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
    fn text_of_a_guest_is_cut_between_characters() {
        let text = "é".repeat(TEXT_MAX + 1);
        assert_eq!(cap(&text).chars().count(), TEXT_MAX + 1);
        assert_eq!(cap("short"), "short");
    }

    #[test]
    fn sizes_are_said_in_the_largest_whole_unit() {
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(96 << 10), "96 KiB");
        assert_eq!(bytes(1025), "1025 bytes");
    }
}
