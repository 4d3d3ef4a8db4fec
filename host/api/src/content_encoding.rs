//! Layer: compressed bodies are refused, since a small one may become a large one, and bodies are counted as they arrive.

use crate::error;
use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use riad_api_types::error::ErrorBody;

/// 415 is HTTP's own and no `ErrorKind`; `Accept-Encoding` in its answer tells clients what they may send (RFC 9110).
pub(crate) async fn refuse_encoded(request: Request, next: Next) -> Response {
    let encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let encoding = encodings
        .flat_map(|value| value.to_str().unwrap_or("unknown").split(','))
        .map(str::trim)
        .find(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"));
    let Some(encoding) = encoding else {
        return next.run(request).await;
    };
    let message = format!("a body with Content-Encoding {encoding:?} is not read; send it without compression");
    let body = ErrorBody::new(message, "invalid_request_error", "unsupported_content_encoding");
    let mut response = error::respond(StatusCode::UNSUPPORTED_MEDIA_TYPE, body);
    let identity = HeaderValue::from_static("identity");
    response.headers_mut().insert(header::ACCEPT_ENCODING, identity);
    response
}
