//! A document as a file: its original as it was sent, or the text as it was read. No browser shows or runs either in the server's name.

use crate::{error::PageResult, session::TenantSession, state::ConsoleState};
use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, Method, header, uri::PathAndQuery},
    response::Response,
};
use futures::stream;
use riad_api::pages::Forwarded;
use riad_core::{Error, Result};
use riad_services::{
    Kept,
    documents::{DocumentText, PIECE_BYTES},
};

/// The original's bytes, by the API's own way to a file: its limits, headers and ends.
pub(super) async fn original(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(id): Path<String>,
    request: Request,
) -> PageResult<Response> {
    let id = super::read_id(&id)?;
    let opened = state.services.documents().open(&session.pass, &id).await?;
    let no_original = || Error::not_found("the original of this document is not kept; its text is");
    let file = opened.document().file.clone().ok_or_else(no_original)?;
    // A page says that it is gone, which the API would say in JSON.
    state.services.files().get(&session.pass, &file).await?;
    let path: PathAndQuery = format!("/v1/files/{file}/content").parse().map_err(Error::internal)?;
    let (parts, _) = request.into_parts();
    let forwarded = Forwarded {
        method: Method::GET,
        path,
        headers: parts.headers,
        body: Body::empty(),
        extensions: parts.extensions,
    };
    Ok(state.pages.forward(forwarded, session.key()).await?)
}

pub(super) async fn text(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(id): Path<String>,
) -> PageResult<Response> {
    let id = super::read_id(&id)?;
    let opened = state.services.documents().open(&session.pass, &id).await?;
    let bytes = opened.document().bytes;
    let kept = state
        .pages
        .count_answer(session.pass.account(), bytes.min(PIECE_BYTES))
        .await?;
    let mut response = Response::new(Body::from_stream(stream::try_unfold((opened, kept), next)));
    let headers = response.headers_mut();
    // The id has no character that a header gives a meaning.
    let disposition = format!("attachment; filename=\"{id}.txt\"");
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::try_from(disposition).map_err(Error::internal)?,
    );
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    Ok(response)
}

/// The permit for its bytes goes with the last piece.
async fn next((mut text, kept): (DocumentText, Kept)) -> Result<Option<(axum::body::Bytes, (DocumentText, Kept))>> {
    let piece = text.next().await;
    let piece = piece.inspect_err(|error| tracing::error!(?error, "a document's text broke off"))?;
    Ok(piece.map(|piece| (piece, (text, kept))))
}
