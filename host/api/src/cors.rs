//! Layer: pages of other origins may use the API with a key, if the configuration names their origin (CORS). There are no cookies, so that
//! a page can do nothing that any program with the key could not. Not here: which origins those are.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{collections::BTreeSet, sync::Arc};

const ANY: &str = "*";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Two hours: browsers keep none for longer.
const PREFLIGHT_SECONDS: &str = "7200";
/// What an answer depends on.
const VARY: &str = "origin, access-control-request-method, access-control-request-headers";

/// Origins whose pages may read answers. By default none.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins(Arc<BTreeSet<String>>);

impl AllowedOrigins {
    /// Origins as browsers send them, such as `https://chat.example`; `*` is every one.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(origins.into_iter().collect()))
    }

    /// What the answer says of a page of this origin.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        if self.0.contains(ANY) {
            return Some(HeaderValue::from_static(ANY));
        }
        self.0.contains(origin.to_str().ok()?).then(|| origin.clone())
    }
}

pub(crate) async fn allow_origins(State(origins): State<AllowedOrigins>, request: Request, next: Next) -> Response {
    if origins.0.is_empty() {
        return next.run(request).await;
    }
    let allowed = origins.allowed(request.headers());
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && request.headers().contains_key(header::ORIGIN);
    let mut response = match is_preflight {
        // Browsers take an answer without an allowed origin for a no.
        true => preflight(request.headers(), allowed.is_some()),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static(VARY));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANY));
    }
    response
}

/// Before the request itself, and without a key.
fn preflight(asked: &HeaderMap, allowed: bool) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if !allowed {
        return response;
    }
    let mut insert = |name: HeaderName, value| response.headers_mut().insert(name, value);
    insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static(PREFLIGHT_SECONDS),
    );
    // Clients have many of their own.
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}
