//! `/v1/documents`. A document may also come as a form with a file, which the server reads as a stream.

use crate::nulls;
use riad_core::document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DocumentParams {
    /// Documents in the answer, 20 if it is not given.
    pub limit: Option<u32>,
    /// The last id of the page before.
    pub after: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDocument {
    pub title: String,
    pub text: String,
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Map<String, Value>,
    /// `text` if it is not given.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<TextFormat>)]
    pub format: TextFormat,
}

/// How the text is written, which says where it may be cut.
#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TextFormat {
    #[default]
    Text,
    Markdown,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DocumentList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// In the order of insertion.
    pub data: Vec<Document>,
    pub has_more: bool,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Document {
    #[schema(example = "document")]
    pub object: Cow<'static, str>,
    pub id: String,
    pub title: String,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    pub chunks: u32,
    /// Of the text.
    pub bytes: u64,
    pub created: u64,
    /// Of its file, as found in the bytes; absent of a document that came as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What its file has and the text has not, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DocumentWithText {
    #[serde(flatten)]
    pub document: Document,
    pub text: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedDocument {
    #[schema(example = "document.deleted")]
    pub object: Cow<'static, str>,
    pub id: String,
    pub deleted: bool,
}

impl From<document::Document> for Document {
    fn from(document: document::Document) -> Self {
        Self {
            object: "document".into(),
            id: document.id.into(),
            title: document.title,
            metadata: document.metadata,
            chunks: document.chunks,
            bytes: document.bytes,
            created: document.created,
            media_type: document.media_type,
            warnings: document.warnings,
        }
    }
}
