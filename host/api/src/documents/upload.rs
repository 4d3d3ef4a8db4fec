//! Reads a new document, from JSON or from a file in a form. Not here: what a document may be (`services`).

use crate::{
    body::{self, JsonBody},
    error::ApiError,
    form::{self, Form},
};
use axum::{
    extract::{FromRequest, Request},
    http::header,
};
use riad_api_types::documents::{NewDocument, TextFormat};
use riad_core::{
    Error,
    ingestion::{self, DocumentRequest, DocumentSource, Upload as FormFile},
};
use serde_json::Map;
use utoipa::ToSchema;

#[derive(Default, ToSchema)]
pub(crate) struct DocumentForm {
    /// PDF, an office document, EPUB, HTML, CSV, JSON, Markdown, mail, code or text; what it is, its bytes decide.
    #[schema(value_type = String, format = Binary)]
    file: Option<FormFile>,
    /// The title that the file has if it is not given, or its name without the ending.
    #[schema(value_type = Option<String>)]
    title: Option<String>,
    /// A JSON object. Members that it has not are taken from what the file says of itself.
    #[schema(value_type = Option<String>)]
    metadata: Option<String>,
}

/// A document from JSON or from a form.
pub(crate) struct Upload(pub DocumentRequest);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let multipart = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value
                    .trim_start()
                    .to_ascii_lowercase()
                    .starts_with("multipart/form-data")
            });
        if multipart {
            return Ok(Self(DocumentForm::read(request, state).await?.try_into()?));
        }
        let JsonBody(body) = JsonBody::<NewDocument>::from_request(request, state).await?;
        Ok(Self(document_request(body)))
    }
}

fn document_request(body: NewDocument) -> DocumentRequest {
    DocumentRequest {
        title: Some(body.title),
        source: DocumentSource::Text {
            text: body.text,
            format: match body.format {
                TextFormat::Text => ingestion::TextFormat::Text,
                TextFormat::Markdown => ingestion::TextFormat::Markdown,
            },
        },
        metadata: body.metadata,
    }
}

impl DocumentForm {
    pub(super) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Self, Error> {
        let mut form = Form::of(request, state).await?;
        let mut read = Self::default();
        while let Some(field) = form.next().await? {
            let name = field.name();
            let is_duplicate = match name.as_str() {
                "file" => {
                    let file = FormFile {
                        name: field.file_name(),
                        media_type: field.media_type(),
                        bytes: field.bytes().await?,
                    };
                    read.file.replace(file).is_some()
                }
                "title" => read.title.replace(field.text().await?).is_some(),
                "metadata" => read.metadata.replace(field.text().await?).is_some(),
                _ => {
                    return Err(
                        Error::invalid("a document's form may have the fields file, title and metadata")
                            .with_param(name),
                    );
                }
            };
            if is_duplicate {
                return Err(form::duplicate_field(&name));
            }
        }
        Ok(read)
    }
}

impl TryFrom<DocumentForm> for DocumentRequest {
    type Error = Error;

    fn try_from(form: DocumentForm) -> Result<Self, Error> {
        let file = form.file.ok_or_else(|| form::missing_field("file"))?;
        let metadata = match form.metadata {
            Some(json) => {
                body::check_values("metadata", json.as_bytes()).map_err(|error| error.with_param("metadata"))?;
                serde_json::from_str(&json).map_err(|error| {
                    Error::invalid(format!("metadata must be a JSON object: {error}")).with_param("metadata")
                })?
            }
            None => Map::new(),
        };
        Ok(Self {
            title: form.title,
            source: DocumentSource::File(file),
            metadata,
        })
    }
}
