//! Where a chunk stands in its document, as the columns `heading` and `page` of `chunks` have it.

use crate::error::StoreResult;
use riad_core::document::Position;

/// A JSON array; none of a chunk below no heading.
pub(crate) fn heading_column(position: &Position) -> StoreResult<Option<String>> {
    match position.heading.is_empty() {
        true => Ok(None),
        false => Ok(Some(serde_json::to_string(&position.heading)?)),
    }
}

pub(crate) fn read(heading: Option<String>, page: Option<u32>) -> StoreResult<Position> {
    Ok(Position {
        heading: match heading {
            Some(heading) => serde_json::from_str(&heading)?,
            None => Vec::new(),
        },
        page,
    })
}
