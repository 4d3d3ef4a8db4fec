//! Rows of tables as lines that can be understood alone: each value with the name of its column. CSV and TSV.

use crate::{
    limits,
    output::{Output, Result, malformed, one_line},
};
use riad_sdk::{Extracted, ExtractionOptions, SectionKind};

/// Characters of a column's name before each value.
const NAME_CHARACTERS: usize = 60;
/// Lines whose delimiters are counted.
const SAMPLE_LINES: usize = 20;

/// # Errors
/// `NoText`, `TooLarge`, `Malformed`.
pub fn extract(text: &str, is_tsv: bool, options: ExtractionOptions) -> Result<Extracted> {
    let media_type = if is_tsv {
        "text/tab-separated-values"
    } else {
        "text/csv"
    };
    let mut output = Output::new(media_type, options);
    let delimiter = if is_tsv { b'\t' } else { delimiter(text) };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(!is_tsv)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut rows = Rows::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| malformed(format!("the table is broken: {error}")))?
    {
        rows.write(&mut output, record.iter())?;
    }
    rows.finish(&mut output)?;
    output.finish("the table has no cells with text")
}

/// The one that stands in most lines, as often in each.
fn delimiter(text: &str) -> u8 {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(SAMPLE_LINES)
        .collect();
    let score = |delimiter: u8| {
        let counts = lines
            .iter()
            .map(|line| line.bytes().take(1 << 16).filter(|byte| *byte == delimiter).count());
        let first = counts.clone().next().unwrap_or(0);
        (counts.filter(|count| *count > 0 && *count == first).count(), first)
    };
    // Commas win over others that are as good.
    let best = [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|delimiter| score(*delimiter));
    best.unwrap_or(b',')
}

/// Writes the rows of one table. The first row names the columns if it has texts only.
pub struct Rows {
    names: Option<Vec<String>>,
    /// Rows after the names.
    written: usize,
    /// Whether cells were left out, because their row has more than [`limits::COLUMNS`].
    is_cut: bool,
}

impl Rows {
    pub fn new() -> Self {
        Self {
            names: None,
            written: 0,
            is_cut: false,
        }
    }

    /// Cells of a row were left out before it came here.
    pub fn note_cut(&mut self) {
        self.is_cut = true;
    }

    /// # Errors
    /// `TooLarge`.
    pub fn write<'a>(&mut self, output: &mut Output, mut cells: impl Iterator<Item = &'a str>) -> Result<()> {
        let row = cells.by_ref().take(limits::COLUMNS);
        let row: Vec<String> = row.map(|cell| one_line(cell, usize::MAX)).collect();
        self.is_cut |= cells.any(|cell| !cell.trim().is_empty());
        let cells = row;
        if cells.iter().all(String::is_empty) {
            return Ok(());
        }
        let Some(names) = &self.names else {
            // A title above the table; the names may follow.
            if cells.iter().filter(|cell| !cell.is_empty()).count() == 1
                && !is_value(cells.first().map_or("", |cell| cell))
            {
                return self.row(output, &line(&[], &cells));
            }
            let is_header = cells.iter().all(|cell| !is_value(cell)) && cells.iter().any(|cell| !cell.is_empty());
            self.names = Some(if is_header {
                cells.iter().map(|cell| one_line(cell, NAME_CHARACTERS)).collect()
            } else {
                Vec::new()
            });
            return if is_header {
                Ok(())
            } else {
                self.row(output, &line(&[], &cells))
            };
        };
        let row = line(names, &cells);
        self.row(output, &row)
    }

    fn row(&mut self, output: &mut Output, row: &str) -> Result<()> {
        if self.written.is_multiple_of(limits::SECTION_ROWS) {
            output.end_section()?;
        }
        self.written += 1;
        output.begin_kind(SectionKind::Rows)?;
        output.line(row)
    }

    /// Writes a table that is nothing but its first row.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn finish(mut self, output: &mut Output) -> Result<()> {
        if self.written == 0
            && let Some(names) = self.names.take()
        {
            self.row(output, &line(&[], &names))?;
        }
        if self.is_cut {
            warn_of_cut(output);
        }
        output.end_section()
    }
}

pub fn warn_of_cut(output: &mut Output) {
    output.warn(&format!(
        "columns after the first {} of a table were not read",
        limits::COLUMNS
    ));
}

fn line(names: &[String], cells: &[String]) -> String {
    let mut line = String::new();
    for (index, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
        if !line.is_empty() {
            line.push_str(" | ");
        }
        if let Some(name) = names.get(index).filter(|name| !name.is_empty()) {
            line.push_str(name);
            line.push_str(": ");
        }
        line.push_str(cell);
    }
    line
}

/// Numbers and dates are no names of columns.
pub fn is_value(cell: &str) -> bool {
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && digits * 2 >= cell.chars().filter(|character| !character.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ExtractionOptions = ExtractionOptions {
        max_text_bytes: 1 << 20,
        max_sections: 1000,
    };

    fn text(table: &str) -> String {
        let extracted = extract(table, false, OPTIONS).unwrap();
        assert!(
            extracted
                .sections
                .iter()
                .all(|section| section.kind == SectionKind::Rows)
        );
        extracted
            .sections
            .into_iter()
            .map(|section| section.text)
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    #[test]
    fn each_value_stands_with_the_name_of_its_column() {
        assert_eq!(text("sku,name\nA1,Drill\nA2,\n"), "sku: A1 | name: Drill\nsku: A2");
        assert_eq!(text("sku;price\nA1;1,50\n"), "sku: A1 | price: 1,50");
        assert_eq!(text("a|b\n\"x\ny\"|z\n"), "a: x y | b: z");
    }

    #[test]
    fn a_table_without_names_keeps_its_first_row() {
        assert_eq!(text("1,2\n3,4\n"), "1 | 2\n3 | 4");
        assert_eq!(text("only,names\n"), "only | names");
    }

    #[test]
    fn a_long_table_has_several_sections() {
        let table: String = std::iter::once("n,m\n".to_string())
            .chain((0..450).map(|n| format!("{n},x\n")))
            .collect();
        let extracted = extract(&table, false, OPTIONS).unwrap();
        assert_eq!(extracted.sections.len(), 3);
        assert!(extracted.sections[2].text.starts_with("n: 400 | m: x\n"));
    }

    #[test]
    fn what_is_not_read_of_a_table_is_said() {
        let wide = |columns: usize| format!("{}\n{}\n", vec!["n"; columns].join(","), vec!["v"; columns].join(","));
        let warnings = |table: &str| extract(table, false, OPTIONS).unwrap().warnings;
        assert!(warnings(&wide(limits::COLUMNS)).is_empty());
        assert_eq!(
            warnings(&wide(limits::COLUMNS + 1)),
            ["columns after the first 1000 of a table were not read"]
        );
        // Empty cells at the end of rows are nothing that is missing.
        assert!(warnings(&format!("a,b\n1,2{}\n", ",".repeat(2000))).is_empty());
    }

    #[test]
    fn a_long_cell_is_read_whole() {
        let long = "word ".repeat(20_000);
        assert!(text(&format!("name,text\nA,{long}end\n")).ends_with("word end"));
    }

    #[test]
    fn tabs_separate_and_quotes_are_text() {
        let extracted = extract("a\tb\n\"x\t1\" long\n", true, OPTIONS).unwrap();
        assert_eq!(extracted.sections[0].text, "a: \"x | b: 1\" long");
    }
}
