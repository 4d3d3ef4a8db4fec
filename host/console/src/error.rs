//! Errors as pages, with the API's own statuses and messages. Not here: messages, which are written where an error is found.

use crate::{layout, state::ConsoleState};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use riad_api::pages;
use riad_core::{Error, ErrorKind};

pub(crate) const SIGN_IN: &str = "/console/sign-in";

pub(crate) type PageResult<T> = Result<T, PageError>;

pub(crate) enum PageError {
    /// There is no session, or none any more.
    SignIn,
    Failed(Error),
}

impl PageError {
    pub fn sign_in() -> Self {
        Self::SignIn
    }

    /// Also of a page that is another role's.
    pub fn no_such_page() -> Self {
        Self::Failed(Error::not_found("there is no such page"))
    }
}

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// In the extensions of a response: what its page says.
#[derive(Clone)]
pub(crate) struct FailedPage {
    pub title: &'static str,
    pub message: String,
}

/// An error of what a page's script asks for, which reads no pages.
pub(crate) struct ScriptError(PageError);

/// A session, for a script.
pub(crate) struct ForScript<T>(pub T);

impl<E: Into<PageError>> From<E> for ScriptError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ScriptError {
    fn into_response(self) -> Response {
        pages::refuse(match self.0 {
            PageError::SignIn => Error::new(ErrorKind::Unauthenticated, "your session has ended; sign in again"),
            PageError::Failed(error) => error,
        })
    }
}

impl<T: FromRequestParts<ConsoleState, Rejection = PageError>> FromRequestParts<ConsoleState> for ForScript<T> {
    type Rejection = ScriptError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, ScriptError> {
        Ok(Self(T::from_request_parts(parts, state).await?))
    }
}

impl<T: FromRequest<ConsoleState, Rejection = PageError>> FromRequest<ConsoleState> for ForScript<T> {
    type Rejection = ScriptError;

    async fn from_request(request: Request, state: &ConsoleState) -> Result<Self, ScriptError> {
        Ok(Self(T::from_request(request, state).await?))
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::SignIn => return Redirect::to(SIGN_IN).into_response(),
            Self::Failed(error) => error,
        };
        let kind = error.kind();
        if kind == ErrorKind::Internal {
            tracing::error!(?error, "a page failed");
        }
        let status = pages::status(kind);
        let title = if kind == ErrorKind::NotFound {
            "Not found"
        } else if kind == ErrorKind::Forbidden {
            "Not allowed"
        } else {
            "This did not work"
        };
        let failed = FailedPage {
            title,
            message: error.message_for_client().to_owned(),
        };
        let mut response = (status, layout::failure(title, &failed.message)).into_response();
        response.extensions_mut().insert(failed);
        if let Some(after) = error.retry_after() {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
