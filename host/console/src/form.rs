//! Forms: their bodies are counted and bounded, and have the session's token. Not here: what a form's fields mean.

use crate::{
    error::PageError,
    session::{Authenticated, CSRF_FIELD},
    state::ConsoleState,
};
use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use riad_core::{Error, ErrorKind, Result};
use serde::{Deserialize, de::DeserializeOwned};

const URL_ENCODED: &str = "application/x-www-form-urlencoded";

/// The fields of a form that came with its session's token. The session is extracted before it.
pub(crate) struct CsrfForm<T>(pub T);

/// A form without fields of its own.
#[derive(Deserialize)]
pub(crate) struct Nothing {}

impl<T: DeserializeOwned> FromRequest<ConsoleState> for CsrfForm<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &ConsoleState) -> Result<Self, PageError> {
        let found = request.extensions().get::<Authenticated>().cloned();
        let found = found.ok_or_else(|| Error::internal("a form is read without a session"))?;
        let most = state.services.limits().request_bytes;
        let _counted = state
            .pages
            .count_body(found.account, length(request.headers(), most))
            .await?;
        let bytes = read(request, most).await?;
        let fields: Vec<(String, String)> = parse(&bytes)?;
        let token = fields.iter().find(|(name, _)| name == CSRF_FIELD);
        if !token.is_some_and(|(_, token)| found.session.token.matches(token)) {
            return Err(wrong_token().into());
        }
        Ok(Self(parse(&bytes)?))
    }
}

pub(crate) fn wrong_token() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "the form does not belong to this session; load the page again, then send it again",
    )
}

/// The body of a form, of at most so many bytes.
pub(crate) async fn read(request: Request, most: u64) -> Result<Vec<u8>> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    if !essence.eq_ignore_ascii_case(URL_ENCODED) {
        return Err(Error::invalid(format!("send the form as {URL_ENCODED}")));
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let bytes = to_bytes(request.into_body(), most).await;
    let bytes = bytes.map_err(|_| {
        Error::new(
            ErrorKind::TooLarge,
            format!("the form is cut off, or has more than {most} bytes"),
        )
    })?;
    Ok(bytes.into())
}

/// # Errors
/// `InvalidRequest` for a field that is missing, or has no value of its kind.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_urlencoded::from_bytes(bytes).map_err(|error| Error::invalid(format!("the form cannot be read: {error}")))
}

/// As the client says; `most` if it does not. More is not read.
fn length(headers: &HeaderMap, most: u64) -> u64 {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(most).min(most)
}
