//! Pages that say what went wrong, with the navigation of whoever has a session. Not here: errors (`error`).

use crate::{error::FailedPage, session::AnySession, state::ConsoleState};
use axum::{
    body::Body,
    extract::{FromRequestParts, Request, State},
    http::header,
    middleware::Next,
    response::Response,
};

/// The key is authorized once more, for a failure only: what the page's own handler knew of it is gone.
pub(crate) async fn with_navigation(State(state): State<ConsoleState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = next.run(Request::from_parts(parts.clone(), body)).await;
    let Some(failed) = response.extensions().get::<FailedPage>().cloned() else {
        return response;
    };
    if let Ok(session) = AnySession::from_request_parts(&mut parts, &state).await {
        let page = session.failure(failed.title, &failed.message).into_string();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(page);
    }
    response
}
