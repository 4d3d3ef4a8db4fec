//! Reading bodies and paths, with every failure in OpenAI's envelope and the field at fault named.
//! Not here: what a resource's body means, forms (`form`), queries (`query`).

use crate::{
    error::ApiError,
    memory::{MemoryPermit, ParsingWork},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use riad_core::{
    Error, ErrorKind, Limits,
    json::{VALUES_MAX, count_values},
};
use riad_services::uploads::PART_BYTES;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// JSON writes some characters as up to six bytes; common texts stay below three times their size.
const JSON_GROWTH: u64 = 3;
/// Names, metadata and multipart boundaries around the text or the weights.
const ENVELOPE_BYTES: u64 = 128 << 10;

/// Bytes of a request's body with a document, at most.
pub(crate) fn document_body_bytes(limits: &Limits) -> u64 {
    limits
        .document_bytes
        .saturating_mul(JSON_GROWTH)
        .max(limits.file_bytes)
        .saturating_add(ENVELOPE_BYTES)
}

/// Bytes of a request's body with a file that is kept, at most.
pub(crate) fn file_body_bytes(limits: &Limits) -> u64 {
    limits.kept_file_bytes.saturating_add(ENVELOPE_BYTES)
}

/// Bytes of a request's body with a part of a file, at most.
pub(crate) fn part_body_bytes(limits: &Limits) -> u64 {
    limits.kept_file_bytes.min(PART_BYTES).saturating_add(ENVELOPE_BYTES)
}

/// Bytes of a request's body with an adapter, at most.
pub(crate) fn adapter_body_bytes(limits: &Limits) -> u64 {
    limits.adapter_bytes.saturating_add(ENVELOPE_BYTES)
}

/// A body up to this is parsed on the thread that serves its request, in much less than a millisecond; a worker parses a larger one.
pub(crate) const INLINE_JSON_BYTES: usize = 64 << 10;

/// A JSON body.
pub(crate) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, ApiError> {
        // Until it is parsed.
        let _counted = request.extensions_mut().remove::<MemoryPermit>();
        if !is_json(request.headers()) {
            return Err(Error::invalid("send the body as JSON, with `Content-Type: application/json`").into());
        }
        let work = request.extensions_mut().remove::<ParsingWork>();
        let RawBody(bytes) = RawBody::from_request(request, state).await?;
        match work.filter(|_| bytes.len() > INLINE_JSON_BYTES) {
            Some(ParsingWork(mut work)) => Ok(Self(work.run(move || parse(&bytes)).await?)),
            None => Ok(Self(parse(&bytes)?)),
        }
    }
}

/// A body as it is.
pub(crate) struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(rejection) => Err(unreadable_body(rejection.into_response().status()).into()),
        }
    }
}

/// Parameters of the path. One that does not parse is answered with 404.
pub(crate) struct PathParts<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParts<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(_) => Err(Error::not_found("there is nothing at this path").into()),
        }
    }
}

/// Parses the id of an object that must exist. One that does not parse is answered with 404.
pub(crate) fn parse_id<T: FromStr>(what: &str, id: &str) -> Result<T, Error> {
    id.parse()
        .map_err(|_| Error::not_found(format!("there is no {what} {id:?}")))
}

/// Reads JSON, unless it has too many values for one request; the error names the field.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // A byte order mark, which a reader of JSON may ignore.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    check_values("the body", bytes)?;
    // serde would read a list as an object's members in their order, which no client means.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|byte| *byte != b'{') {
        return Err(Error::invalid("the body must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, message) = (error.path().to_string(), error.inner().to_string());
        field_error(&path, &message)
    })?;
    reader
        .end()
        .map_err(|error| Error::invalid(format!("the body is not one JSON value: {error}")))?;
    Ok(value)
}

/// Refuses JSON that would become a large tree, before there is one.
pub(crate) fn check_values(name: &str, json: &[u8]) -> Result<(), Error> {
    match count_values(json, VALUES_MAX) {
        Some(_) => Ok(()),
        None => Err(Error::new(
            ErrorKind::TooLarge,
            format!("{name} has more than {VALUES_MAX} JSON values; send fewer"),
        )),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    essence.is_some_and(|essence| essence == "application/json" || essence.ends_with("+json"))
}

pub(crate) fn unreadable_body(status: StatusCode) -> Error {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Error::new(ErrorKind::TooLarge, "the body is larger than this path allows");
    }
    Error::invalid("the body could not be read; it is cut off or malformed")
}

/// An error of serde's that names the field.
pub(crate) fn field_error(path: &str, message: &str) -> Error {
    // Where the JSON itself breaks off, the last part of the path is `?`.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    // A missing field is not part of the path; serde's message has its name.
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'))
        .map(|(name, _)| name);
    let field = match (path, missing) {
        ("", None) => return Error::invalid(format!("the body cannot be read: {message}")),
        ("", Some(name)) => name.to_owned(),
        (path, None) => path.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
    };
    Error::invalid(format!("{field}: {message}")).with_param(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read by serde")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only read by serde")]
        size: u32,
    }

    #[test]
    fn a_body_of_very_many_values_is_not_parsed() {
        #[derive(Deserialize)]
        struct Body {
            metadata: serde_json::Map<String, serde_json::Value>,
        }
        let body = |lists: usize| format!(r#"{{"metadata":{{"a":[{}]}}}}"#, vec!["[]"; lists].join(","));
        let accepted = parse::<Body>(body(VALUES_MAX / 2 - 2).as_bytes()).unwrap();
        assert_eq!(accepted.metadata.len(), 1);
        let error = parse::<Body>(body(VALUES_MAX / 2).as_bytes()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        // Read to its end it would be refused for its last bytes.
        let error = parse::<Body>((body(VALUES_MAX) + "nonsense").as_bytes()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn a_byte_order_mark_before_json_is_ignored() {
        let body = "\u{FEFF} {\"inner\": [{\"size\": 1}]}";
        assert!(parse::<Outer>(body.as_bytes()).is_ok());
        assert!(parse::<Outer>(b"\xef\xbb{}").is_err());
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (body, param) in [
            (r#"{}"#, Some("inner")),
            (r#"{"inner":[{"size":1},{}]}"#, Some("inner[1].size")),
            (r#"{"inner":[{"size":"x"}]}"#, Some("inner[0].size")),
            (r#"{"inner":[{"size":-1}]}"#, Some("inner[0].size")),
            (r#"{"inner":[],"more":1}"#, Some("more")),
            (r#"{"inner":[]} x"#, None),
            ("[[]]", None),
            ("{", None),
            ("", None),
            (r#"{"inner":[{"size":"#, Some("inner[0].size")),
            (r#"{"inner":[{"#, Some("inner[0]")),
        ] {
            let error = parse::<Outer>(body.as_bytes()).err();
            assert_eq!(error.unwrap().param(), param, "{body}");
        }
    }
}
