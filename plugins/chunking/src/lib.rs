//! Cuts sections into pieces at the coarsest boundary that fits: paragraphs, sentences, lines, words, characters, by what kind of text a
//! section is. Time grows with the text, whatever is in it. Not here: the stage's export (`chunker`), making sections (`riad-extraction`).

mod boundaries;

use boundaries::{Boundaries, trimmed_start};
use riad_sdk::{ChunkingError, ChunkingOptions, Piece, Section, SectionKind};

/// What the contract promises at least, and at most for the overlap in parts of a piece.
const FEWEST_CHARACTERS: usize = 16;
const OVERLAP_PART: usize = 2;

/// The pieces of all sections, in order.
///
/// # Errors
/// `TooLarge`: there are more than `max_pieces`.
pub fn chunk(sections: &[Section], options: ChunkingOptions) -> Result<Vec<Piece>, ChunkingError> {
    let most = usize::try_from(options.max_characters)
        .unwrap_or(usize::MAX)
        .max(FEWEST_CHARACTERS);
    let overlap = usize::try_from(options.overlap_characters)
        .unwrap_or(usize::MAX)
        .min(most / OVERLAP_PART);
    let most_pieces = usize::try_from(options.max_pieces).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let number = u32::try_from(index).map_err(|_| ChunkingError::Failed("too many sections".to_string()))?;
        for text in split(&section.text, section.kind, most, overlap) {
            if pieces.len() >= most_pieces {
                return Err(ChunkingError::TooLarge(format!(
                    "the document has more than {most_pieces} pieces of text"
                )));
            }
            pieces.push(Piece {
                section: number,
                text: text.to_string(),
            });
        }
    }
    Ok(pieces)
}

/// The pieces of one text, each with a beginning of its own, after that of the one before.
fn split(text: &str, kind: SectionKind, most: usize, overlap: usize) -> impl Iterator<Item = &str> {
    let boundaries = Boundaries::of(text, kind);
    // Where the next piece begins, and where what no piece has yet begins.
    let (mut start, mut fresh) = (0, 0);
    std::iter::from_fn(move || {
        loop {
            start = trimmed_start(text, start, kind)?;
            // Space at a piece's end is none of its characters.
            let window = after_spaces(text, after_characters(text, start, most));
            let is_last = window == text.len();
            let end = if is_last {
                window
            } else {
                boundaries.cut(fresh.max(start), window)
            };
            let piece = text.get(start..end)?.trim_end();
            let piece_start = start;
            // With overlap, what is left may have been in the piece before.
            let is_new = text.get(fresh..end).is_some_and(|new| !new.trim().is_empty());
            fresh = end;
            start = if is_last {
                text.len()
            } else {
                let piece_end = piece_start + piece.len();
                let from = before_characters(text, piece_end, overlap);
                let begin = boundaries.begin(from.max(piece_start + 1), piece_end);
                // The first of several spaces is no beginning of its own.
                trimmed_start(text, begin, kind)
                    .filter(|begin| *begin > piece_start && *begin < end)
                    .unwrap_or(end)
            };
            if is_new && !piece.trim().is_empty() {
                return Some(piece);
            }
        }
    })
}

/// The position so many characters after another, or the end.
fn after_characters(text: &str, from: usize, characters: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.char_indices()
        .nth(characters)
        .map_or(text.len(), |(at, _)| from + at)
}

/// The first position from there on that is no space, or the end.
fn after_spaces(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    text.len() - rest.trim_start().len()
}

/// The position so many characters before another, or the beginning.
fn before_characters(text: &str, to: usize, characters: usize) -> usize {
    let Some(last) = characters.checked_sub(1) else {
        return to;
    };
    let before = text.get(..to).unwrap_or_default();
    before.char_indices().rev().nth(last).map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests;
