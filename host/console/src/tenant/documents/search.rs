//! Searching documents, with what each ranker found. Not here: ranking (`services`).

use crate::{
    error::PageResult,
    layout::Page,
    parts::{self, format},
    session::TenantSession,
    state::ConsoleState,
    tenant::playground,
};
use axum::{
    extract::{Query, State},
    http::StatusCode,
};
use maud::{Markup, html};
use riad_api::pages;
use riad_core::{
    Error, Result,
    document::{Hit, Passage, Place},
    ranking::{Ranker, RankingOptions},
    search_scope::SearchScope,
};
use riad_services::search::{SearchRequest, SearchResults};
use serde::Deserialize;

const LIMIT: u32 = 10;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct SearchForm {
    q: String,
    limit: String,
    text_weight: String,
    embedding_weight: String,
    diversity: String,
    neighbors: String,
    /// `none` leaves the reranker out.
    ranker: String,
}

pub(super) async fn search(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Query(form): Query<SearchForm>,
) -> PageResult<(StatusCode, Markup)> {
    let found = match form.request() {
        Ok(request) => state.services.search().search(&session.pass, request).await,
        Err(error) => Err(error),
    };
    let status = found
        .as_ref()
        .err()
        .map_or(StatusCode::OK, |error| pages::status(error.kind()));
    Ok((status, session.page(Page::Documents, page(&form, &found))))
}

impl SearchForm {
    fn request(&self) -> Result<SearchRequest> {
        let limit = number("limit", &self.limit)?.unwrap_or(LIMIT);
        Ok(SearchRequest {
            ranking: RankingOptions {
                text_weight: number("text_weight", &self.text_weight)?,
                embedding_weight: number("embedding_weight", &self.embedding_weight)?,
                diversity: number("diversity", &self.diversity)?,
                ranker: match self.ranker.as_str() {
                    "none" => Ranker::None,
                    _ => Ranker::Server,
                },
            },
            neighbors: number("neighbors", &self.neighbors)?.unwrap_or(0),
            highlights: true,
            ..SearchRequest::new(self.q.clone(), limit, SearchScope::Documents)
        })
    }

    pub fn fields(&self) -> Markup {
        let field = |name: &str, label: &str, value: &str, most: &str, step: &str| {
            html! {
                div.field {
                    label for=(name) { (label) }
                    input id=(name) name=(name) type="number" min="0" max=(most) step=(step) value=(value) placeholder="the server's";
                }
            }
        };
        let fields = [
            &self.limit,
            &self.text_weight,
            &self.embedding_weight,
            &self.diversity,
            &self.neighbors,
        ];
        let is_open = self.ranker == "none" || fields.iter().any(|field| !field.is_empty());
        html! {
            details.options open[is_open] {
                summary { "Ranking" }
                div.fields {
                    (field("limit", "Results", &self.limit, "100", "1"))
                    (field("text_weight", "Weight of words", &self.text_weight, "1000", "any"))
                    (field("embedding_weight", "Weight of meaning", &self.embedding_weight, "1000", "any"))
                    (field("diversity", "Diversity, 0 to 1", &self.diversity, "1", "any"))
                    (field("neighbors", "Chunks around each", &self.neighbors, "4", "1"))
                    div.field {
                        label for="ranker" { "Reranker" }
                        select #ranker name="ranker" {
                            option value="" selected[self.ranker != "none"] { "the server's, if it has one" }
                            option value="none" selected[self.ranker == "none"] { "none" }
                        }
                    }
                }
            }
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<Option<T>> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::invalid(format!("{name} must be a number, not {text:?}")).with_param(name)),
        },
    }
}

fn page(form: &SearchForm, found: &Result<SearchResults>) -> Markup {
    html! {
        p { a href="/console/documents" { "All documents" } }
        (search_form(&form.q, Some(form)))
        @match found {
            Err(error) => p.notice.error role="alert" { (error.message_for_client()) },
            Ok(results) => (results_section(results)),
        }
    }
}

