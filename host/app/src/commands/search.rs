//! `riad search`.

use super::object;
use crate::{
    cli::SearchArgs,
    client::Client,
    output::{Output, bold, clean},
};
use riad_api_types::search::{Explanation, Passage, Place, SearchRequest, SearchResults};
use riad_core::Result;
use std::fmt::Write as _;

pub async fn run(args: &SearchArgs, client: &Client, out: &Output) -> Result<()> {
    let request = SearchRequest {
        query: args.query.join(" "),
        limit: Some(args.limit),
        filter: object(&args.filter),
        neighbors: Some(args.neighbors),
        highlights: true,
        explain: args.explain,
        ..SearchRequest::default()
    };
    let found = client.post("/v1/search", &request).await?;
    out.show(&found, |found: &SearchResults| {
        if found.data.is_empty() {
            return "no passage found".into();
        }
        found.data.iter().map(shown).collect()
    });
    Ok(())
}

fn shown(passage: &Passage) -> String {
    let mut place = passage.page.map(|page| format!("page {page}  ")).unwrap_or_default();
    if !passage.heading.is_empty() {
        let _ = write!(place, "{}  ", clean(&passage.heading.join(" > ")));
    }
    let why = passage.explanation.as_ref().map(why).unwrap_or_default();
    format!(
        "{}  {place}chunk {} of {}  {:.4}\n{why}{}\n\n",
        bold(&clean(&passage.title)),
        passage.chunk,
        clean(&passage.document),
        passage.score,
        marked(passage)
    )
}

fn why(explanation: &Explanation) -> String {
    let place = |list: &str, place: &Option<Place>| match place {
        Some(place) => format!("{list}: rank {}, {:.3}", place.rank, place.score),
        None => format!("{list}: not found"),
    };
    let words = place("by words", &explanation.words);
    let meaning = place("by meaning", &explanation.embeddings);
    let reranked = match &explanation.reranker {
        Some(_) => format!("; {}", place("reranked", &explanation.reranker)),
        None => String::new(),
    };
    format!("{words}; {meaning}{reranked}\n")
}

/// The text with the words of the query in bold.
fn marked(passage: &Passage) -> String {
    let text = clean(&passage.text);
    let mut characters = text.chars();
    let mut take = |count: u64| -> String { (0..count).map_while(|_| characters.next()).collect() };
    let mut marked = String::new();
    let mut at = 0;
    for span in passage.highlights.iter().flatten() {
        marked += &take(span.start.saturating_sub(at));
        marked += &bold(&take(span.end.saturating_sub(span.start)));
        at = span.end;
    }
    marked += &take(u64::MAX);
    marked
}
