//! The part of the API that the pages' scripts use, by the session's cookie: uploads, the progress of documents, and files to download. The
//! API's own layers admit, bound and count each request.

use crate::{
    error::{ForScript, PageError, PageResult, ScriptError},
    form::wrong_token,
    session::{CSRF_HEADER, OperatorSession, TenantSession},
    state::ConsoleState,
};
use axum::{
    Router,
    extract::{Request, State},
    http::{Method, uri::PathAndQuery},
    response::Response,
    routing::{any, get},
};
use riad_api::pages::Forwarded;
use riad_core::Error;

const PREFIX: &str = "/console/api";
const OPERATOR_PREFIX: &str = "/console/operator-api";
const EXPORT: &str = "/operator/v1/ledger/entries";

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/api/{*path}", any(forward))
        .route("/console/operator-api/{*path}", get(forward_for_operator))
}

/// Files to download; the operator's forms go to pages' own routes.
async fn forward_for_operator(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    request: Request,
) -> PageResult<Response> {
    let (parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let path: PathAndQuery = match uri.strip_prefix(OPERATOR_PREFIX) {
        Some(path) if path.split('?').next() == Some(EXPORT) => path.parse().map_err(Error::internal)?,
        Some(_) | None => return Err(PageError::no_such_page()),
    };
    let forwarded = Forwarded {
        method: parts.method,
        path,
        headers: parts.headers,
        body,
        extensions: parts.extensions,
    };
    Ok(state.pages.forward(forwarded, session.key()).await?)
}

async fn forward(
    State(state): State<ConsoleState>,
    ForScript(session): ForScript<TenantSession>,
    request: Request,
) -> Result<Response, ScriptError> {
    let (parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let path: PathAndQuery = match uri.strip_prefix(PREFIX) {
        Some(path) if is_allowed(&parts.method, path) => path.parse().map_err(Error::internal)?,
        Some(_) | None => return Err(PageError::no_such_page().into()),
    };
    if parts.method != Method::GET {
        let token = parts.headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok());
        if !token.is_some_and(|token| session.matches(token)) {
            return Err(wrong_token().into());
        }
    }
    let forwarded = Forwarded {
        method: parts.method,
        path,
        headers: parts.headers,
        body,
        extensions: parts.extensions,
    };
    Ok(state.pages.forward(forwarded, session.key()).await?)
}

/// What scripts need, and nothing else: a page's own forms go to its own routes.
fn is_allowed(method: &Method, path_and_query: &str) -> bool {
    let path = path_and_query.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    matches!(
        (method, parts.as_slice()),
        (&Method::POST, ["v1", "documents"])
            | (&Method::GET, ["v1", "documents", "jobs", _, "events"] | ["v1", "usage"])
            | (&Method::PUT, ["v1", "plugins" | "adapters", _])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_reach_what_they_need_only() {
        for (method, path, allowed) in [
            (Method::POST, "/v1/documents?wait=false", true),
            (Method::GET, "/v1/documents/jobs/job_1/events", true),
            (Method::PUT, "/v1/plugins/desk", true),
            (Method::PUT, "/v1/adapters/style", true),
            (Method::GET, "/v1/usage?format=csv", true),
            (Method::GET, "/v1/documents", false),
            (Method::POST, "/v1/keys", false),
            (Method::DELETE, "/v1/plugins/desk", false),
            (Method::GET, "/operator/v1/tenants", false),
            (Method::GET, "/metrics", false),
            (Method::PUT, "/v1/plugins/desk/versions", false),
        ] {
            assert_eq!(is_allowed(&method, path), allowed, "{method} {path}");
        }
    }
}
