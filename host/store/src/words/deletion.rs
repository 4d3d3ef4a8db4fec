//! Taking words out of FTS5 so that none of their bytes stays. Not here: making the words of a document again (`words`).
//!
//! FTS5 takes a row out in one of two ways. By default it writes a mark for each of its terms, and the terms go when the segment of the marks
//! is merged with all older ones. With `secure-delete` it looks each term up and takes it off its page, which takes longer. So that the time
//! is bounded by the size of the room, a long document in it is taken out the first way, and everything is merged.

use super::Row;
use crate::error::StoreResult;
use rusqlite::{Connection, params};
use std::collections::{BTreeSet, HashSet};

/// So many terms are always taken out one by one, which takes some tenths of a second.
const FEW_TERMS: usize = 2_000;
/// Terms that FTS5 takes out one by one in the time in which it merges a page twice: 0.1 ms and 0.4 ms.
const TERMS_PER_PAGE: usize = 4;

/// What FTS5 puts before a term in the table of its pages.
const TERM_MARK: u8 = b'0';

pub(super) fn delete(connection: &Connection, rows: &[Row<'_>]) -> StoreResult<()> {
    let pages: u32 = connection
        .prepare_cached("SELECT count(*) FROM words_idx")?
        .query_row([], |row| row.get(0))?;
    let terms: usize = rows.iter().map(|row| terms_of(row).collect::<HashSet<_>>().len()).sum();
    if terms > FEW_TERMS.max(TERMS_PER_PAGE.saturating_mul(pages as usize)) {
        return take_out_and_merge(connection, rows);
    }
    take_out(connection, rows)?;
    replace_page_terms(connection, &rows.iter().flat_map(terms_of).collect())
}

/// FTS5 drops marks only when it merges into the highest level that ever was, and `optimize` does so only if there are segments on several
/// levels. After a first merge there is one segment, of more than a page since it has at least the marks, and one small row makes another one on
/// the lowest level.
fn take_out_and_merge(connection: &Connection, rows: &[Row<'_>]) -> StoreResult<()> {
    let small = Row {
        key: i64::MAX,
        title: "0".into(),
        text: "",
        characters: String::new(),
    };
    set_secure_delete(connection, false)?;
    take_out(connection, rows)?;
    merge_all(connection)?;
    super::insert_row(connection, &small)?;
    merge_all(connection)?;
    set_secure_delete(connection, true)?;
    take_out(connection, &[small])
}

fn terms_of<'r>(row: &'r Row<'_>) -> impl Iterator<Item = &'r str> {
    [&row.title, row.text, &row.characters]
        .into_iter()
        .flat_map(str::split_ascii_whitespace)
}

fn take_out(connection: &Connection, rows: &[Row<'_>]) -> StoreResult<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO words (words, rowid, title, text, characters) VALUES ('delete', ?1, ?2, ?3, ?4)",
    )?;
    for row in rows {
        statement.execute((row.key, &row.title, row.text, &row.characters))?;
    }
    Ok(())
}

fn set_secure_delete(connection: &Connection, on: bool) -> StoreResult<()> {
    connection
        .prepare_cached("INSERT INTO words (words, rank) VALUES ('secure-delete', ?1)")?
        .execute([i64::from(on)])?;
    Ok(())
}

fn merge_all(connection: &Connection) -> StoreResult<()> {
    connection
        .prepare_cached("INSERT INTO words (words) VALUES ('optimize')")?
        .execute([])?;
    Ok(())
}

/// FTS5 finds a page by a beginning of the first term that it had, and leaves that where it is when the term goes. Where no term of the room
/// begins so any more, the next one takes its place: it is not after the page's first term, and after all terms of the page before.
fn replace_page_terms(connection: &Connection, gone: &BTreeSet<&str>) -> StoreResult<()> {
    let mut suspects: Vec<(i64, Vec<u8>)> = Vec::new();
    let mut statement = connection.prepare_cached("SELECT segid, term FROM words_idx")?;
    let mut pages = statement.query([])?;
    while let Some(page) = pages.next()? {
        let term = page.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        let is_of_gone = term
            .strip_prefix(&[TERM_MARK])
            .is_some_and(|beginning| !beginning.is_empty() && begins_one(gone, beginning));
        if is_of_gone {
            suspects.push((page.get(0)?, term.to_vec()));
        }
    }
    let mut next = connection.prepare_cached("SELECT term FROM word_terms WHERE term >= CAST(?1 AS TEXT) LIMIT 1")?;
    let mut replace = connection.prepare_cached("UPDATE words_idx SET term = ?3 WHERE segid = ?1 AND term = ?2")?;
    for (segment, term) in suspects {
        let beginning = term.get(1..).unwrap_or_default();
        let mut rows = next.query([beginning])?;
        // Else nothing is left behind this page's beginning, and FTS5 has taken it off its list.
        let Some(row) = rows.next()? else { continue };
        let found = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        if !found.starts_with(beginning) {
            let mut other = vec![TERM_MARK];
            other.extend_from_slice(found);
            drop(rows);
            replace.execute(params![segment, term, other])?;
        }
    }
    Ok(())
}

/// Whether one of the terms begins so, which may end within a character.
fn begins_one(terms: &BTreeSet<&str>, beginning: &[u8]) -> bool {
    // What is not text begins none that sorts before its text.
    let text = match str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) => {
            let whole = beginning.get(..error.valid_up_to()).unwrap_or_default();
            str::from_utf8(whole).unwrap_or_default()
        }
    };
    let from_text = terms.range(text..).take_while(|term| term.starts_with(text));
    from_text.into_iter().any(|term| term.as_bytes().starts_with(beginning))
}
