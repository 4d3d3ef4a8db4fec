//! Two texts beside each other. Not here: what they say.

use crate::output::{
    Output,
    table::{pad, wrap},
};

/// How a line is set on a terminal; without one all look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Loud,
    Plain,
    Quiet,
}

#[derive(Debug, Clone, Default)]
pub struct Column(Vec<(Tone, String)>);

impl Column {
    /// Adds text, which is wrapped to the column's width when it is shown.
    pub fn add(&mut self, tone: Tone, text: impl Into<String>) {
        self.0.push((tone, text.into()));
    }
}

/// Both columns, each half of the width, with a bar between them.
#[must_use]
pub fn beside(left: &Column, right: &Column, width: usize, out: &Output) -> String {
    let half = width.saturating_sub(3) / 2;
    let (left, right) = (lines(left, half), lines(right, half));
    let blank = (Tone::Plain, String::new());
    (0..left.len().max(right.len()))
        .map(|row| {
            let (left, right) = (left.get(row).unwrap_or(&blank), right.get(row).unwrap_or(&blank));
            let line = format!("{} │ {}", set(left, half, out), set(right, 0, out));
            line.trim_end().to_owned() + "\n"
        })
        .collect()
}

fn lines(column: &Column, width: usize) -> Vec<(Tone, String)> {
    let wrapped = |(tone, text): &(Tone, String)| {
        let tone = *tone;
        wrap(text, width).into_iter().map(move |line| (tone, line))
    };
    column.0.iter().flat_map(wrapped).collect()
}

fn set((tone, text): &(Tone, String), width: usize, out: &Output) -> String {
    let text = pad(text, width);
    match tone {
        Tone::Loud => out.bold(&text),
        Tone::Plain => text,
        Tone::Quiet => out.dim(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn both_columns_keep_their_place_whatever_their_length() {
        let (mut left, mut right) = (Column::default(), Column::default());
        left.add(Tone::Loud, "one");
        right.add(Tone::Plain, "a text that is too long for its half of the line");
        right.add(Tone::Quiet, "日本 and more");
        let shown = beside(&left, &right, 43, &Output::plain());
        assert!(shown.lines().count() > 3);
        for line in shown.lines() {
            assert!(line.width() <= 43, "{line:?}");
            assert_eq!(line.find('│').map(|at| line[..at].width()), Some(21), "{line:?}");
        }
        assert!(shown.starts_with("one "));
    }
}
