//! Two texts beside each other.

use crate::output::{
    self,
    table::{pad, wrap},
};

/// How a line looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emphasis {
    Strong,
    Normal,
    Faint,
}

#[derive(Debug, Clone, Default)]
pub struct Column(Vec<(Emphasis, String)>);

impl Column {
    /// Adds text, which is wrapped to the column's width when it is shown.
    pub fn add(&mut self, emphasis: Emphasis, text: impl Into<String>) {
        self.0.push((emphasis, text.into()));
    }
}

/// Both columns, each half of the width, with a bar between them.
#[must_use]
pub fn beside(left: &Column, right: &Column, width: usize) -> String {
    let half = width.saturating_sub(3) / 2;
    let (left, right) = (lines(left, half), lines(right, half));
    let blank = (Emphasis::Normal, String::new());
    (0..left.len().max(right.len()))
        .map(|row| {
            let (left, right) = (left.get(row).unwrap_or(&blank), right.get(row).unwrap_or(&blank));
            let line = format!("{} │ {}", render(left, half), render(right, 0));
            line.trim_end().to_owned() + "\n"
        })
        .collect()
}

fn lines(column: &Column, width: usize) -> Vec<(Emphasis, String)> {
    let wrapped = |(emphasis, text): &(Emphasis, String)| {
        let emphasis = *emphasis;
        wrap(text, width).into_iter().map(move |line| (emphasis, line))
    };
    column.0.iter().flat_map(wrapped).collect()
}

fn render((emphasis, text): &(Emphasis, String), width: usize) -> String {
    let text = pad(text, width);
    match emphasis {
        Emphasis::Strong => output::bold(&text),
        Emphasis::Normal => text,
        Emphasis::Faint => output::dim(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn both_columns_keep_their_place_at_any_length() {
        let (mut left, mut right) = (Column::default(), Column::default());
        left.add(Emphasis::Strong, "one");
        right.add(Emphasis::Normal, "a text that is too long for its half of the line");
        right.add(Emphasis::Faint, "日本 and more");
        let shown = anstream::adapter::strip_str(&beside(&left, &right, 43)).to_string();
        assert!(shown.lines().count() > 3);
        for line in shown.lines() {
            assert!(line.width() <= 43, "{line:?}");
            assert_eq!(line.find('│').map(|at| line[..at].width()), Some(21), "{line:?}");
        }
        assert!(shown.starts_with("one "));
    }
}
