//! Parts of a stored document's text.

use crate::error::StoreResult;
use bytes::Bytes;
use rusqlite::{Connection, MAIN_DB};
use std::ops::Range;

/// Reads the range only, not the text before it. A number is never given twice, so it is the same document's.
pub(crate) fn read_text(connection: &Connection, number: i64, range: Range<u64>) -> StoreResult<Bytes> {
    let text = connection.blob_open(MAIN_DB, c"documents", c"text", number, true)?;
    let cut = |end: u64| usize::try_from(end).map_or(text.len(), |end| end.min(text.len()));
    let (start, end) = (cut(range.start), cut(range.end));
    let mut bytes = vec![0; end.saturating_sub(start)];
    if !bytes.is_empty() {
        text.read_at_exact(&mut bytes, start)?;
    }
    Ok(bytes.into())
}
