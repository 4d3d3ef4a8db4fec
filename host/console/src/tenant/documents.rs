//! A room's documents: adding, reading them as they were cut, searching and deleting. Not here: files, which a script sends to the API (`gateway`).

mod download;
mod search;
mod view;

use crate::{
    error::PageResult,
    form::{CsrfForm, Nothing},
    layout::Page,
    session::TenantSession,
    state::ConsoleState,
};
use axum::{
    Router,
    extract::{Path, Query, State},
    response::Redirect,
    routing::{get, post},
};
use maud::Markup;
use riad_core::{
    DocumentId, Error, Result,
    document::Metadata,
    grants::{Access, Scope},
    ingestion::{DocumentRequest, DocumentSource, TextFormat},
};
use serde::Deserialize;
use std::sync::Arc;
use view::{DocumentPage, ListPage};

const LISTED: u32 = 25;
const CHUNKS: u32 = 20;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/documents", get(list).post(add_text))
        .route("/console/documents/search", get(search::search))
        .route("/console/documents/{id}", get(show))
        .route("/console/documents/{id}/original", get(download::original))
        .route("/console/documents/{id}/text", get(download::text))
        .route("/console/documents/{id}/delete", post(delete))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListQuery {
    after: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChunkQuery {
    chunk: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewText {
    title: String,
    text: String,
    /// `text` or `markdown`.
    format: String,
}

async fn list(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Query(query): Query<ListQuery>,
) -> PageResult<Markup> {
    let pass = &session.pass;
    let after = match query.after.as_str() {
        "" => None,
        after => Some(after.parse::<DocumentId>().map_err(|error| error.with_param("after"))?),
    };
    let is_first = after.is_none();
    let documents = state.services.documents().list(pass, LISTED, after).await?;
    let view = ListPage {
        list: &documents,
        is_first,
        may_change: pass.grants().allow(Scope::Documents, Access::Write),
        most_bytes: state.services.limits().file_bytes,
        csrf: session.csrf_field(),
    };
    Ok(session.page(Page::Documents, view::list(&view)))
}

async fn show(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(id): Path<String>,
    Query(query): Query<ChunkQuery>,
) -> PageResult<Markup> {
    let id = read_id(&id)?;
    let chunk: u32 = query.chunk.parse().unwrap_or(0);
    let first = chunk - chunk % CHUNKS;
    let (document, chunks) = state
        .services
        .documents()
        .chunks(&session.pass, &id, first, CHUNKS)
        .await?;
    let view = DocumentPage {
        document: &document,
        chunks: &chunks,
        first,
        page_size: CHUNKS,
        may_change: session.pass.grants().allow(Scope::Documents, Access::Write),
        csrf: session.csrf_field(),
    };
    Ok(session.page(Page::Documents, view::document(&view)))
}

async fn add_text(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(form): CsrfForm<NewText>,
) -> PageResult<Redirect> {
    let format = TextFormat::of(&form.format)
        .ok_or_else(|| Error::invalid("format is text or markdown").with_param("format"))?;
    let request = DocumentRequest {
        title: Some(form.title),
        source: DocumentSource::Text {
            text: form.text,
            format,
        },
        metadata: Metadata::new(),
    };
    // A form of urlencoded text is as small as any other, so that there is no upload's permit to keep.
    let added = state
        .services
        .documents()
        .create(&session.pass, request, Arc::new(()), None)
        .await?;
    Ok(Redirect::to(&format!("/console/documents/{}", added.document.id)))
}

async fn delete(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(id): Path<String>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    state.services.documents().delete(&session.pass, &read_id(&id)?).await?;
    Ok(Redirect::to("/console/documents"))
}

/// An id that is none is that of no document.
fn read_id(id: &str) -> Result<DocumentId> {
    id.parse()
        .map_err(|_| Error::not_found(format!("there is no document {id:?}")))
}
