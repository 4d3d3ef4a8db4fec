//! The one table from `ErrorKind` to HTTP status and OpenAI's type and code, and the envelope around every error.
//! Not here: an error's message, which is written where it is found, and Anthropic's shape (`anthropic`).

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use riad_api_types::error::{ErrorBody, ErrorDetail};
use riad_core::{Error, ErrorKind, document_job::JobError};
use std::{any::Any, collections::BTreeMap, sync::Arc, time::Duration};
use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response},
};

pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct ApiError(Error);

/// In the extensions of a response that is an error: what its body says, for a layer that writes it in another shape.
#[derive(Clone)]
pub(crate) struct WrittenError(pub Arc<ErrorBody>);

struct Row {
    status: StatusCode,
    r#type: &'static str,
    code: Option<&'static str>,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const PLUGIN: &str = "plugin_error";
/// nginx's status for a client that has gone away; only logs show it.
const CLIENT_CLOSED: u16 = 499;
/// Read by OpenAI's clients, the second before `Retry-After`, which has whole seconds only.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// The cell that serves the caller's tenant, for proxies that follow it.
const CELL: HeaderName = HeaderName::from_static("riad-cell");

pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    row(kind).status
}

fn row(kind: ErrorKind) -> Row {
    let row = |status, r#type, code| Row { status, r#type, code };
    match kind {
        ErrorKind::InvalidRequest => row(StatusCode::BAD_REQUEST, INVALID, None),
        ErrorKind::ContextTooLong => row(StatusCode::BAD_REQUEST, INVALID, Some("context_length_exceeded")),
        ErrorKind::Unauthenticated => row(StatusCode::UNAUTHORIZED, INVALID, Some("invalid_api_key")),
        ErrorKind::Forbidden => row(StatusCode::FORBIDDEN, INVALID, Some("insufficient_permissions")),
        ErrorKind::Misdirected => row(StatusCode::MISDIRECTED_REQUEST, INVALID, Some("misdirected_request")),
        ErrorKind::NotFound => row(StatusCode::NOT_FOUND, INVALID, Some("not_found")),
        ErrorKind::ModelNotFound => row(StatusCode::NOT_FOUND, INVALID, Some("model_not_found")),
        ErrorKind::Conflict => row(StatusCode::CONFLICT, INVALID, Some("conflict")),
        ErrorKind::TooLarge => row(StatusCode::PAYLOAD_TOO_LARGE, INVALID, Some("too_large")),
        ErrorKind::Busy => row(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            Some("rate_limit_exceeded"),
        ),
        ErrorKind::QuotaExceeded => row(
            StatusCode::TOO_MANY_REQUESTS,
            "insufficient_quota",
            Some("insufficient_quota"),
        ),
        ErrorKind::StorageFull => row(
            StatusCode::INSUFFICIENT_STORAGE,
            "insufficient_quota",
            Some("quota_exceeded"),
        ),
        ErrorKind::UnsupportedFile => row(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID, Some("unsupported_file")),
        ErrorKind::UnreadableFile => row(StatusCode::UNPROCESSABLE_ENTITY, INVALID, Some("unreadable_file")),
        ErrorKind::PluginFailed => row(StatusCode::UNPROCESSABLE_ENTITY, PLUGIN, Some("plugin_failed")),
        ErrorKind::PluginLimit => row(StatusCode::UNPROCESSABLE_ENTITY, PLUGIN, Some("plugin_limit_exceeded")),
        ErrorKind::AdapterFailed => row(StatusCode::UNPROCESSABLE_ENTITY, INVALID, Some("adapter_failed")),
        ErrorKind::Cancelled => row(
            StatusCode::from_u16(CLIENT_CLOSED).unwrap_or(StatusCode::BAD_REQUEST),
            INVALID,
            Some("cancelled"),
        ),
        ErrorKind::Timeout => row(StatusCode::GATEWAY_TIMEOUT, SERVER, Some("timeout")),
        ErrorKind::Unavailable => row(StatusCode::SERVICE_UNAVAILABLE, SERVER, Some("unavailable")),
        ErrorKind::Internal => row(StatusCode::INTERNAL_SERVER_ERROR, SERVER, Some("internal_error")),
    }
}

