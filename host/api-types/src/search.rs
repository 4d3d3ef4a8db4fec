//! `POST /v1/search`.

use crate::{nulls, ranking::RankingOptions};
use riad_core::document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::HashMap, ops::Range};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranking_options: Option<RankingOptions>,
    /// 0 to 4, 0 if it is not given: chunks of the document before and after each one that is found, which its passage has too. A chunk
    /// that a better one has as its neighbor is not listed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbors: Option<u32>,
    /// Whether `highlights` and `snippet` are wanted.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<bool>)]
    pub highlights: bool,
    /// Whether an `explanation` is wanted.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<bool>)]
    pub explain: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct SearchResults {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Best first.
    pub data: Vec<Passage>,
    /// Number of the last change that was searched.
    pub index_watermark: u64,
    /// Not there if all chunks are found by meaning too. Else at most so many are found by words only, until they are embedded by the server's new
    /// model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unembedded_chunks: Option<u64>,
}

/// A chunk of a document, or a part of one.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Passage {
    pub document: String,
    /// The file of a vector store that the document was made of. Such a document is read as this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Position of the chunk in its document, from 0.
    pub chunk: u32,
    pub title: String,
    pub text: String,
    /// By the ranks in two lists, and no similarity: only the order of scores means something.
    pub score: f64,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// The headings above it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading: Vec<String>,
    /// Page, slide or sheet, from 1, where the file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Where it stands in the document's text, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Span>,
    /// Words of the query, in characters (Unicode code points) of `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highlights: Option<Vec<Span>>,
    /// The part of `text` that has most of them, in characters of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// From `start`, before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Span {
    pub start: u64,
    pub end: u64,
}

/// Why a passage was found. Its score is the sum of weight / (60 + rank) over the two lists, or follows from the reranker's.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// With its BM25 score; `null` if it is not in the list.
    pub words: Option<Place>,
    /// With the cosine of the angle to the query; `null` if it is not in the list.
    pub embeddings: Option<Place>,
    /// Among those that the reranker read, with what it gave it from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reranker: Option<Place>,
}

/// In one of the lists of a search.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// From 1.
    pub rank: u32,
    pub score: f64,
}

impl Passage {
    #[must_use]
    pub fn new(passage: document::Passage, with_highlights: bool, with_explanation: bool) -> Self {
        let hit = passage.hit.as_deref();
        let bytes = hit.map(|hit| Span {
            start: hit.range.start,
            end: hit.range.end,
        });
        let marks = hit.filter(|_| with_highlights).map(|hit| {
            let ranges = hit.highlights.iter().chain([&hit.snippet]).cloned().collect();
            in_characters(&passage.text, ranges)
        });
        let explanation = hit.filter(|_| with_explanation).map(|hit| Explanation {
            words: hit.by_words.map(Place::from),
            embeddings: hit.by_vectors.map(Place::from),
            reranker: hit.by_reranker.map(Place::from),
        });
        let (highlights, snippet) = match marks {
            Some(mut marks) => {
                let snippet = marks.pop();
                (Some(marks), snippet)
            }
            None => (None, None),
        };
        Self {
            bytes,
            highlights,
            snippet,
            explanation,
            ..Self::from(passage)
        }
    }
}

impl From<document::Place> for Place {
    fn from(place: document::Place) -> Self {
        Self {
            rank: place.rank,
            score: place.score,
        }
    }
}

/// Ranges of a text's bytes in its characters, in the order of the ranges. Linear in both.
fn in_characters(text: &str, ranges: Vec<Range<usize>>) -> Vec<Span> {
    let mut ends: Vec<usize> = ranges.iter().flat_map(|range| [range.start, range.end]).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut counts = HashMap::with_capacity(ends.len());
    let (mut at, mut count) = (0, 0);
    for end in ends {
        count += text.get(at..end).map_or(0, |part| part.chars().count() as u64);
        at = end;
        counts.insert(end, count);
    }
    let count = |at: &usize| counts.get(at).copied().unwrap_or(count);
    let span = |range: &Range<usize>| Span {
        start: count(&range.start),
        end: count(&range.end),
    };
    ranges.iter().map(span).collect()
}

impl From<document::Passage> for Passage {
    fn from(passage: document::Passage) -> Self {
        Self {
            document: passage.document.into(),
            file: passage.file.map(String::from),
            chunk: passage.chunk,
            title: passage.title,
            text: passage.text,
            score: passage.score,
            metadata: passage.metadata,
            heading: passage.position.heading,
            page: passage.position.page,
            bytes: None,
            highlights: None,
            snippet: None,
            explanation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_characters() {
        let text = "añb長🏠c";
        let ranges = [(0, 1), (1, 3), (4, 7), (7, 11), (0, 12), (12, 12), (3, 4)];
        let found = in_characters(text, ranges.iter().map(|(start, end)| *start..*end).collect());
        for (span, (start, end)) in found.iter().zip(ranges) {
            let characters = |bytes: usize| text[..bytes].chars().count() as u64;
            assert_eq!((span.start, span.end), (characters(start), characters(end)));
        }
    }
}
