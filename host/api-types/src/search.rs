//! `POST /v1/search`.

use crate::nulls;
use riad_core::document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    pub query: String,
    /// 10 if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only documents whose metadata has each of these members with an equal value.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Object>)]
    pub filter: Map<String, Value>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct SearchResults {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Best first.
    pub data: Vec<Passage>,
    /// Number of the last change that was searched.
    pub index_watermark: u64,
}

/// A chunk of a document, or a part of one.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Passage {
    pub document: String,
    /// Position of the chunk in its document, from 0.
    pub chunk: u32,
    pub title: String,
    pub text: String,
    /// Only the order of scores means something.
    pub score: f64,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// The headings above it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading: Vec<String>,
    /// Page, slide or sheet, from 1, where the file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

impl From<document::Passage> for Passage {
    fn from(passage: document::Passage) -> Self {
        Self {
            document: passage.document.into(),
            chunk: passage.chunk,
            title: passage.title,
            text: passage.text,
            score: passage.score,
            metadata: passage.metadata,
            heading: passage.position.heading,
            page: passage.position.page,
        }
    }
}