/// The error of a document that nobody waited for, as its answer would have had it. The log has it already.
pub(crate) fn job_error(error: JobError) -> ErrorDetail {
    let row = row(error.kind);
    ErrorDetail {
        message: error.message,
        r#type: row.r#type.into(),
        param: error.param,
        code: error.code.map(Into::into).or(row.code.map(Into::into)),
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl ApiError {
    /// The envelope, for the end of a stream whose status is already sent. Logs what is the server's fault.
    pub fn into_body(self) -> ErrorBody {
        self.into_parts().1
    }

    /// As [`Self::into_body`], with the status that it would have had.
    pub fn into_parts(self) -> (StatusCode, ErrorBody) {
        let row = row(self.0.kind());
        self.log(row.status);
        (row.status, self.body(&row))
    }

    fn body(&self, row: &Row) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                message: self.0.message_for_client().to_owned(),
                r#type: row.r#type.into(),
                param: self.0.param().map(str::to_owned),
                code: self.0.code().or(row.code).map(Into::into),
            },
        }
    }

    /// How long it takes until the same request may be served.
    fn retry_after(&self, status: StatusCode) -> Option<Duration> {
        let after = self.0.retry_after();
        match status {
            // A budget may never renew: with a time to retry after, a client would retry forever.
            StatusCode::TOO_MANY_REQUESTS if self.0.kind() == ErrorKind::QuotaExceeded => after,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Some(after.filter(|after| !after.is_zero()).unwrap_or(Duration::from_secs(1)))
            }
            _ => after,
        }
    }

    /// The boundary where errors are handled: they are logged here and nowhere else.
    fn log(&self, status: StatusCode) {
        // A tenant's quota is no failure of the server.
        if !status.is_server_error() || status == StatusCode::INSUFFICIENT_STORAGE {
            return;
        }
        let status = status.as_u16();
        match self.0.retry_after() {
            // It passes by itself, and has its own line: a tenant that moves, a server of others that does not answer.
            Some(_) => tracing::debug!(error = ?self.0, status, "a request was refused for a moment"),
            None => tracing::error!(error = ?self.0, status, "a request failed"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let row = row(self.0.kind());
        self.log(row.status);
        let mut response = respond(row.status, self.body(&row));
        let headers = response.headers_mut();
        if let Some(after) = self.retry_after(row.status) {
            insert_retry_after(headers, after);
        }
        if row.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(cell) = self.0.cell().and_then(|cell| HeaderValue::from_str(cell).ok()) {
            headers.insert(CELL, cell);
        }
        if matches!(self.0.kind(), ErrorKind::QuotaExceeded | ErrorKind::StorageFull) {
            // OpenAI's clients would retry at once, and neither a budget nor room on the disk comes back that soon.
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}

/// Every error's response but its headers.
pub(crate) fn respond(status: StatusCode, body: ErrorBody) -> Response {
    let mut response = (status, Json(&body)).into_response();
    response.extensions_mut().insert(WrittenError(Arc::new(body)));
    response
}

/// In both forms that clients read, rounded up.
pub(crate) fn insert_retry_after(headers: &mut HeaderMap, after: Duration) {
    let milliseconds = u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    headers.insert(header::RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1000)));
    headers.insert(RETRY_AFTER_MS, HeaderValue::from(milliseconds));
}

/// The answer to a path without a route.
pub(crate) async fn no_such_route() -> ApiError {
    Error::not_found("this path does not exist; GET /openapi.json lists those that do").into()
}

/// The answer to a method that a path does not have. 405 is HTTP's own and no `ErrorKind`.
pub(crate) async fn no_such_method() -> Response {
    let message = "this path does not have this method; GET /openapi.json lists those that it has";
    let body = ErrorBody::new(message, INVALID, "method_not_allowed");
    respond(StatusCode::METHOD_NOT_ALLOWED, body)
}

/// The answer to a range that a file of so many bytes does not have. 416 is HTTP's own and no `ErrorKind`.
pub(crate) fn no_such_range(bytes: u64) -> Response {
    let message = format!("the file has {bytes} bytes, and none of those that Range asks for");
    let body = ErrorBody::new(message, INVALID, "range_not_satisfiable");
    let mut response = respond(StatusCode::RANGE_NOT_SATISFIABLE, body);
    let range = HeaderValue::try_from(format!("bytes */{bytes}"));
    response
        .headers_mut()
        .extend(range.map(|range| (header::CONTENT_RANGE, range)));
    response
}

/// A panic is a bug: the client gets the same message as for any internal error.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that CatchPanicLayer asks for"
)]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    ApiError(Error::internal(format!("panic: {message}"))).into_response()
}

