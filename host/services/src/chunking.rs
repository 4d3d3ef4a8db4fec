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

/// Chunks' worth of characters in one window. The splitter looks at all that is left of what it is given for each piece, so its time
/// grows with the square of that; in windows it grows with the text.
const WINDOW_CHUNKS: usize = 16;

/// Splits a text into pieces of at most `characters`, at the coarsest boundary that fits: sections, paragraphs, sentences, words,
/// characters. White space around a piece is dropped. CPU-bound.
///
/// # Errors
/// `InvalidRequest` if nothing but space is in the text.
pub fn chunk(text: &str, format: Format, characters: usize) -> Result<Vec<Piece>> {
    let mut windows = Windows::new(format, characters);
    let mut pieces = Vec::new();
    while let Some(more) = windows.next(text) {
        pieces.extend(more);
    }
    windows.check()?;
    Ok(pieces)
}

/// Splits a text window by window, so that its caller can stop in between.
///
/// Each window begins where a piece of the one before began. Pieces of text are the same as without windows, because the splitter uses
/// a boundary only if the text before it fits into a piece. Markdown is understood from the window's beginning, which is outside of a
/// code block if that is possible: a code block, list or table that is longer than a window is split as if it began anew.
pub struct Windows {
    format: Format,
    characters: usize,
    cursor: usize,
    any: bool,
}

impl Windows {
    #[must_use]
    pub fn new(format: Format, characters: usize) -> Self {
        Self {
            format,
            characters,
            cursor: 0,
            any: false,
        }
    }

    /// The pieces of the next window of `text`, which must be the same in each call. `None` at its end.
    pub fn next(&mut self, text: &str) -> Option<Vec<Piece>> {
        let rest = text.get(self.cursor..).filter(|rest| !rest.is_empty())?;
        let characters = self.characters.saturating_mul(WINDOW_CHUNKS);
        let window = match rest.char_indices().nth(characters) {
            Some((end, _)) => rest.get(..end).unwrap_or(rest),
            None => rest,
        };
        let mut pieces = self.split(window);
        let mut used = window.len();
        // What follows the window may belong to its last piece.
        if used < rest.len()
            && let Some((index, start)) = restart(window, &pieces, self.format)
        {
            pieces.truncate(index);
            used = start;
        }
        pieces.retain(|(_, piece)| !piece.trim().is_empty());
        self.any |= !pieces.is_empty();
        let before = self.cursor;
        self.cursor += used;
        let owned = pieces.into_iter().map(|(offset, piece)| Piece {
            offset: before + offset,
            text: piece.to_owned(),
        });
        Some(owned.collect())
    }

    /// # Errors
    /// `InvalidRequest` if all windows so far had nothing but space in them.
    pub fn check(&self) -> Result<()> {
        match self.any {
            true => Ok(()),
            false => Err(Error::invalid("a document must have text in it").with_param("text")),
        }
    }

    fn split<'a>(&self, window: &'a str) -> Vec<(usize, &'a str)> {
        match self.format {
            Format::Text => TextSplitter::new(self.characters).chunk_indices(window).collect(),
            Format::Markdown => MarkdownSplitter::new(self.characters).chunk_indices(window).collect(),
        }
    }
}

/// The piece with which the next window begins, and its offset. `None` if only the first piece is left: all after it is space.
fn restart(window: &str, pieces: &[(usize, &str)], format: Format) -> Option<(usize, usize)> {
    let starts = || pieces.iter().map(|(offset, _)| *offset).enumerate();
    let last = || starts().rev().find(|(_, offset)| *offset > 0);
    if format == Format::Text {
        return last();
    }
    let (mut in_code, mut counted, mut best) = (false, 0, None);
    for (index, offset) in starts().filter(|(_, offset)| begins_block(window, *offset)) {
        let lines = window.get(counted..offset).unwrap_or_default().lines();
        in_code ^= lines.filter(|line| is_fence(line)).count() % 2 == 1;
        counted = offset;
        // Later is better, but a window that moves on by little is work that is done again.
        if !in_code && offset > window.len() / 2 {
            best = Some((index, offset));
        }
    }
    best.or_else(last)
}