fn results_section(results: &SearchResults) -> Markup {
    html! {
        section aria-labelledby="results-title" {
            h2 #results-title { (results.passages.len()) " passages" }
            p.muted { "Index watermark " (format::count(results.index_watermark)) ". Scores are by ranks: only their order means something." }
            @if results.unembedded_chunks > 0 {
                p.notice.warn {
                    "Up to " (format::count(results.unembedded_chunks))
                    " chunks are found by words only, until the server's new embedding model has read them."
                }
            }
            @if results.passages.is_empty() {
                (parts::empty("Nothing was found", &html! { "Use other words, or add a document that has the answer." }))
            }
            ol.results { @for passage in &results.passages { (result(passage)) } }
        }
    }
}

fn result(passage: &Passage) -> Markup {
    let chunk = passage.chunk;
    let link = format!("/console/documents/{}?chunk={chunk}#chunk-{chunk}", passage.document);
    let place = passage.position.heading.join(" › ");
    let highlights = passage
        .hit
        .as_deref()
        .map(|hit| hit.highlights.as_slice())
        .unwrap_or_default();
    html! {
        li.passage {
            p.passage-title {
                a href=(link) { (passage.title) }
                " " span.muted { "#" (chunk) @if let Some(page) = passage.position.page { ", page " (page) } }
            }
            @if !place.is_empty() { p.muted { (place) } }
            p.passage-text {
                @for part in playground::parts(&passage.text, highlights) {
                    @if part.quoted { mark { (part.text) } } @else { (part.text) }
                }
            }
            (scores(passage.score, passage.hit.as_deref()))
        }
    }
}

fn scores(score: f64, hit: Option<&Hit>) -> Markup {
    let row = |label: &str, place: Option<Place>| {
        html! {
            div {
                dt { (label) }
                dd {
                    @match place {
                        Some(place) => { "rank " (place.rank) ", " span.number { (shown(place.score)) } },
                        None => span.muted { "not in the list" },
                    }
                }
            }
        }
    };
    html! {
        dl.facts.scores {
            div { dt { "Score" } dd.number { (shown(score)) } }
            @if let Some(hit) = hit {
                (row("Words (BM25)", hit.by_words))
                (row("Meaning (cosine)", hit.by_vectors))
                @if hit.by_reranker.is_some() { (row("Reranker (0 to 1)", hit.by_reranker)) }
            }
        }
    }
}

fn shown(score: f64) -> String {
    format!("{score:.4}")
}

/// The words, and how they are ranked.
pub(super) fn search_form(query: &str, options: Option<&SearchForm>) -> Markup {
    html! {
        form.search role="search" method="get" action="/console/documents/search" {
            div.field.wide {
                label for="q" { "Search by words and by meaning" }
                input #q name="q" type="search" value=(query) required;
            }
            button type="submit" { "Search" }
            @if let Some(options) = options { (options.fields()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::document::{Metadata, Position};

    #[test]
    fn a_number_that_is_none_is_named() {
        let form = SearchForm {
            diversity: "much".to_owned(),
            ..SearchForm::default()
        };
        assert_eq!(form.request().err().unwrap().param(), Some("diversity"));
    }

    #[test]
    fn a_found_text_is_escaped_and_marked() {
        let passage = Passage {
            document: "doc_1".parse().unwrap(),
            chunk: 3,
            title: "<script>alert(1)</script>".to_owned(),
            text: "a <b>word</b> here".to_owned(),
            score: 0.016,
            metadata: Metadata::new(),
            position: Position::default(),
            file: None,
            hit: Some(Box::new(Hit {
                highlights: std::iter::once(5..9).collect(),
                by_words: Some(Place { rank: 1, score: 2.5 }),
                ..Hit::default()
            })),
        };
        let html = result(&passage).into_string();
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("<mark>word</mark>"), "{html}");
        assert!(html.contains("not in the list"), "{html}");
        assert!(html.contains("/console/documents/doc_1?chunk=3#chunk-3"), "{html}");
    }
}
