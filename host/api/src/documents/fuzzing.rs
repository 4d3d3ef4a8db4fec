//! For the fuzz target `multipart_forms` (`tests/fuzz`) only: a document's form, without a server around it.

use super::upload::DocumentForm;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
};
use riad_core::{
    Error, Result,
    ingestion::{DocumentRequest, DocumentSource},
};

#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Empty if the form has none.
    pub title: String,
    /// Of the file.
    pub name: String,
    pub media_type: String,
    pub bytes: Vec<u8>,
    /// A JSON object.
    pub metadata: String,
}

/// # Errors
/// As an upload of a document.
pub fn read_document_form(content_type: &[u8], body: &[u8]) -> Result<Document> {
    let content_type = HeaderValue::from_bytes(content_type).map_err(|error| Error::invalid(error.to_string()))?;
    let mut request = Request::new(Body::from(body.to_vec()));
    request.headers_mut().insert(header::CONTENT_TYPE, content_type);
    let form = futures::executor::block_on(DocumentForm::read(request, &()))?;
    let DocumentRequest {
        title,
        source,
        metadata,
    } = form.try_into()?;
    let DocumentSource::File(file) = source else {
        return Err(Error::internal("a form gave a text"));
    };
    Ok(Document {
        title: title.unwrap_or_default(),
        name: file.name,
        media_type: file.media_type,
        bytes: file.bytes.into(),
        metadata: serde_json::Value::Object(metadata).to_string(),
    })
}
