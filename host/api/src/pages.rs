//! What pages beside the API share with it: who connects, the bytes of bodies, statuses, and the API itself, for what a page's script
//! sends. Not here: pages, and sessions (`riad-console`).

pub use crate::drain_signal::DrainSignal;
use crate::{auth, error, memory::Memory};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{
        Extensions, HeaderMap, HeaderValue, Method, StatusCode,
        header::{AUTHORIZATION, HeaderName},
        uri::{PathAndQuery, Uri},
    },
    response::{IntoResponse, Response},
};
use riad_core::{Account, Error, ErrorKind, Result, Secret, audit::Origin};
use riad_services::Kept;
use std::sync::Arc;
use tower::ServiceExt;

/// Headers that a forwarded request keeps. A cookie is the pages' own.
const FORWARDED: [&str; 4] = ["accept", "content-length", "content-type", "last-event-id"];

#[derive(Clone)]
pub struct Pages {
    /// With the layers of its routes, without those around all of them.
    api: Router,
    memory: Memory,
}

/// A request of a page's script to the API, with the session's key in place of its cookie.
pub struct Forwarded {
    pub method: Method,
    pub path: PathAndQuery,
    pub headers: HeaderMap,
    pub body: Body,
    /// Of the page's request: its connection, address and id.
    pub extensions: Extensions,
}

impl Pages {
    pub(crate) fn new(api: Router, memory: Memory) -> Self {
        Self { api, memory }
    }

    /// Counts the bytes of a body among the account's, as for the API's own requests, until what is returned is dropped.
    ///
    /// # Errors
    /// `Busy` if many of the account's requests wait, or this one has waited for too long.
    pub async fn count_body(&self, account: Account, bytes: u64) -> Result<Kept> {
        Ok(Arc::new(self.memory.bodies.acquire(account, bytes).await?))
    }

    /// Counts the bytes that an answer keeps in memory, as [`Self::count_body`] does.
    ///
    /// # Errors
    /// As [`Self::count_body`].
    pub async fn count_answer(&self, account: Account, bytes: u64) -> Result<Kept> {
        Ok(Arc::new(self.memory.answers.acquire(account, bytes).await?))
    }

    /// Answers as the API does: its layers authenticate, admit and count the request.
    ///
    /// # Errors
    /// `Unauthenticated` for a key that no header can have; `Internal` for a path that is none.
    pub async fn forward(&self, request: Forwarded, key: &Secret<String>) -> Result<Response> {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal()));
        let mut bearer =
            bearer.map_err(|_| Error::new(ErrorKind::Unauthenticated, "the key has characters that no key has"))?;
        bearer.set_sensitive(true);
        let mut forwarded = Request::new(request.body);
        *forwarded.method_mut() = request.method;
        *forwarded.uri_mut() = Uri::from(request.path);
        for name in FORWARDED.map(HeaderName::from_static) {
            if let Some(value) = request.headers.get(&name) {
                forwarded.headers_mut().insert(name, value.clone());
            }
        }
        forwarded.headers_mut().insert(AUTHORIZATION, bearer);
        // Without what the router has noted of the page's own path.
        *forwarded.extensions_mut() = auth::extensions_of_client(&request.extensions);
        Ok(self.api.clone().oneshot(forwarded).await.into_response())
    }
}

/// Where a page's request comes from, as the API sees it.
#[must_use]
pub fn origin(extensions: &Extensions) -> Origin {
    auth::origin(extensions)
}

/// The connection is that of somebody with a key, and may be silent for longer.
pub fn record_authenticated(extensions: &Extensions) {
    auth::record_authenticated(extensions);
}

/// Received when the server drains. Without a [`crate::Lifecycle`] around the router, never.
#[must_use]
pub fn drain_signal(extensions: &Extensions) -> DrainSignal {
    extensions.get::<DrainSignal>().cloned().unwrap_or_default()
}

/// An error as the API answers it, for a page's script.
#[must_use]
pub fn refuse(error: Error) -> Response {
    error::ApiError::from(error).into_response()
}

/// The status of an answer that is an error of this kind.
#[must_use]
pub fn status(kind: ErrorKind) -> StatusCode {
    error::status(kind)
}