/// Whether a Markdown block of the outermost level may begin here: after an empty line, and not indented.
fn begins_block(window: &str, offset: usize) -> bool {
    let (before, after) = window.split_at_checked(offset).unwrap_or((window, ""));
    let before = before
        .strip_suffix('\n')
        .map(|before| before.trim_end_matches([' ', '\r']));
    before.is_some_and(|before| before.ends_with('\n')) && !after.starts_with(char::is_whitespace)
}

/// Whether a line begins or ends a block of code.
fn is_fence(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("```") || line.starts_with("~~~")
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

    /// Texts for which the splitter alone takes time that grows with the square of their length.
    fn hostile(characters: usize) -> Vec<String> {
        let of = |unit: &str| unit.repeat(characters / unit.chars().count());
        [
            "a", "\u{6f22}", "a\n", " ", "a \n\n\n", "*", "- ", "# a\n", "```\n", "a. ", "e\u{301}",
        ]
        .map(of)
        .to_vec()
    }

    #[test]
    fn the_splitter_sees_each_character_about_once_and_few_at_a_time() {
        const CHARACTERS: usize = 64;
        for format in [Format::Text, Format::Markdown] {
            for text in hostile(20_000) {
                let mut windows = Windows::new(format, CHARACTERS);
                let (mut before, mut rounds) = (0, 0);
                while windows.next(&text).is_some() {
                    assert!(windows.cursor > before, "it does not go on: {:?}", &text[..8]);
                    before = windows.cursor;
                    rounds += 1;
                }
                assert_eq!(windows.cursor, text.len());
                // Every round looks at one window and moves on by more than half of it.
                let fewest = text.chars().count().div_ceil(WINDOW_CHUNKS * CHARACTERS);
                assert!(
                    rounds <= 2 * fewest + 1,
                    "{rounds} rounds for {fewest} windows of {:?}",
                    &text[..8]
                );
            }
        }
    }

    fn at_once(text: &str, format: Format, characters: usize) -> Vec<Piece> {
        let piece = |(offset, text): (usize, &str)| Piece {
            offset,
            text: text.to_owned(),
        };
        match format {
            Format::Text => TextSplitter::new(characters).chunk_indices(text).map(piece).collect(),
            Format::Markdown => MarkdownSplitter::new(characters)
                .chunk_indices(text)
                .map(piece)
                .collect(),
        }
    }

    #[test]
    fn a_text_longer_than_a_window_is_split_as_at_once() {
        let paragraph = |index: usize| {
            let sentence = format!("Sentence {index} has {} words, naïvely counted. ", index % 7);
            let end = ["\n", "\n\n", " ", "\r\n\r\n", "\n\n\n"][index % 5];
            format!("{}{end}", sentence.repeat(1 + index % 4).trim_end())
        };
        let prose: String = (0..600).map(paragraph).collect();
        for characters in [64, 100, 333] {
            assert_eq!(
                chunk(&prose, Format::Text, characters).unwrap(),
                at_once(&prose, Format::Text, characters)
            );
        }
        let section = |index: usize| {
            let code = "```sh\n# not a heading\n\nriad serve\n```\n\n".repeat(index % 3);
            let list: String = (0..index % 5)
                .map(|item| format!("- item {item}\n  - below it\n"))
                .collect();
            let level = "#".repeat(1 + index % 3);
            format!("{level} Section {index}\n\n{}{code}{list}\n", paragraph(index))
        };
        let markdown: String = (0..300).map(section).collect();
        for characters in [100, 333, 1000] {
            assert_eq!(
                chunk(&markdown, Format::Markdown, characters).unwrap(),
                at_once(&markdown, Format::Markdown, characters)
            );
        }
    }
}
