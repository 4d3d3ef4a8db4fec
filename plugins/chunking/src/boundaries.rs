//! Where a text may be cut, by its kind. Lines are looked at once; sentences and words only in the window that has to be cut.

use riad_sdk::SectionKind;
use unicode_segmentation::UnicodeSegmentation;

/// A cut must leave at least this part of what is new in a window, so that pieces are not tiny and the text is gone through in few steps.
const FEWEST: usize = 3;

/// What ends sentences, in the scripts that have a mark of their own.
const ENDS: [char; 13] = ['.', '!', '?', '…', '。', '！', '？', '｡', '؟', '۔', '।', '॥', '។'];

/// How good a place to cut is, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Line,
    /// After an empty line.
    Block,
    /// In code, after an empty line and not indented: an item of the file.
    Item,
}

pub struct Boundaries<'a> {
    text: &'a str,
    kind: SectionKind,
    /// Beginnings of lines, in order.
    lines: Vec<(usize, Level)>,
}

impl<'a> Boundaries<'a> {
    pub fn of(text: &'a str, kind: SectionKind) -> Self {
        let mut lines = Vec::new();
        let (mut at, mut is_after_empty, mut fence) = (0, false, None);
        for line in text.split_inclusive('\n') {
            let is_empty = line.trim().is_empty();
            let was_in_fence = fence.is_some();
            if kind == SectionKind::Markdown {
                fence = fence_after(line, fence);
            }
            if at > 0 && !is_empty {
                let begins_fence = fence.is_some() && !was_in_fence;
                let level = if was_in_fence || !(is_after_empty || begins_fence) {
                    Level::Line
                } else if kind == SectionKind::Code && !line.starts_with([' ', '\t', '}', ')', ']']) {
                    Level::Item
                } else {
                    Level::Block
                };
                lines.push((at, level));
            }
            is_after_empty = is_empty;
            at += line.len();
        }
        Self { text, kind, lines }
    }

    /// The best place to end a piece: after `fresh`, at `window` or before.
    pub fn cut(&self, fresh: usize, window: usize) -> usize {
        let least = fresh + (window - fresh.min(window)) / FEWEST;
        let from = self.lines.partition_point(|(at, _)| *at <= least);
        let to = self.lines.partition_point(|(at, _)| *at <= window);
        let lines = self.lines.get(from..to).unwrap_or_default();
        let last_of = |level: Level| lines.iter().rev().find(|(_, found)| *found >= level).map(|(at, _)| *at);
        let blocks = last_of(Level::Item).or_else(|| last_of(Level::Block));
        let line = || last_of(Level::Line);
        let found = match self.kind {
            SectionKind::Prose | SectionKind::Markdown => blocks.or_else(|| self.sentence(least, window)).or_else(line),
            SectionKind::Rows => line().or_else(|| self.separator(least, window)),
            SectionKind::Code => blocks.or_else(line),
        };
        found
            .or_else(|| self.space(least, window))
            .unwrap_or_else(|| self.character(fresh, window))
    }

    /// The best place for the beginning of a piece that repeats the end of the one before: from `from` up to `end`.
    pub fn begin(&self, from: usize, end: usize) -> usize {
        if from >= end {
            return end;
        }
        let line = self
            .lines
            .get(self.lines.partition_point(|(at, _)| *at < from))
            .map(|(at, _)| *at)
            .filter(|at| *at < end);
        let sentence = || {
            self.sentences(self.floor(from), end)
                .find(|at| *at >= from && *at < end)
        };
        let word = || self.after_spaces(from, end).next();
        match self.kind {
            SectionKind::Prose | SectionKind::Markdown => sentence().or(line).or_else(word),
            SectionKind::Rows | SectionKind::Code => line,
        }
        .unwrap_or(end)
    }

    /// The last end of a sentence.
    fn sentence(&self, least: usize, window: usize) -> Option<usize> {
        // What begins at the window says whether a sentence ends there.
        let to = self.text.ceil_char_boundary(window.saturating_add(1));
        self.sentences(self.floor(least), to)
            .filter(|at| *at > least && *at <= window)
            .last()
    }

    /// Beginnings of sentences after `from`. The standard breaks at each line, which is no end of a sentence in a text with lines of one
    /// width.
    fn sentences(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let window = self.text.get(from..to).unwrap_or_default();
        // The segmentation is the slowest part of all; a text without such marks needs none.
        let window = if window.contains(ENDS) { window } else { "" };
        let ends = |text: &str| {
            let text = text.trim_end();
            text.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»', '」', '』', '）'])
                .ends_with(ENDS)
        };
        let bounds = window.split_sentence_bound_indices();
        bounds
            .filter(move |(_, sentence)| ends(sentence))
            .map(move |(at, sentence)| from + at + sentence.len())
    }

    fn separator(&self, least: usize, window: usize) -> Option<usize> {
        let from = self.floor(least);
        let text = self.text.get(from..window)?;
        text.rfind(" | ").map(|at| from + at + 3).filter(|at| *at > least)
    }

    fn space(&self, least: usize, window: usize) -> Option<usize> {
        self.after_spaces(least, window).last()
    }

    /// Beginnings of words, and what follows a comma in scripts that have no spaces.
    fn after_spaces(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let from = self.floor(from);
        let text = self.text.get(from..to).unwrap_or_default();
        let breaks = text
            .char_indices()
            .filter(|(_, character)| character.is_whitespace() || "、，；：".contains(*character));
        breaks
            .map(move |(at, character)| from + at + character.len_utf8())
            .filter(move |at| *at > from && *at <= to)
    }

    /// The end of the last whole character as people see it, such as a letter with its accents, or of the last part of one.
    fn character(&self, fresh: usize, window: usize) -> usize {
        let from = self.floor(window.saturating_sub(256).max(fresh));
        // No further than it takes to see what begins at the window: marks without end are one character.
        let to = self.text.ceil_char_boundary(window.saturating_add(1));
        let text = self.text.get(from..to).unwrap_or_default();
        let end = text
            .grapheme_indices(true)
            .map(|(at, _)| from + at)
            .take_while(|at| *at <= window)
            .last();
        end.filter(|at| *at > fresh).unwrap_or(window)
    }

    fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

/// The mark and length of the block of code that is open after a line.
fn fence_after(line: &str, open: Option<(char, usize)>) -> Option<(char, usize)> {
    let line = line.trim();
    let Some(mark) = line.chars().next().filter(|mark| matches!(mark, '`' | '~')) else {
        return open;
    };
    let length = line.chars().take_while(|character| *character == mark).count();
    match open {
        Some((opened, least)) if opened == mark && length >= least && length == line.chars().count() => None,
        None if length >= 3 => Some((mark, length)),
        other => other,
    }
}

/// The first position from which there is more than space. Code keeps the indentation of its first line.
pub fn trimmed_start(text: &str, from: usize, kind: SectionKind) -> Option<usize> {
    let rest = text.get(from..)?;
    let space = rest.len() - rest.trim_start().len();
    if space == rest.len() {
        return None;
    }
    if kind != SectionKind::Code {
        return Some(from + space);
    }
    let line = rest
        .get(..space)
        .and_then(|space| space.rfind('\n'))
        .map_or(0, |at| at + 1);
    Some(from + line)
}
