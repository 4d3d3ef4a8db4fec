//! The best chunks for the words of a query, by BM25. In a large room the common words of a query only order what its rarer words find, as
//! in the "common terms query" of search engines: to score every chunk that has one of them takes longer than a tenth of a second.
//! Not here: the score of a chunk (`bm25`), counts of phrases (`statistics`).

use super::{
    PHRASES_MAX, bm25, languages,
    statistics::{PhraseCounts, count_rows},
};
use crate::{error::StoreResult, fusion::Listed};
use rusqlite::Connection;
use std::{cmp::Ordering, collections::BinaryHeap};

/// Chunks with one of these phrases are scored, from the rarest phrase on, so many in all; those of the rarest in any case.
const SCORED_MAX: u64 = 4_096;

/// A phrase of the query as an expression of FTS5, and the chunks that have it.
struct Phrase {
    expression: String,
    found: u64,
}

/// The worst one is the greatest, so that a heap gives it up first.
#[derive(PartialEq)]
struct Found {
    score: f64,
    key: i64,
}

/// Up to `depth` chunks that have one of the text's words and that `is_candidate` takes, if there is one: with their scores, best first.
pub(crate) fn find(
    connection: &Connection,
    counts: &PhraseCounts,
    text: &str,
    depth: usize,
    mut is_candidate: Option<impl FnMut(i64) -> StoreResult<bool>>,
) -> StoreResult<Vec<Listed>> {
    let rows = count_rows(connection)?;
    let phrases = phrases(connection, counts, text, rows)?;
    let mut scored = 0_u64;
    let rare = phrases.iter().take_while(|phrase| {
        let is_first = scored == 0;
        scored = scored.saturating_add(phrase.found);
        is_first || scored <= SCORED_MAX
    });
    let rare = rare.count();
    let found = find_with_any(connection, &phrases, rare, rows, depth, is_candidate.as_mut())?;
    if found.len() >= depth || rare >= phrases.len() {
        return Ok(found);
    }
    // There are too few of those, or a filter has left too few of them.
    find_with_any(connection, &phrases, phrases.len(), rows, depth, is_candidate.as_mut())
}

/// Those that some chunk has, rarest first.
fn phrases(connection: &Connection, counts: &PhraseCounts, text: &str, rows: u64) -> StoreResult<Vec<Phrase>> {
    let query = riad_language::query(text, &languages(connection)?, PHRASES_MAX);
    let mut phrases = Vec::new();
    for (columns, texts) in [("{title text}", query.words), ("characters", query.characters)] {
        for text in texts {
            // Quoted, so that AND, OR, NOT and NEAR are words; a term has no quotation mark in it.
            let expression = format!("{columns} : \"{text}\"");
            let found = counts.get(connection, &expression, rows)?;
            if found > 0 {
                phrases.push(Phrase { expression, found });
            }
        }
    }
    // Equally rare ones in the order of the text.
    phrases.sort_by_key(|phrase| phrase.found);
    Ok(phrases)
}

/// The best chunks that have one of the first `rare` phrases; all phrases count in their scores.
fn find_with_any(
    connection: &Connection,
    phrases: &[Phrase],
    rare: usize,
    rows: u64,
    depth: usize,
    mut is_candidate: Option<&mut impl FnMut(i64) -> StoreResult<bool>>,
) -> StoreResult<Vec<Listed>> {
    if phrases.is_empty() || depth == 0 {
        return Ok(Vec::new());
    }
    let weight = |phrase: &Phrase| bm25::inverse_frequency(rows, phrase.found);
    let (expression, weights) = match phrases.get(..rare) {
        // FTS5 goes through the chunks of the left side and looks those up on the right one, which has them all. Each phrase counts once.
        Some(first) if rare < phrases.len() => {
            let weights = first.iter().map(|_| 0.0).chain(phrases.iter().map(weight));
            (format!("({}) AND ({})", any(first), any(phrases)), weights.collect())
        }
        Some(_) | None => (any(phrases), phrases.iter().map(weight).collect::<Vec<_>>()),
    };
    // Which ones a filter takes is not known there.
    let wanted = is_candidate.is_none().then_some(depth);
    let mut statement =
        connection.prepare_cached("SELECT rowid, phrase_score(words, ?2) FROM words WHERE words MATCH ?1")?;
    let mut rows = statement.query((expression, bm25::argument(&weights, wanted)))?;
    let mut best: BinaryHeap<Found> = BinaryHeap::with_capacity(depth.saturating_add(1));
    while let Some(row) = rows.next()? {
        let Some(score) = row.get(1)? else { continue };
        let found = Found {
            key: row.get(0)?,
            score,
        };
        let is_better = best.len() < depth || best.peek().is_some_and(|worst| found < *worst);
        let is_taken = match &mut is_candidate {
            Some(is_candidate) if is_better => is_candidate(found.key)?,
            Some(_) | None => is_better,
        };
        if is_taken {
            best.push(found);
            if best.len() > depth {
                best.pop();
            }
        }
    }
    Ok(best
        .into_sorted_vec()
        .into_iter()
        .map(|found| (found.key, found.score))
        .collect())
}

