//! New ids of what a room has, which sort by insertion.

use crate::error::{Failure, StoreResult};
use riad_core::Error;
use uuid::Uuid;

const DOCUMENT: &str = "doc_";
const DOCUMENT_JOB: &str = "job_";
/// As OpenAI's begin.
const FILE: &str = "file-";
const VECTOR_STORE: &str = "vs_";
const FILE_BATCH: &str = "vsfb_";
const UPLOAD: &str = "upload_";
const PART: &str = "part_";

/// An id after `last`, the greatest of the room, also when the clock has been set back.
pub(crate) fn next_document(last: Option<&str>) -> String {
    next(DOCUMENT, last)
}

pub(crate) fn new_document_job() -> String {
    next(DOCUMENT_JOB, None)
}

pub(crate) fn next_file(last: Option<&str>) -> String {
    next(FILE, last)
}

pub(crate) fn next_vector_store(last: Option<&str>) -> String {
    next(VECTOR_STORE, last)
}

pub(crate) fn next_file_batch(last: Option<&str>) -> String {
    next(FILE_BATCH, last)
}

pub(crate) fn new_upload() -> String {
    next(UPLOAD, None)
}

pub(crate) fn new_part() -> String {
    next(PART, None)
}

/// Whether it is one of ours, and there is room for others after it.
pub(crate) fn is_given(id: &str) -> bool {
    let digits = [DOCUMENT, DOCUMENT_JOB, FILE, VECTOR_STORE, FILE_BATCH, UPLOAD, PART]
        .iter()
        .find_map(|prefix| id.strip_prefix(prefix));
    digits.is_some_and(|digits| {
        digits.len() == 32
            && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            && u128::from_str_radix(digits, 16).is_ok_and(|number| number <= u128::MAX >> 1)
    })
}

/// Refuses a place in a list that no id of the list can have. Where lists are in the order of their ids, each id that was given stands
/// for its place, also when what it named is gone.
pub(crate) fn check_place(param: &str, id: Option<&str>) -> StoreResult<()> {
    match id {
        Some(id) if !is_given(id) => {
            let text = format!("{param}: no list has the id {id}; take the last one of the page before");
            Err(Failure::Known(Error::invalid(text).with_param(param)))
        }
        Some(_) | None => Ok(()),
    }
}

fn next(prefix: &str, last: Option<&str>) -> String {
    let fresh = Uuid::now_v7().as_u128();
    let after_last = last
        .and_then(|id| id.strip_prefix(prefix))
        .and_then(|hex| u128::from_str_radix(hex, 16).ok())
        .map_or(0, |last| last.saturating_add(1));
    format!("{prefix}{:032x}", fresh.max(after_last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::DocumentId;

    #[test]
    fn ids_rise_also_when_the_clock_was_set_back() {
        let future = format!("doc_{:032x}", u128::MAX >> 1);
        let next = next_document(Some(&future));
        assert!(next > future);
        assert!(next.parse::<DocumentId>().is_ok());
        let mut last = next_document(None);
        for _ in 0..10_000 {
            let next = next_document(Some(&last));
            assert!(next > last);
            last = next;
        }
    }
}
