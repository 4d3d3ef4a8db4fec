//! Splits texts into chunks.

use riad_core::{Error, Result};
use text_splitter::{MarkdownSplitter, TextSplitter};

/// The markup of a text, which decides where it may be split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Markdown,
}

impl Format {
    /// By a file's name: `.md` and `.markdown` are Markdown, `.txt` is text.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "txt" => Some(Self::Text),
            _ => None,
        }
    }
}

/// A piece of a text and its start in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub offset: usize,
    pub text: String,
}

/// Splits a text into pieces of at most `characters`, at the coarsest boundary that fits: sections, paragraphs, sentences, words,
/// characters. White space around a piece is dropped. CPU-bound.
///
/// # Errors
/// `InvalidRequest` if nothing but space is in the text.
pub fn chunk(text: &str, format: Format, characters: usize) -> Result<Vec<Piece>> {
    let piece = |(offset, text): (usize, &str)| Piece {
        offset,
        text: text.to_owned(),
    };
    let pieces: Vec<_> = match format {
        Format::Text => TextSplitter::new(characters).chunk_indices(text).map(piece).collect(),
        Format::Markdown => MarkdownSplitter::new(characters)
            .chunk_indices(text)
            .map(piece)
            .collect(),
    };
    if pieces.iter().all(|piece| piece.text.trim().is_empty()) {
        return Err(Error::invalid("a document must have text in it").with_param("text"));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_at_its_offset_and_no_word_is_lost() {
        let text =
            "# Fees\n\nA transfer costs 2 €.\n\n## Exceptions\n\nStudents pay nothing. Ever, naïvely.\n".repeat(20);
        for format in [Format::Text, Format::Markdown] {
            let pieces = chunk(&text, format, 100).unwrap();
            assert!(pieces.len() > 10);
            for piece in &pieces {
                assert!(piece.text.chars().count() <= 100);
                assert!(text[piece.offset..].starts_with(&piece.text));
            }
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let joined: Vec<_> = pieces.iter().flat_map(|piece| words(&piece.text)).collect();
            assert_eq!(joined, words(&text));
        }
    }

    #[test]
    fn a_text_of_space_only_is_refused() {
        for text in ["", " \n\t\u{2003}"] {
            assert_eq!(chunk(text, Format::Text, 100).unwrap_err().param(), Some("text"));
            assert!(chunk(text, Format::Markdown, 100).is_err());
        }
    }

    #[test]
    fn a_word_longer_than_a_chunk_is_cut() {
        let text = "ä".repeat(1000);
        for format in [Format::Text, Format::Markdown] {
            let pieces = chunk(&text, format, 64).unwrap();
            let lengths: Vec<usize> = pieces.iter().map(|piece| piece.text.chars().count()).collect();
            assert!(lengths.iter().all(|length| *length <= 64), "{lengths:?}");
            assert_eq!(lengths.iter().sum::<usize>(), 1000, "nothing is lost");
        }
    }

    #[test]
    fn the_file_name_says_the_format() {
        assert_eq!(Format::of_file("a.b.MD"), Some(Format::Markdown));
        assert_eq!(Format::of_file("notes.txt"), Some(Format::Text));
        assert_eq!(Format::of_file("notes.pdf"), None);
        assert_eq!(Format::of_file("notes"), None);
    }
}
