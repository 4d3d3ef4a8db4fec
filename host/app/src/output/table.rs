//! Rows in aligned columns.

use super::clean;
use unicode_width::UnicodeWidthStr;

/// Columns with two spaces between them, under their headings; "none" for no rows.
#[must_use]
pub fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "none".into();
    }
    let heading: Vec<String> = headings.iter().map(|h| h.to_uppercase()).collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            std::iter::once(&heading)
                .chain(rows)
                .filter_map(|row| row.get(column))
                .map(|cell| one_line(cell).width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| {
            let line: String = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| pad(&one_line(cell), *width) + "  ")
                .collect();
            line.trim_end().to_owned() + "\n"
        })
        .collect()
}

/// The text with spaces up to a width in terminal cells.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Breaks a text into lines of at most `width` cells, at spaces where it can.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            for c in word.chars() {
                if line.width() + unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) > width.max(2) {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        lines.push(line);
    }
    lines
}

/// Cells have text of tenants.
fn one_line(cell: &str) -> String {
    clean(cell).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_cells_not_bytes() {
        let rows = [vec!["日本".into(), "1".into()], vec!["a".into(), "22".into()]];
        assert_eq!(render(&["name", "n"], &rows), "NAME  N\n日本  1\na     22\n");
    }

    #[test]
    fn a_table_without_rows_says_none() {
        assert_eq!(render(&["name"], &[]), "none");
    }

    #[test]
    fn a_cell_never_breaks_its_line() {
        assert_eq!(render(&["t"], &[vec!["a\nb".into()]]).lines().count(), 2);
    }

    #[test]
    fn wrapping_keeps_every_character_and_the_width() {
        let text = "The Kestrel drill has a warranty of thirty-seven-months-and-not-one-day-more.";
        let lines = wrap(text, 12);
        assert!(lines.iter().all(|line| line.width() <= 12), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
    }
}
