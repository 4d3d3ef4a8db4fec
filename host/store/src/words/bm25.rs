//! BM25 of a row as a function in SQL that is told what each phrase weighs: `phrase_score(words, ?)`. FTS5's own counts the rows of each
//! phrase anew in each query, which for common words takes longer than all the rest. Not here: those weights (`statistics`).
//!
//! The formula and its constants are those of FTS5's `bm25()` (<https://sqlite.org/fts5.html>), after Robertson and Zaragoza 2009.
#![expect(unsafe_code, reason = "FTS5 takes its functions as C functions")]

use crate::error::{Failure, StoreResult};
use rusqlite::{Connection, ffi};
use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    ffi::{CStr, c_int, c_void},
    ptr, slice,
};

/// Of a term's frequency in a row, and of the row's length.
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// Of `title`, `text` and `characters`: these find what words do not, and what only they find comes after it.
const COLUMNS: [f64; 3] = [1.0, 1.0, 0.3];
const NAME: &CStr = c"phrase_score";

/// How much a phrase says that stands in `found` of `rows` rows.
pub(super) fn inverse_frequency(rows: u64, found: u64) -> f64 {
    let (rows, found) = (number(rows), number(found));
    let weight = ((rows - found + 0.5) / (found + 0.5)).ln();
    // Of a phrase in most rows: it changes no order but among equals.
    if weight > 0.0 { weight } else { 1e-6 }
}

/// The argument of the function: a weight for each phrase of the query, in their order, and of how many rows the score is wanted. That of a
/// row which cannot be among the best ones is NULL.
pub(super) fn argument(weights: &[f64], wanted: Option<usize>) -> Vec<u8> {
    let wanted = wanted.map_or(u64::MAX, |wanted| wanted as u64);
    let weights = weights.iter().flat_map(|weight| weight.to_ne_bytes());
    wanted.to_ne_bytes().into_iter().chain(weights).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a room has fewer than 2^52 chunks")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Makes the function known to a connection.
pub(crate) fn install(connection: &Connection) -> StoreResult<()> {
    // SAFETY: the handle lives as long as the connection, which nobody else uses: it is not `Sync`.
    let code = unsafe { install_at(connection.handle()) };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(Failure::Sqlite(rusqlite::Error::SqliteFailure(
            ffi::Error::new(code),
            None,
        ))),
    }
}

/// As <https://sqlite.org/fts5.html#extending_fts5> says: a query gives out FTS5's table of functions.
///
/// # Safety
/// `db` is an open connection that no other thread uses.
unsafe fn install_at(db: *mut ffi::sqlite3) -> c_int {
    let mut api: *mut ffi::fts5_api = ptr::null_mut();
    let mut statement = ptr::null_mut();
    // SAFETY: all pointers are to locals that outlive the statement; SQLite writes `api` while it steps.
    let code = unsafe {
        let code = ffi::sqlite3_prepare_v2(db, c"SELECT fts5(?1)".as_ptr(), -1, &raw mut statement, ptr::null_mut());
        if code != ffi::SQLITE_OK {
            return code;
        }
        let place = (&raw mut api).cast::<c_void>();
        ffi::sqlite3_bind_pointer(statement, 1, place, c"fts5_api_ptr".as_ptr(), None);
        ffi::sqlite3_step(statement);
        ffi::sqlite3_finalize(statement)
    };
    // SAFETY: if it is there, it lives as long as the connection.
    let create = unsafe { api.as_ref() }.and_then(|api| api.xCreateFunction);
    match (code, create) {
        // SAFETY: the name is copied; the function lives as long as the process.
        (ffi::SQLITE_OK, Some(create)) => unsafe {
            create(api, NAME.as_ptr(), ptr::null_mut(), Some(phrase_score), None)
        },
        (ffi::SQLITE_OK, None) => ffi::SQLITE_ERROR,
        (code, _) => code,
    }
}

/// What a query's calls of the function share.
struct Search {
    /// Terms that a row has in the mean.
    mean_length: f64,
    /// Scores of the best rows so far, the worst of them first.
    best: BinaryHeap<Reverse<Score>>,
}

#[derive(PartialEq)]
struct Score(f64);

/// Called by FTS5 for each row that is found.
unsafe extern "C" fn phrase_score(
    api: *const ffi::Fts5ExtensionApi,
    row: *mut ffi::Fts5Context,
    context: *mut ffi::sqlite3_context,
    count: c_int,
    arguments: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: FTS5 gives pointers that live as long as the call, and so many arguments.
    unsafe {
        let argument = match count {
            1 => blob(*arguments),
            _ => None,
        };
        let score = match (api.as_ref(), argument) {
            (Some(api), Some(argument)) => Row { api, row }.score(argument),
            (Some(_) | None, _) => None,
        };
        match score {
            Some(Some(score)) => ffi::sqlite3_result_double(context, score),
            Some(None) => ffi::sqlite3_result_null(context),
            None => {
                let message = c"phrase_score() was called wrongly, or a page of the index is damaged";
                ffi::sqlite3_result_error(context, message.as_ptr(), -1);
            }
        }
    }
}

