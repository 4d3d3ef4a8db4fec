//! Failures between a command and a server, as `Error`.

use riad_api_types::error::{ErrorBody, ErrorDetail};
use riad_core::{Error, ErrorKind};

/// No answer, or an incomplete one.
pub fn transport(url: &str, error: reqwest::Error) -> Error {
    if error.is_connect() {
        return Error::new(
            ErrorKind::Unavailable,
            format!("no server answers at {url}: start one with `riad serve`, or set --url (RIAD_URL)"),
        )
        .with_source(error);
    }
    if error.is_timeout() {
        return Error::new(ErrorKind::Timeout, format!("{url} did not answer in time; try again")).with_source(error);
    }
    Error::new(
        ErrorKind::Unavailable,
        format!("the connection to {url} ended before the answer was complete; try again"),
    )
    .with_source(error)
}

/// The answer is not from a Riad server.
pub fn not_riad(url: &str, error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("what answers at {url} is not a Riad server; set --url (RIAD_URL)"),
    )
    .with_source(error)
}

/// The server answered with an error status; the body is OpenAI's error object.
pub fn answered(url: &str, status: u16, body: &[u8]) -> Error {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => refused(status, body.error),
        Err(_) => Error::new(
            kind(status, ""),
            format!("{url} answered with status {status} and no reason; is it a Riad server?"),
        ),
    }
}

/// The error of an answer or, with status 0, of an event in a stream.
pub fn refused(status: u16, error: ErrorDetail) -> Error {
    let result = Error::new(kind(status, error.code.as_deref().unwrap_or_default()), error.message);
    match error.param {
        Some(param) => result.with_param(param),
        None => result,
    }
}

fn kind(status: u16, code: &str) -> ErrorKind {
    match (status, code) {
        (_, "context_length_exceeded") => ErrorKind::ContextTooLong,
        (_, "model_not_found") => ErrorKind::ModelNotFound,
        (_, "insufficient_quota") => ErrorKind::QuotaExceeded,
        (_, "quota_exceeded") | (507, _) => ErrorKind::StorageFull,
        (415, _) => ErrorKind::UnsupportedFile,
        (_, "unreadable_file" | "malformed_file" | "encrypted_file" | "no_text") => ErrorKind::UnreadableFile,
        (_, "plugin_failed") => ErrorKind::PluginFailed,
        (_, "plugin_limit_exceeded") => ErrorKind::PluginLimit,
        (_, "adapter_failed") => ErrorKind::AdapterFailed,
        (_, "rate_limit_exceeded") | (429, _) => ErrorKind::Busy,
        (_, "invalid_api_key") | (401, _) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::Forbidden,
        (421, _) => ErrorKind::Misdirected,
        (_, "not_found") | (404 | 405, _) => ErrorKind::NotFound,
        (409, _) => ErrorKind::Conflict,
        (413, _) => ErrorKind::TooLarge,
        (408 | 504, _) => ErrorKind::Timeout,
        (499, _) => ErrorKind::Cancelled,
        (502 | 503, _) => ErrorKind::Unavailable,
        (400..=499, _) => ErrorKind::InvalidRequest,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_gives_kind_message_and_field() {
        let body = br#"{"error":{"message":"no such model","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
        let error = answered("http://x", 404, body);
        assert_eq!(error.kind(), ErrorKind::ModelNotFound);
        assert_eq!((error.message(), error.param()), ("no such model", Some("model")));
    }

    #[test]
    fn the_code_decides_where_a_status_has_two_meanings() {
        assert_eq!(kind(429, "insufficient_quota"), ErrorKind::QuotaExceeded);
        assert_eq!(kind(429, "rate_limit_exceeded"), ErrorKind::Busy);
        assert_eq!(kind(507, "quota_exceeded"), ErrorKind::StorageFull);
        assert_eq!(kind(421, "misdirected_request"), ErrorKind::Misdirected);
        assert_eq!(kind(422, "plugin_failed"), ErrorKind::PluginFailed);
        assert_eq!(kind(400, ""), ErrorKind::InvalidRequest);
        assert_eq!(kind(500, ""), ErrorKind::Internal);
    }

    #[test]
    fn an_answer_without_an_envelope_gives_its_status() {
        let error = answered("http://x", 502, b"<html>");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("502"));
    }
}
