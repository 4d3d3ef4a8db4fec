use axum::response::{IntoResponse, Response};
use riad_core::Error;

pub(crate) type PageResult<T> = Result<T, PageError>;
pub(crate) struct PageError(Error);
impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}
impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        self.0.message_for_client().to_owned().into_response()
    }
}
