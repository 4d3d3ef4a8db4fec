//! What Anthropic's endpoints have of their own around their handlers: which routes they are, the header with the key, and the shape of
//! errors, whichever layer wrote them. Not here: what they answer (`messages`), rate headers (`rate_headers`).

use crate::{
    error::{ApiError, WrittenError},
    request_id::RequestId,
};
use axum::{
    Json,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use riad_api_types::{
    error::ErrorBody,
    messages::{MessagesError, MessagesErrorDetail, MessagesErrorDetails},
};
use riad_core::Error;

const ROUTE: &str = "/v1/messages";
pub(crate) const KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Anthropic's clients read the request's id from it.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Whether a path is below Anthropic's, also if there is nothing at it.
pub(crate) fn is_route(path: &str) -> bool {
    path.strip_prefix(ROUTE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Layer: errors below Anthropic's paths have Anthropic's shape.
pub(crate) async fn shape_errors(request: Request, next: Next) -> Response {
    if !is_route(request.uri().path()) {
        return next.run(request).await;
    }
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let mut response = next.run(request).await;
    if let Some(id) = id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    shape(response, id)
}

/// An error in Anthropic's shape; every other answer as it is.
pub(crate) fn shape(mut response: Response, request_id: Option<String>) -> Response {
    let Some(WrittenError(body)) = response.extensions_mut().remove() else {
        return response;
    };
    let (status, body) = translate(response.status(), &body, request_id);
    let (mut parts, _) = response.into_parts();
    // It is that of the other body.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.status = status;
    Response::from_parts(parts, Json(body).into_response().into_body())
}

/// An error after the first byte of a stream, whose status is already sent.
pub(crate) fn stream_error(error: Error) -> MessagesError {
    let (status, body) = ApiError::from(error).into_parts();
    translate(status, &body, None).1
}

fn translate(status: StatusCode, body: &ErrorBody, request_id: Option<String>) -> (StatusCode, MessagesError) {
    let spent = body.error.r#type == "insufficient_quota" && status == StatusCode::TOO_MANY_REQUESTS;
    let (status, r#type) = match status {
        // A budget is none of Anthropic's rate limits, which renew within a minute.
        _ if spent => (StatusCode::PAYMENT_REQUIRED, "billing_error"),
        StatusCode::UNAUTHORIZED => (status, "authentication_error"),
        StatusCode::FORBIDDEN => (status, "permission_error"),
        StatusCode::NOT_FOUND => (status, "not_found_error"),
        StatusCode::PAYLOAD_TOO_LARGE => (status, "request_too_large"),
        StatusCode::TOO_MANY_REQUESTS => (status, "rate_limit_error"),
        // Anthropic's own is 529. Its clients try again after both, and load balancers know this one.
        StatusCode::SERVICE_UNAVAILABLE => (status, "overloaded_error"),
        StatusCode::GATEWAY_TIMEOUT => (status, "timeout_error"),
        _ if status.is_server_error() => (status, "api_error"),
        _ => (status, "invalid_request_error"),
    };
    let detail = &body.error;
    let message = match &detail.param {
        // There is no member for it.
        Some(param) if !detail.message.contains(param.as_str()) => format!("{param}: {}", detail.message),
        Some(_) | None => detail.message.clone(),
    };
    // Tool runners ask the server to keep the conversation. Told in these words that it keeps none, they send all of it each time.
    let details = (detail.param.as_deref() == Some("thread")).then(|| MessagesErrorDetails {
        error_code: "thread_unsupported_request".into(),
    });
    let error = MessagesErrorDetail {
        r#type: r#type.into(),
        message,
        details,
    };
    let body = MessagesError {
        r#type: "error".into(),
        error,
        request_id,
    };
    (status, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::to_bytes, http::HeaderMap};
    use riad_core::ErrorKind;
    use serde_json::{Value, json};

    async fn shaped(error: Error) -> (StatusCode, HeaderMap, Value) {
        let response = shape(ApiError::from(error).into_response(), Some("id".into()));
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, headers, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn every_kind_has_anthropics_status_and_type() {
        for (kind, status, r#type) in [
            (ErrorKind::InvalidRequest, 400, "invalid_request_error"),
            (ErrorKind::ContextTooLong, 400, "invalid_request_error"),
            (ErrorKind::Unauthenticated, 401, "authentication_error"),
            (ErrorKind::Forbidden, 403, "permission_error"),
            (ErrorKind::Misdirected, 421, "invalid_request_error"),
            (ErrorKind::NotFound, 404, "not_found_error"),
            (ErrorKind::ModelNotFound, 404, "not_found_error"),
            (ErrorKind::Conflict, 409, "invalid_request_error"),
            (ErrorKind::TooLarge, 413, "request_too_large"),
            (ErrorKind::Busy, 429, "rate_limit_error"),
            (ErrorKind::QuotaExceeded, 402, "billing_error"),
            (ErrorKind::StorageFull, 507, "api_error"),
            (ErrorKind::PluginFailed, 422, "invalid_request_error"),
            (ErrorKind::PluginLimit, 422, "invalid_request_error"),
            (ErrorKind::AdapterFailed, 422, "invalid_request_error"),
            (ErrorKind::Cancelled, 499, "invalid_request_error"),
            (ErrorKind::Timeout, 504, "timeout_error"),
            (ErrorKind::Unavailable, 503, "overloaded_error"),
            (ErrorKind::Internal, 500, "api_error"),
        ] {
            let (got, headers, body) = shaped(Error::new(kind, "words").with_param("member")).await;
            assert_eq!(got.as_u16(), status, "{kind:?}");
            assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!("id")));
            assert_eq!(body["error"]["type"], r#type, "{kind:?}");
            assert!(body["error"]["message"].as_str().unwrap().starts_with("member: "));
            assert_eq!(headers["content-type"], "application/json");
            assert_eq!(
                headers.contains_key("retry-after"),
                [429, 503].contains(&status),
                "{kind:?}"
            );
            let streamed = serde_json::to_value(stream_error(Error::new(kind, "words"))).unwrap();
            assert_eq!(streamed["error"]["type"], r#type, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_message_that_names_the_member_stays_as_it_is() {
        let (_, _, body) = shaped(Error::invalid("top_p must be at most 1").with_param("top_p")).await;
        assert_eq!(body["error"]["message"], "top_p must be at most 1");
    }

    #[tokio::test]
    async fn a_runner_learns_that_no_conversation_is_kept() {
        for (member, details) in [
            ("thread", json!({"error_code": "thread_unsupported_request"})),
            ("container", Value::Null),
        ] {
            let (_, _, body) = shaped(Error::invalid("is not supported").with_param(member)).await;
            assert_eq!(body["error"]["details"], details, "{member}");
        }
    }

    #[test]
    fn only_anthropics_paths_are_its_own() {
        for (path, expected) in [
            ("/v1/messages", true),
            ("/v1/messages/", true),
            ("/v1/messages/count_tokens", true),
            ("/v1/messages/batches", true),
            ("/v1/messagesx", false),
            ("/v1/chat/completions", false),
            ("/", false),
        ] {
            assert_eq!(is_route(path), expected, "{path}");
        }
    }
}
