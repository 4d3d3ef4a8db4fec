//! For the fuzz target `multipart_forms` (`tests/fuzz`) only: a document's form, without a server around it.

use super::upload::DocumentForm;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
};
use futures::FutureExt;
use riad_core::{Error, Result};
use riad_services::{chunking::Format, documents::DocumentRequest};

#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    pub title: String,
    pub text: String,
    /// A JSON object.
    pub metadata: String,
    pub markdown: bool,
}

/// # Errors
/// As an upload of a document.
pub fn read_document_form(content_type: &[u8], body: &[u8]) -> Result<Document> {
    let content_type = HeaderValue::from_bytes(content_type).map_err(|error| Error::invalid(error.to_string()))?;
    let mut request = Request::new(Body::from(body.to_vec()));
    request.headers_mut().insert(header::CONTENT_TYPE, content_type);
    let form = DocumentForm::read(request, &()).now_or_never();
    let form = form.ok_or_else(|| Error::internal("a body in memory kept its reader waiting"))??;
    let DocumentRequest {
        title,
        text,
        metadata,
        format,
    } = form.try_into()?;
    Ok(Document {
        title,
        text,
        metadata: serde_json::Value::Object(metadata).to_string(),
        markdown: format == Format::Markdown,
    })
}