/// # Safety
/// `value` lives at least as long as what is returned, and is not changed.
unsafe fn blob<'v>(value: *mut ffi::sqlite3_value) -> Option<&'v [u8]> {
    // SAFETY: the blob is asked for before its length, as SQLite wants it, and has that many bytes.
    unsafe {
        let start = ffi::sqlite3_value_blob(value).cast::<u8>();
        let length = usize::try_from(ffi::sqlite3_value_bytes(value)).ok()?;
        match start.is_null() {
            true => None,
            false => Some(slice::from_raw_parts(start, length)),
        }
    }
}

/// Frees what the calls of a query shared.
unsafe extern "C" fn end_search(search: *mut c_void) {
    // SAFETY: FTS5 calls it once, with what `Row::search` gave it.
    drop(unsafe { Box::from_raw(search.cast::<Search>()) });
}

/// The row that a query of FTS5 is at.
struct Row<'a> {
    api: &'a ffi::Fts5ExtensionApi,
    row: *mut ffi::Fts5Context,
}

impl Row<'_> {
    /// `Some(None)` for a row that is not among the best.
    ///
    /// # Safety
    /// Both members are as FTS5 gave them, in the call that it gave them for.
    unsafe fn score(&self, argument: &[u8]) -> Option<Option<f64>> {
        let ([wanted, weights @ ..], []) = argument.as_chunks::<8>() else {
            return None;
        };
        let wanted = usize::try_from(u64::from_ne_bytes(*wanted)).unwrap_or(usize::MAX);
        // SAFETY: as of this function. Nobody else has this query's search while it is used here.
        let search = unsafe { self.search()?.as_mut()? };
        let mut found = Vec::with_capacity(weights.len());
        for (phrase, weight) in (0..).zip(weights) {
            let weight = f64::from_ne_bytes(*weight);
            if weight > 0.0 {
                // SAFETY: as of this function. FTS5 itself refuses a number that no phrase has.
                let frequency = unsafe { self.frequency(phrase)? };
                found.push((weight, frequency));
            }
        }
        let score = |length: f64| -> f64 {
            let scores = found
                .iter()
                .map(|(weight, frequency)| weight * frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * length)));
            scores.sum()
        };
        // The shorter the row, the better; FTS5 looks its length up in another table, which takes longer than all the rest.
        let is_full = search.best.len() >= wanted;
        let is_too_low = |score: f64| is_full && search.best.peek().is_none_or(|worst| score < worst.0.0);
        if is_too_low(score(0.0)) {
            return Some(None);
        }
        // SAFETY: as of this function.
        let score = score(unsafe { self.length()? } / search.mean_length);
        if is_too_low(score) {
            return Some(None);
        }
        if wanted < usize::MAX {
            search.best.push(Reverse(Score(score)));
            if search.best.len() > wanted {
                search.best.pop();
            }
        }
        Some(Some(score))
    }

    /// What the calls of this query share.
    ///
    /// # Safety
    /// As of [`Self::score`].
    unsafe fn search(&self) -> Option<*mut Search> {
        // SAFETY: as of this function. What FTS5 keeps for this function of the query is what is given to it here.
        unsafe {
            let kept = self.api.xGetAuxdata?(self.row, 0).cast::<Search>();
            if !kept.is_null() {
                return Some(kept);
            }
            let (mut rows, mut terms) = (0, 0);
            let codes = [
                self.api.xRowCount?(self.row, &raw mut rows),
                self.api.xColumnTotalSize?(self.row, -1, &raw mut terms),
            ];
            if codes != [ffi::SQLITE_OK; 2] {
                return None;
            }
            let positive = |count: i64| number(u64::try_from(count).unwrap_or(0).max(1));
            let search = Box::into_raw(Box::new(Search {
                mean_length: positive(terms) / positive(rows),
                best: BinaryHeap::new(),
            }));
            // If it fails, FTS5 has freed it.
            match self.api.xSetAuxdata?(self.row, search.cast(), Some(end_search)) {
                ffi::SQLITE_OK => Some(search),
                _ => None,
            }
        }
    }

    /// Terms of the row.
    ///
    /// # Safety
    /// As of [`Self::score`].
    unsafe fn length(&self) -> Option<f64> {
        let mut terms = 0;
        // SAFETY: as of this function; FTS5 writes the number.
        match unsafe { self.api.xColumnSize?(self.row, -1, &raw mut terms) } {
            ffi::SQLITE_OK => Some(f64::from(terms)),
            _ => None,
        }
    }

    /// How often the phrase stands in the row, weighted by column.
    ///
    /// # Safety
    /// As of [`Self::score`].
    unsafe fn frequency(&self, phrase: c_int) -> Option<f64> {
        let mut places = ffi::Fts5PhraseIter {
            a: ptr::null(),
            b: ptr::null(),
        };
        let (mut column, mut offset) = (0, 0);
        let mut frequency = 0.0;
        // SAFETY: as of this function; the iterator is FTS5's as long as the row is the same.
        unsafe {
            let code = self.api.xPhraseFirst?(self.row, phrase, &raw mut places, &raw mut column, &raw mut offset);
            if code != ffi::SQLITE_OK {
                return None;
            }
            // FTS5 says with a column of -1 that there are no more.
            while let Some(weight) = usize::try_from(column).ok().and_then(|column| COLUMNS.get(column)) {
                frequency += weight;
                self.api.xPhraseNext?(self.row, &raw mut places, &raw mut column, &raw mut offset);
            }
        }
        Some(frequency)
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
