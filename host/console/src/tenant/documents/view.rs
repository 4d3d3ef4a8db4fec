//! The pages of documents. A script adds files by drag and drop (`assets/documents.js`).

use crate::parts::{self, format};
use maud::{Markup, html};
use riad_core::document::{Document, StoredChunk};
use riad_services::documents::DocumentList;

pub(super) struct ListPage<'a> {
    pub list: &'a DocumentList,
    pub is_first: bool,
    pub may_change: bool,
    /// Of a file.
    pub most_bytes: u64,
    pub csrf: Markup,
}

pub(super) struct DocumentPage<'a> {
    pub document: &'a Document,
    pub chunks: &'a [StoredChunk],
    /// Number of the first chunk of the page.
    pub first: u32,
    pub page_size: u32,
    pub may_change: bool,
    pub csrf: Markup,
}

pub(super) fn list(view: &ListPage<'_>) -> Markup {
    let documents = &view.list.documents;
    html! {
        (super::search::search_form("", None))
        @if view.may_change { (adding(view)) }
        section aria-labelledby="list-title" {
            h2 #list-title { "Documents" }
            @if documents.is_empty() && view.is_first {
                (parts::empty("No documents yet", &html! {
                    @if view.may_change { "Drop files above, or paste a text. Answers cite what stands in them." }
                    @else { "A key of the role user or admin adds them." }
                }))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Table of documents" { (table(view)) }
            }
            nav.pages aria-label="Pages" {
                @if !view.is_first { a href="/console/documents" { "First page" } }
                @if let (true, Some(last)) = (view.list.has_more, documents.last()) {
                    a rel="next" href={ "/console/documents?after=" (last.id) } { "Next page" }
                }
            }
        }
    }
}

fn table(view: &ListPage<'_>) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "Title" }
                th scope="col" { "Kind" }
                th.number scope="col" { "Text" }
                th.number scope="col" { "Chunks" }
                th scope="col" { "Added" }
                @if view.may_change { th scope="col" { span.visually-hidden { "Actions" } } }
            } }
            tbody {
                @for document in &view.list.documents {
                    tr {
                        th scope="row" {
                            a href={ "/console/documents/" (document.id) } { (document.title) }
                            @if !document.warnings.is_empty() { " " span.badge.warn { "incomplete" } }
                        }
                        td { (kind(document)) }
                        td.number { (format::bytes(document.bytes)) }
                        td.number { (format::count(document.chunks.into())) }
                        td { (parts::when(document.created)) }
                        @if view.may_change { td { (delete_form(document, &view.csrf)) } }
                    }
                }
            }
        }
    }
}

fn adding(view: &ListPage<'_>) -> Markup {
    html! {
        section.adding aria-labelledby="add-title" {
            h2 #add-title { "Add documents" }
            div #drop.drop data-most-bytes=(view.most_bytes) hidden {
                p {
                    label.button for="files" { "Choose files" }
                    input #files.visually-hidden type="file" multiple;
                    " or drop them here"
                }
                p.muted {
                    "PDF, office documents, EPUB, HTML, CSV, JSON, Markdown, mail, code and text, up to " (format::bytes(view.most_bytes)) " each."
                }
                // Its token is read by the script.
                form #upload hidden { (view.csrf) }
            }
            noscript {
                p.notice { "Files are sent by a script, which your browser does not run. Paste a text below, or send files to " code { "POST /v1/documents" } "." }
            }
            ol #uploads.uploads aria-live="polite" {}
            details {
                summary { "Paste a text" }
                form method="post" action="/console/documents" {
                    (view.csrf)
                    div.field { label for="title" { "Title" } input #title name="title" required maxlength="512"; }
                    div.field { label for="text" { "Text" } textarea #text name="text" rows="8" required {} }
                    fieldset.choices {
                        legend { "Written as" }
                        label { input type="radio" name="format" value="text" checked; " text" }
                        label { input type="radio" name="format" value="markdown"; " Markdown" }
                    }
                    button.primary type="submit" { "Add" }
                }
            }
        }
    }
}

fn delete_form(document: &Document, csrf: &Markup) -> Markup {
    let action = format!("/console/documents/{}/delete", document.id);
    parts::confirmed_form(
        &action,
        "Delete",
        "No search finds it afterwards. It cannot be brought back.",
        csrf,
    )
}

fn kind(document: &Document) -> &str {
    document.media_type.as_deref().unwrap_or("text")
}

pub(super) fn document(view: &DocumentPage<'_>) -> Markup {
    let document = view.document;
    let end = view.first.saturating_add(view.page_size);
    let page = |first: u32| format!("/console/documents/{}?chunk={first}", document.id);
    let part = |name: &str| format!("/console/documents/{}/{name}", document.id);
    html! {
        p { a href="/console/documents" { "All documents" } }
        h2 { (document.title) }
        dl.facts {
            div { dt { "Id" } dd { code { (document.id) } } }
            div { dt { "Kind" } dd { (kind(document)) } }
            div { dt { "Text" } dd { (format::bytes(document.bytes)) " · " a href=(part("text")) download { "Download the text" } } }
            div { dt { "Chunks" } dd { (format::count(document.chunks.into())) } }
            div { dt { "Added" } dd { (parts::when(document.created)) } }
            @if let Some(file) = &document.file {
                div { dt { "Original" } dd { code { (file) } " · " a href=(part("original")) download { "Download the original" } } }
            }
        }
        @for warning in &document.warnings { p.notice.warn { (warning) } }
        @if !document.metadata.is_empty() { details { summary { "Metadata" } (parts::json(&document.metadata)) } }
        @if view.may_change { (delete_form(document, &view.csrf)) }
        section aria-labelledby="chunks-title" {
            h3 #chunks-title { "Chunks as they were cut" }
            p.muted { "A search finds chunks, and an answer cites them. Offsets are bytes of the document's text." }
            ol.chunks { @for chunk in view.chunks { (chunk_item(chunk)) } }
            nav.pages aria-label="Pages of chunks" {
                @if view.first > 0 { a rel="prev" href=(page(view.first.saturating_sub(view.page_size))) { "Previous chunks" } }
                @if end < document.chunks { a rel="next" href=(page(end)) { "Next chunks" } }
            }
        }
    }
}

fn chunk_item(chunk: &StoredChunk) -> Markup {
    let end = chunk.offset.saturating_add(chunk.text.len() as u64);
    html! {
        li.chunk id={ "chunk-" (chunk.number) } {
            p.muted {
                span.number { "#" (chunk.number) } " · bytes " (format::count(chunk.offset)) "–" (format::count(end))
                @if let Some(page) = chunk.position.page { " · page " (page) }
                @if !chunk.position.heading.is_empty() { " · " (chunk.position.heading.join(" › ")) }
            }
            pre.wrap { (chunk.text) }
        }
    }
}
