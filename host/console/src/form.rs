use crate::error::PageError;
use axum::{
    Form,
    extract::{FromRequest, Request},
};
use riad_core::Error;
use serde::de::DeserializeOwned;

pub(crate) struct CsrfForm<T>(pub T);
impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequest<S> for CsrfForm<T> {
    type Rejection = PageError;
    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let Form(form) = Form::<T>::from_request(request, state)
            .await
            .map_err(|error| Error::invalid(error.to_string()))?;
        Ok(Self(form))
    }
}
