//! Vectors of texts that the room has embedded before, by the text's digest: what is unchanged in a document that is added again is not embedded
//! again. Not here: embedding.

use crate::{changes, embedding_space::CurrentKeys, error::StoreResult, room::RoomState};
use riad_core::{Digest, document::embedded_text};
use rusqlite::OptionalExtension;

/// Bytes of a digest that are kept: as many as no two texts of a room share.
const DIGEST_BYTES: usize = 16;

/// As a chunk has it of its text.
pub(crate) fn digest_of(title: &str, heading: &[String], text: &str) -> Vec<u8> {
    column(&Digest::of(embedded_text(title, heading, text).as_bytes()))
}

pub(crate) fn find(room: &RoomState, texts: &[Digest]) -> StoreResult<Vec<Option<Vec<f32>>>> {
    room.database.read(|connection| {
        let current = CurrentKeys::read(connection)?;
        let mut statement = connection.prepare_cached(
            "SELECT embedding FROM chunks
             WHERE embedded = ?1 AND embedding IS NOT NULL AND id BETWEEN ?2 AND ?3 LIMIT 1",
        )?;
        let mut find = |digest: &Digest| {
            for (first, last) in current.all() {
                let found = statement.query_row((column(digest), first, last), |row| {
                    let mut vector = Vec::new();
                    changes::from_blob(row.get_ref(0)?.as_blob()?, &mut vector);
                    Ok(vector)
                });
                if let Some(vector) = found.optional()? {
                    return Ok(Some(vector));
                }
            }
            Ok(None)
        };
        texts.iter().map(&mut find).collect()
    })
}

fn column(digest: &Digest) -> Vec<u8> {
    digest.as_bytes().iter().take(DIGEST_BYTES).copied().collect()
}