fn any(phrases: &[Phrase]) -> String {
    let expressions: Vec<&str> = phrases.iter().map(|phrase| phrase.expression.as_str()).collect();
    expressions.join(" OR ")
}

impl Eq for Found {}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Equal scores are ordered by key, so that a search repeats.
impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.key.cmp(&other.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{room_schema::SCHEMA, sqlite, words::DocumentWords};
    use riad_language::Language;

    const ALL: Option<fn(i64) -> StoreResult<bool>> = None;

    /// A room with these chunks, from key 1 on.
    fn room(chunks: impl IntoIterator<Item = String>) -> Connection {
        let connection = sqlite::open_scratch().unwrap();
        for step in SCHEMA.steps {
            connection.execute_batch(step).unwrap();
        }
        bm25::install(&connection).unwrap();
        let transaction = connection.unchecked_transaction().unwrap();
        connection
            .execute(
                "INSERT INTO documents (id, title, metadata, chunks, bytes, created, text, language)
                    VALUES ('d', '', '{}', 0, 0, 0, '', 'en')",
                [],
            )
            .unwrap();
        let chunks: Vec<String> = chunks.into_iter().collect();
        let words = DocumentWords::in_language(
            Language::from_code("en"),
            "Guide",
            chunks.iter().map(|chunk| (&[][..], chunk.as_str())),
        );
        words.insert(&connection, 1..).unwrap();
        transaction.commit().unwrap();
        connection
    }

    fn find_all(connection: &Connection, text: &str, depth: usize) -> Vec<Listed> {
        find(connection, &PhraseCounts::default(), text, depth, ALL).unwrap()
    }

    #[test]
    fn scores_are_those_of_fts5() {
        let connection = room((0..200).map(|number: u32| {
            let rare = if number.is_multiple_of(7) { "lantern " } else { "" };
            let often = "harbor ".repeat(number.rem_euclid(5) as usize);
            format!("{rare}{often}{}", "wall ".repeat(number.rem_euclid(11) as usize))
        }));
        let found = find_all(&connection, "lantern harbor guide nowhere", 200);
        let mut statement = connection
            .prepare("SELECT rowid, -rank FROM words WHERE words MATCH ?1 ORDER BY rank, rowid")
            .unwrap();
        let expected: Vec<Listed> = statement
            .query_map(["{title text} : (\"lantern\" OR \"harbor\" OR \"guid\")"], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(found.len(), 200);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found.1 - expected.1).abs() < 1e-4, "{found:?} {expected:?}");
        }
    }

    /// "harbor" is in all chunks, "lantern" in 101 of them, and each chunk has a number of its own.
    fn large_room() -> Connection {
        room((0..3 * SCORED_MAX).map(|number| {
            let rare = if number % 122 == 3 { "lantern" } else { "wall" };
            format!("harbor {rare} n{number}")
        }))
    }

    #[test]
    fn a_common_word_orders_what_a_rarer_one_finds() {
        let connection = large_room();
        let found = find_all(&connection, "the harbor lantern", 50);
        assert_eq!(found.len(), 50);
        assert!(found.iter().all(|(key, _)| (key - 1) % 122 == 3), "{found:?}");
        let weights = |rows, found| bm25::inverse_frequency(rows, found);
        let all = 3 * SCORED_MAX;
        // All chunks are as long as the mean; a word that all have weighs next to nothing.
        let with = found[0].1;
        assert!((with - weights(all, 101)).abs() < 0.01, "{with}");
    }

    #[test]
    fn what_rarer_words_do_not_fill_common_ones_do() {
        let connection = large_room();
        assert_eq!(find_all(&connection, "harbor lantern", 500).len(), 500);
        assert_eq!(find_all(&connection, "harbor", 10).len(), 10);
        let counts = PhraseCounts::default();
        let only = |key: i64| Ok(key == 5);
        let found = find(&connection, &counts, "lantern harbor", 10, Some(only)).unwrap();
        assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn nothing_is_found_for_no_words() {
        let connection = room(["harbor".to_owned()]);
        assert!(find_all(&connection, "", 10).is_empty());
        assert!(find_all(&connection, "?!", 10).is_empty());
        assert!(find_all(&connection, "lantern", 10).is_empty());
        assert!(find_all(&connection, "harbor", 0).is_empty());
        assert_eq!(find_all(&connection, "AND \"harbor\" OR NOT (", 10).len(), 1);
    }

    #[test]
    fn a_kept_count_follows_a_room_that_grows() {
        let connection = large_room();
        let counts = PhraseCounts::default();
        let phrase = "{title text} : \"harbor\"";
        let rows = 3 * SCORED_MAX;
        assert_eq!(counts.get(&connection, phrase, rows).unwrap(), rows);
        connection
            .execute("INSERT INTO words (words) VALUES ('delete-all')", [])
            .unwrap();
        assert_eq!(counts.get(&connection, phrase, rows).unwrap(), rows);
        assert_eq!(counts.get(&connection, phrase, rows / 2).unwrap(), 0);
    }
}