/// The error responses of every route, for OpenAPI.
pub(crate) struct Failures;

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let failure = |description: &str| {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("ErrorBody")))
                .build();
            ResponseBuilder::new()
                .description(description)
                .content("application/json", content)
                .build()
        };
        BTreeMap::from([
            (
                "4XX".to_owned(),
                failure("The request cannot be served as it is").into(),
            ),
            ("5XX".to_owned(), failure("The server failed").into()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::Value;

    async fn answer(error: Error) -> (StatusCode, axum::http::HeaderMap, Value) {
        let response = ApiError::from(error).into_response();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, headers, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn every_kind_has_its_status_and_code() {
        for (kind, status, code) in [
            (ErrorKind::InvalidRequest, 400, None),
            (ErrorKind::ContextTooLong, 400, Some("context_length_exceeded")),
            (ErrorKind::Unauthenticated, 401, Some("invalid_api_key")),
            (ErrorKind::Forbidden, 403, Some("insufficient_permissions")),
            (ErrorKind::Misdirected, 421, Some("misdirected_request")),
            (ErrorKind::NotFound, 404, Some("not_found")),
            (ErrorKind::ModelNotFound, 404, Some("model_not_found")),
            (ErrorKind::Conflict, 409, Some("conflict")),
            (ErrorKind::TooLarge, 413, Some("too_large")),
            (ErrorKind::Busy, 429, Some("rate_limit_exceeded")),
            (ErrorKind::QuotaExceeded, 429, Some("insufficient_quota")),
            (ErrorKind::StorageFull, 507, Some("quota_exceeded")),
            (ErrorKind::UnsupportedFile, 415, Some("unsupported_file")),
            (ErrorKind::UnreadableFile, 422, Some("unreadable_file")),
            (ErrorKind::PluginFailed, 422, Some("plugin_failed")),
            (ErrorKind::PluginLimit, 422, Some("plugin_limit_exceeded")),
            (ErrorKind::AdapterFailed, 422, Some("adapter_failed")),
            (ErrorKind::Cancelled, 499, Some("cancelled")),
            (ErrorKind::Timeout, 504, Some("timeout")),
            (ErrorKind::Unavailable, 503, Some("unavailable")),
            (ErrorKind::Internal, 500, Some("internal_error")),
        ] {
            let (got, _, body) = answer(Error::new(kind, "words").with_param("field")).await;
            assert_eq!(got.as_u16(), status, "{kind:?}");
            assert_eq!(body["error"]["code"].as_str(), code, "{kind:?}");
            assert_eq!(body["error"]["param"], "field");
            assert!(body["error"]["type"].is_string());
        }
    }

    #[tokio::test]
    async fn a_misdirected_request_learns_the_cell() {
        let error = Error::new(ErrorKind::Misdirected, "elsewhere").with_cell("b");
        let (status, headers, _) = answer(error).await;
        assert_eq!((status.as_u16(), &headers["riad-cell"]), (421, &"b".parse().unwrap()));
    }

    #[tokio::test]
    async fn internal_messages_stay_inside() {
        for error in [
            Error::new(ErrorKind::Internal, "/secret/path"),
            Error::internal("/secret/path"),
        ] {
            let (_, _, body) = answer(error).await;
            assert!(!body.to_string().contains("secret"));
        }
    }

    #[tokio::test]
    async fn a_time_to_retry_after_has_both_forms() {
        let (_, headers, _) = answer(Error::new(ErrorKind::Busy, "full")).await;
        assert_eq!(
            (&headers["retry-after"], &headers["retry-after-ms"]),
            (&"1".parse().unwrap(), &"1000".parse().unwrap())
        );
        for (micros, seconds, milliseconds) in [(1_u64, "1", "1"), (250_000, "1", "250"), (1_000_001, "2", "1001")] {
            let mut headers = HeaderMap::new();
            insert_retry_after(&mut headers, Duration::from_micros(micros));
            assert_eq!(
                (
                    headers["retry-after"].to_str().unwrap(),
                    headers["retry-after-ms"].to_str().unwrap()
                ),
                (seconds, milliseconds)
            );
        }
    }
}
