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

    /// Who asks. `None` if no origins are allowed at all.
    pub(crate) fn page(&self, request: &Request) -> Option<Page> {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && headers.contains_key(header::ORIGIN);
        (!self.0.is_empty()).then(|| Page {
            allowed: self.allowed(headers),
            preflight: is_preflight.then(|| headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned()),
        })
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

/// A page of a browser, or another client.
pub(crate) struct Page {
    /// Its origin, if it is allowed.
    allowed: Option<HeaderValue>,
    /// The headers that it wants to send, if the browser asks first.
    preflight: Option<Option<HeaderValue>>,
}

impl Page {
    /// The answer before the request itself, and without a key.
    pub(crate) fn preflight(&self) -> Option<Response> {
        let asked = self.preflight.as_ref()?;
        let mut response = StatusCode::NO_CONTENT.into_response();
        if self.allowed.is_none() {
            return Some(response);
        }
        let mut insert = |name: HeaderName, value| response.headers_mut().insert(name, value);
        insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static(PREFLIGHT_SECONDS),
        );
        // Clients have many of their own.
        if let Some(names) = asked {
            insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        Some(response)
    }
}

pub(crate) async fn allow_origins(State(origins): State<AllowedOrigins>, request: Request, next: Next) -> Response {
    let page = origins.page(&request);
    // Browsers take an answer without an allowed origin for a no.
    let response = match page.as_ref().and_then(Page::preflight) {
        Some(answer) => answer,
        None => next.run(request).await,
    };
    with_headers(response, page)
}

/// An answer that the page may read, if it may.
pub(crate) fn with_headers(mut response: Response, page: Option<Page>) -> Response {
    if let Some(page) = page {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static(VARY));
        if let Some(origin) = page.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(ANY));
        }
    }
    response
}
